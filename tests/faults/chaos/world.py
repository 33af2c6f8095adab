"""What faults act upon in one phase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from scheduler.keys import Keys
from tests.faults.chaos.crew import Crew
from tests.faults.chaos.producers import Producers
from tests.faults.chaos.server import Server
from tests.faults.proxy import Proxy
from tests.faults.rules import Rule


@dataclass(frozen=True, slots=True)
class Shift:
    """From `since_ms` to `until_ms` of its own time the server's clock was `by_ms` off."""

    since_ms: int
    until_ms: int
    by_ms: int


@dataclass(slots=True)
class World:
    """One phase.

    Attributes:
        name: What the server promises, as in `columns`.
        server: The one that is written to now.
        add_server: Starts one more, a replica of the one it is given.
        replica: What takes the server's place when it dies, None where nothing does.
        others: Servers that failed.
        shifts: When the server's clock was off.
        injected: Faults so far, by kind.
        details: What they were exactly, by name.
        rules: What the proxy was told to do.
        struck_at: Monotonic seconds of the last fault, or of its end.
    """

    name: str
    server: Server
    proxy: Proxy
    crew: Crew
    producers: Producers
    keys: Keys
    add_server: Callable[[Server | None], Server]
    replica: Server | None = None
    others: list[Server] = field(default_factory=list)
    shifts: list[Shift] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    details: Counter[str] = field(default_factory=Counter)
    rules: list[Rule] = field(default_factory=list)
    struck_at: float = 0.0

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

_TOLD_LATER_MS = 10_000


@dataclass(frozen=True, slots=True)
class Shift:
    """From `since_ms` on, by a clock that was `by_ms` off, until it was set right again."""

    since_ms: int
    by_ms: int

    def covers(self, time_ms: int) -> bool:
        """Whether a time was read from it: nothing else happened so far from all other times. A start may be told of
        when it has ended, and lie somewhat before.
        """
        return -_TOLD_LATER_MS < time_ms - self.since_ms < abs(self.by_ms) // 2

    def saw_begin(self, time_ms: int) -> bool:
        """Whether what began at this time began under it: not before, under a clock that was right or off earlier."""
        return self.covers(time_ms) and time_ms >= self.since_ms


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
        losses_ms: When faults struck that can lose what the server had accepted, in epoch ms.
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
    losses_ms: list[int] = field(default_factory=list)

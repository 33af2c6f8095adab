"""The calls of the doctor's scripts, described as data like those of `transitions.py`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from scheduler import scripts
from scheduler.script_call import Argument, Transition, clock_of, nonce


class Row(NamedTuple):
    """One thing to be looked at: 'job', id, its set or ''; 'entry', queue, entry; 'key', key; 'queue', queue; 'member',
    member of a table or an index, its key."""

    kind: Literal["job", "entry", "key", "queue", "member"]
    name: str | bytes
    at: str = ""

    @property
    def shown(self) -> str:
        """Its name as a person reads it; of a member that of its document (see `lua/include/entry.lua`)."""
        if isinstance(self.name, str):
            return self.name
        name, length = self.name, self.name[-3:]
        if self.at.startswith("index:") and length.isdigit():
            name = name[-3 - int(length) : -3]
        return name.decode(errors="replace")


class Verdict(StrEnum):
    """What is wrong with it; the words of `lua/include/judge.lua`."""

    OK = "OK"
    SPEC = "SPEC"
    STATUS = "STATUS"
    LOST = "LOST"
    UNWATCHED = "UNWATCHED"
    UNLISTED = "UNLISTED"
    DANGLING = "DANGLING"
    ORPHAN = "ORPHAN"
    FOREIGN = "FOREIGN"
    STALE = "STALE"
    STRANDED = "STRANDED"
    GROUPLESS = "GROUPLESS"


class Examined(NamedTuple):
    """A verdict; function and queue of a job that has not ended, else ''."""

    verdict: Verdict
    function: str
    queue: str


class Surveyed(NamedTuple):
    """The type of a key ('none': it is gone), and its life in ms, -1 where it has no end."""

    type: str
    life_ms: int


def examine(rows: Sequence[Row]) -> Transition[list[Examined]]:
    """Look at each row, at one moment."""

    def read(reply: Any) -> list[Examined]:
        return [
            Examined(Verdict(word.decode()), name.decode(errors="replace"), queue.decode(errors="replace"))
            for word, name, queue in reply
        ]

    return Transition(scripts.load("examine"), ["", *(part for row in rows for part in row)], read)


def mend(rows: Sequence[Row], lease_ms: int, clock_ms: int | None = None) -> Transition[list[Verdict]]:
    """Mend what is still wrong with each row. Reads what it was, OK for nothing."""
    argv: list[Argument] = [clock_of(clock_ms), nonce(), lease_ms]
    argv += [part for row in rows for part in row]
    return Transition(scripts.load("mend"), argv, lambda reply: [Verdict(word.decode()) for word in reply])


def survey(names: Sequence[str]) -> Transition[list[Surveyed]]:
    """Types and lives of keys, named after the prefix."""
    return Transition(
        scripts.load("survey"), ["", *names], lambda reply: [Surveyed(kind.decode(), int(ms)) for kind, ms in reply]
    )

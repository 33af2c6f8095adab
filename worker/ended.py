"""How a handler ended, as the executor says it; `outcome.py` says what follows."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.job import JobError
from worker.delivery import Interruption


@dataclass(frozen=True, slots=True)
class Returned:
    """The handler returned; the result, packed."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Raised:
    """The handler raised, or could not be called, or what it returned cannot be stored."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised in a process of its own, where the exception stays: what its record says of it, whether it
    passes with time, and whether it was Redis that was away."""

    error: JobError
    transient: bool
    outage: bool = False


@dataclass(frozen=True, slots=True)
class Died:
    """The process of its own that ran it ended by itself, or was killed from outside."""

    how: str


@dataclass(frozen=True, slots=True)
class Conflicted:
    """What a mutation had read was changed while it ran."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Cancelled from outside."""

    reason: Interruption


Ended = Returned | Raised | Failed | Died | Conflicted | Interrupted

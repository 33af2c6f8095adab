"""A job as it goes to a cell, and how it ended there, as that comes back (see `frames.py`)."""

from __future__ import annotations

from typing import NamedTuple, Self

from scheduler.errors import ConfigurationError, QueueFull, Unavailable
from scheduler.refusals import DamagedKey, Refused
from scheduler.versions import Catalog
from worker import frames
from worker.frames import Frame, Say

ERRORS: tuple[type[Exception], ...] = (QueueFull, Unavailable, ConfigurationError, DamagedKey, Refused)
"""What a call of Redis may raise; in a cell it is the first that fits."""


class Errand(NamedTuple):
    """A job as a cell gets it. Times are epoch milliseconds of Redis time.

    Attributes:
        args, kwargs: Packed, as they were scheduled.
        catalog: The indexes that its writes have to keep up.
    """

    name: str
    job_id: str
    attempt: int
    now_ms: int
    args: bytes
    kwargs: bytes
    catalog: Catalog

    def frame(self) -> bytes:
        return frames.pack(Say.JOB, *self[:-1], self.catalog.version, dict(self.catalog.indexes))

    @classmethod
    def of(cls, rest: Frame) -> Self:
        """What `frame` made."""
        *fields, version, indexes = rest
        return cls._make([*fields, Catalog(version, indexes)])


class Ending(NamedTuple):
    """How a job ended in a cell.

    Attributes:
        word: 'returned', 'raised' or 'conflicted'.
        value: The result or the error, packed as the record keeps it.
        transient: The error passes with time (C3.3).
        outage: It is that Redis was away.
        effects: What is left of a mutation's transaction, packed.
    """

    word: str
    value: bytes
    transient: bool
    outage: bool
    effects: bytes

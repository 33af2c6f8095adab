"""How often and how long a store sends one command: within a time that is said in advance."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from scheduler.backoff import jittered_ms

TIMEOUT_S = 5.0
"""How long a call waits for Redis at most, in seconds, where nothing else was said."""

_WORKER_TRIES = 3
_AGAIN_MS = (50, 500)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of a command.

    Attributes:
        number: From 1.
        deadline: Monotonic seconds at which the command is given up.
        whole_s: The seconds from its first sending to the deadline.
        last: It is not sent again.
    """

    number: int
    deadline: float
    whole_s: float
    last: bool

    @property
    def left_s(self) -> float:
        """Seconds to the deadline, never quite 0."""
        return max(0.001, self.deadline - time.monotonic())

    @property
    def share_s(self) -> float:
        """Seconds for this sending alone: a quarter of the whole, twice as much with each, and what is left at most."""
        return min(self.left_s, self.whole_s / 4 * self.patience)

    @property
    def patience(self) -> float:
        """Twice as much with each, for what is slow and was taken for lost."""
        return 2.0 ** (self.number - 1)

    def pause_s(self) -> float | None:
        """Seconds to wait before the next, None if there is none."""
        pause_s = jittered_ms(self.number, *_AGAIN_MS) / 1000
        return None if self.last or pause_s >= self.deadline - time.monotonic() else pause_s


@dataclass(frozen=True, slots=True)
class Limit:
    """The bounds of a store's commands.

    Attributes:
        timeout_s: For a client: seconds in which a command is sent as often as it takes. None for a worker: `TIMEOUT_S`
            and three sendings, then somebody else's turn.
        block_s: For commands that block so long; they are sent once.
        answer_s: What one of these may take beyond that.
    """

    timeout_s: float | None = None
    block_s: float | None = None
    answer_s: float = 1.0

    @property
    def whole_s(self) -> float:
        """Seconds that one command may take."""
        if self.block_s is not None:
            return self.block_s + self.answer_s
        return TIMEOUT_S if self.timeout_s is None else self.timeout_s

    @property
    def patient(self) -> bool:
        """Whether it waits for what Redis refuses only for a while, and keeps to its seconds to the letter."""
        return self.timeout_s is not None

    def attempts(self) -> Iterator[Attempt]:
        """The sendings of one command, until the caller has its answer or there is no more."""
        deadline = time.monotonic() + self.whole_s
        tries = 1 if self.block_s is not None else None if self.patient else _WORKER_TRIES
        for number in itertools.count(1):
            yield Attempt(number, deadline, self.whole_s, number == tries)

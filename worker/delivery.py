"""A claimed job: what the worker holds of it from the claim to its end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from enum import Enum, auto

from scheduler.errors import DuestreamError
from scheduler.function import AnyFunction, Kind
from scheduler.job import JobError
from scheduler.spec import Spec
from scheduler.transaction import Transaction
from scheduler.transitions import Delivery


class Interruption(Enum):
    """Why a running handler was cancelled from outside."""

    TIME_LIMIT = auto()
    LEASE_LOST = auto()
    STOP = auto()
    WORKER_LOST = auto()
    """Somebody has cancelled it together with its worker: that goes without a stop, as if it had been killed."""


@dataclass(slots=True, eq=False)
class Held:
    """One delivery in this worker's hands.

    Attributes:
        delivery: Entry and token.
        spec: What was asked; None where it cannot be read.
        problem: Why it cannot run, '' where it can.
        function: The registered function, None where this deployment has none of that name.
        begun: It is an action, acked and in progress.
        conflicts: Starts of this delivery that found what they had read changed.
        stale: Starts that wrote by an older catalog of indexes than there was.
        contended: Documents that the last start had read, those first that it meant to write.
        lane: The document over which it waits its turn, None where it does not.
        started: Monotonic seconds of the last start.
        task: What runs it.
        entered_at: Monotonic seconds at which the task came to the handler, None while it is not there: a task that
            is cancelled before its first step would end without a word.
        abandoned: Its task is not waited for any more: what it returns is nobody's.
        interruption: Why the handler was or is to be cancelled.
        transaction: What a mutation that runs has done so far, None where it has none.
        failure: What the job fails with, if it does; for the log, once Redis has it.
        refusal: Why the gate does not let it in; then it fails without having run.
        poison: The error, packed, of a sealed job past the cap of deaths: it is not to be started again (C3.4).
    """

    delivery: Delivery
    spec: Spec | None
    problem: str = ""
    function: AnyFunction | None = None
    begun: bool = False
    conflicts: int = 0
    stale: int = 0
    contended: tuple[str, ...] = ()
    lane: str | None = None
    started: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None
    entered_at: float | None = None
    abandoned: bool = False
    interruption: Interruption | None = None
    transaction: Transaction | None = None
    failure: JobError | None = None
    refusal: DuestreamError | None = None
    poison: bytes | None = None

    @property
    def name(self) -> str:
        return self.spec.name if self.spec is not None else ""

    @property
    def key(self) -> str:
        return self.spec.key if self.spec is not None else ""

    @property
    def is_action(self) -> bool:
        """What the code deployed now says, not what it was when it was scheduled (C3.8)."""
        return self.function is not None and self.function.kind is Kind.ACTION

    @property
    def attempt(self) -> int:
        return self.delivery.attempt + self.conflicts + self.stale

    @property
    def entered(self) -> bool:
        """Whether the handler runs."""
        return self.entered_at is not None

    @entered.setter
    def entered(self, entered: bool) -> None:
        self.entered_at = time.monotonic() if entered else None

    @property
    def torn(self) -> bool:
        """Whether somebody else than this worker has cancelled its task."""
        return self.task is not None and self.interruption is None and self.task.cancelling() > 0

    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self.started) * 1000)

    def interrupt(self, reason: Interruption) -> None:
        """Cancel the handler; the first reason counts. Again cancels again: a handler may have swallowed it."""
        if self.task is not None and not self.task.done():
            self.interruption = self.interruption or reason
            if self.entered:
                self.task.cancel()

"""Threads that schedule, cancel and look, through the proxy: what has no answer is noted, and goes on."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from scheduler import Call, JobId, SyncScheduler, Unavailable
from scheduler.ids import JobIds
from tests.faults.chaos.calls import Planned
from tests.faults.chaos.ledger import Ledger
from tests.faults.chaos.workload import app

PRODUCERS = 3
MOST_AT_ONCE = 20
CANCELED_AT_ONCE = 60
LOOKED_AT_ONCE = 20
LOOK_EVERY_S = 0.25
MOST_WAITING = 300
"""What a slow machine does in a few seconds: it takes longer for the calls, not for what comes after the last fault."""

SPARED = frozenset({"transact", "transact_in_a_thread", "forgotten"})
"""Functions whose jobs no storm cancels: their checks need to know what they did."""


class Producers:
    """Makes planned calls at their time, cancels when a storm comes, and watches records.

    Args:
        url: Where the server is found.
        planned: The calls, by time.
        ledger: Where answers are noted.
        dice: What is canceled and looked at.
        backlog: How many jobs wait for a worker: with too many, calls are made later.
    """

    def __init__(
        self,
        url: str,
        planned: Sequence[Planned],
        ledger: Ledger,
        dice: random.Random,
        backlog: Callable[[], int],
    ) -> None:
        self._url = url
        self._planned = planned
        self._ledger = ledger
        self._dice = dice
        self._backlog = backlog
        self._storms: deque[float] = deque()
        self._over = threading.Event()
        self._failed: list[BaseException] = []
        self._started = 0.0
        self._makers = [self._thread(self._produce, planned[n::PRODUCERS]) for n in range(PRODUCERS)]
        self._others = [self._thread(self._cancel), self._thread(self._watch)]

    def start(self) -> None:
        """From now on."""
        self._started = time.monotonic()
        for thread in (*self._makers, *self._others):
            thread.start()

    def storm(self, pick: float) -> None:
        """Cancel many jobs in a moment."""
        self._storms.append(pick)

    def wait(self) -> None:
        """Until every call is made; raises what went wrong in a thread."""
        for thread in self._makers:
            thread.join()
        while self._storms and not self._failed:
            self._over.wait(0.01)
        self._over.set()
        for thread in self._others:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def stop(self) -> None:
        """Make no more calls."""
        self._over.set()

    def _thread(self, work: Callable[..., None], *args: object) -> threading.Thread:
        return threading.Thread(target=self._guard, args=(work, *args), name=f"chaos{work.__name__}", daemon=True)

    def _guard(self, work: Callable[..., None], *args: object) -> None:
        try:
            with SyncScheduler(app, url=self._url) as scheduler:
                work(scheduler, *args)
        except BaseException as error:  # told by `wait`
            self._failed.append(error)

    # Scheduling

    def _produce(self, scheduler: SyncScheduler, mine: Sequence[Planned]) -> None:
        waiting = deque(mine)
        while waiting and not self._over.is_set():
            time.sleep(max(0.0, self._started + waiting[0].at_s - time.monotonic()))
            while self._backlog() > MOST_WAITING and not self._over.wait(0.05):
                pass
            now_s = time.monotonic() - self._started
            batch: list[Planned] = []
            while waiting and waiting[0].at_s <= now_s and len(batch) < MOST_AT_ONCE:
                batch.append(self._choose(waiting.popleft()))
            waiting.extendleft(reversed(self._send(scheduler, batch)))

    def _send(self, scheduler: SyncScheduler, batch: list[Planned]) -> list[Planned]:
        """Send a batch; returns those that are to be sent again: they have a key."""
        try:
            if len(batch) == 1:
                ids = [_run(scheduler, batch[0])]
            else:
                ids = [*scheduler.schedule_many(_call(one) for one in batch)]
        except Unavailable:
            self._ledger.note_unsure(batch)
            return [one for one in batch if one.key]
        self._ledger.note_accepted(batch, ids)
        again = [one for one in batch if one.key and one.tag % 4 == 0]
        for one in again:
            self._repeat(scheduler, one)
        return []

    def _repeat(self, scheduler: SyncScheduler, one: Planned) -> None:
        """The same key again: the same job (C2.10)."""
        try:
            self._ledger.note_accepted([one], [_run(scheduler, one)])
        except Unavailable:
            self._ledger.note_unsure([one])

    def _choose(self, one: Planned) -> Planned:
        """Name the job that a `withdraw` is to cancel."""
        if one.function != "withdraw":
            return one
        targets = self._targets(1)
        return replace(one, kwargs={**one.kwargs, "job_id": targets[0] if targets else unknown_id()})

    def _targets(self, most: int) -> list[str]:
        """Accepted jobs, the latest more often."""
        with self._ledger.lock:
            accepted = self._ledger.accepted
            recent = [accepted[-1 - int(len(accepted) * self._dice.random() ** 4)] for _ in range(most) if accepted]
        return [job_id for job_id, function in recent if function not in SPARED]

    # Cancelling and looking

    def _cancel(self, scheduler: SyncScheduler) -> None:
        while not self._over.wait(0.02):
            while self._storms:
                self._storm(scheduler, self._storms[0])
                self._storms.popleft()

    def _storm(self, scheduler: SyncScheduler, pick: float) -> None:
        ids = [JobId(one) for one in (*self._targets(CANCELED_AT_ONCE), *(unknown_id() for _ in range(3)))]
        try:
            self._ledger.note_cancels(ids, scheduler.cancel_many(ids))
            if pick < 0.5:
                scheduler.cancel_all(function=app.functions["chaos:notify" if pick < 0.25 else "chaos:probe"])
        except Unavailable:
            return  # whether they were canceled, their records will say

    def _watch(self, scheduler: SyncScheduler) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            for job_id in self._targets(LOOKED_AT_ONCE):
                try:
                    job = scheduler.get(job_id)
                except Unavailable:
                    break
                if job is not None and job.state.final:
                    self._ledger.note_seen(job)


def unknown_id() -> str:
    """The id of no job."""
    return JobIds(lambda: 1).new()


def _call(one: Planned) -> Call:
    function = app.functions[f"chaos:{one.function}"]
    return function.after(one.delay_ms, **one.kwargs).using(idempotency_key=one.key or None)


def _run(scheduler: SyncScheduler, one: Planned) -> JobId:
    options = scheduler.options(idempotency_key=one.key) if one.key else scheduler
    return options.run_after(one.delay_ms, app.functions[f"chaos:{one.function}"], **one.kwargs)

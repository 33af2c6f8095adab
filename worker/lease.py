"""The lease: renews all that this worker holds, and its heartbeat, from a thread of its own.

A handler that blocks the event loop does not lose its lease for it; one that stops the thread too is renewed for by the
keeper, a process beside this one. Neither goes on for ever: what has run for a lease longer than its time limit is let
go, and so is everything when the event loop has been blocked for longer than any time limit.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scheduler import transitions
from scheduler.clock import RedisClock
from scheduler.errors import Unavailable
from scheduler.leases import heartbeat_ms, lost_after_ms, renewed_every_ms
from scheduler.store import BlockingStore
from scheduler.transitions import Renewed
from worker.delivery import Held, Interruption
from worker.keeping import Keeping
from worker.settings import WorkerSettings
from worker.threads import run_in

OVERDUE_S = 0.5
"""How long a handler may take to end after its time limit has cancelled it."""

_CHUNK = 1_000
_JOIN_S = 1.0
"""A renewal that Redis does not answer is not waited for: the thread is a daemon."""

_log = logging.getLogger("duestream.lease")


@dataclass(frozen=True, slots=True)
class Reports:
    """Who is told, on the event loop.

    Attributes:
        lost: Deliveries that are another's now.
        overdue: Deliveries whose handler goes on although its time limit has cancelled it.
        renewed: A renewal was answered, after so many seconds.
    """

    lost: Callable[[list[Held]], None]
    overdue: Callable[[list[Held]], None]
    renewed: Callable[[float], None]


class Lease:
    """What this worker holds, by token.

    Args:
        store: A blocking store of its own.
        settings: Of the worker.
        clock: Told Redis time with each renewal.
        reports: Told what became of deliveries.
        patience_s: Asked for the seconds that the event loop may be blocked: longer than any time limit, by a lease.
        reader_id: The connection id of the blocking reader, which the janitor cuts off if this worker is paused.
        keeping: The keeper, None to go without.
    """

    def __init__(
        self,
        store: BlockingStore,
        settings: WorkerSettings,
        clock: RedisClock,
        reports: Reports,
        patience_s: Callable[[], float],
        reader_id: Callable[[], int | None] = lambda: None,
        keeping: Keeping | None = None,
    ) -> None:
        self._store = store
        self._worker = settings.name
        self._lease_ms = settings.lease_ms
        self._clock = clock
        self._reports = reports
        self._patience_s = patience_s
        self._reader_id = reader_id
        self._keeping = keeping
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._loop_seen = time.monotonic()
        self._told = False
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="duestream-lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Renew no more; the caller has given everything back."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        # Not the loop's own threads: handlers may have filled them, and never end.
        ending = ThreadPoolExecutor(1, thread_name_prefix="duestream-lease-end")
        await run_in(ending, self._end)
        ending.shutdown(wait=False)

    def _end(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        if self._keeping is not None:
            self._keeping.close()
        if not self._thread.is_alive():
            self._store.close()

    def add(self, held: Iterable[Held]) -> list[Held]:
        """Hold deliveries; returns those that were not held already (a group made anew hands them out again)."""
        held = list(held)
        if self._keeping is not None and held:
            self._keeping.see({one.delivery.queue: one.delivery.entry for one in held})
        with self._lock:
            new = [one for one in held if one.delivery.token not in self._held]
            self._held.update((one.delivery.token, one) for one in new)
        return new

    def remove(self, held: Held) -> None:
        """Let go of a delivery that has its answer."""
        with self._lock:
            self._held.pop(held.delivery.token, None)

    def swap(self, old: Held, new: Held) -> None:
        """Hold the same delivery as another object."""
        with self._lock:
            if self._held.get(old.delivery.token) is old:
                self._held[old.delivery.token] = new

    def __len__(self) -> int:
        return len(self._held)

    def held(self) -> list[Held]:
        """All that is held now."""
        with self._lock:
            return list(self._held.values())

    def step(self) -> None:
        """One renewal of everything that is worth it.

        Raises:
            Unavailable: Redis does not answer.
        """
        if self._is_stuck():
            return
        held = [one for one in self.held() if not self._is_let_go(one)]
        self._loop.call_soon_threadsafe(self._look, held)
        for start in range(0, max(1, len(held)), _CHUNK):
            chunk = held[start : start + _CHUNK]
            gone = self._gone(chunk, self._renew(chunk, len(held)))
            if gone:
                self._loop.call_soon_threadsafe(self._reports.lost, gone)

    def _look(self, held: list[Held]) -> None:
        """On the event loop, which is alive: what its time limit could not end."""
        self._loop_seen = time.monotonic()
        self._told = False
        overdue = [one for one in held if one.interruption is Interruption.TIME_LIMIT and _over_s(one) > OVERDUE_S]
        if overdue:
            self._reports.overdue(overdue)

    def _is_stuck(self) -> bool:
        """Whether the event loop has been blocked for longer than any handler may run, and a lease."""
        stuck_s = time.monotonic() - self._loop_seen
        if stuck_s <= self._patience_s():
            return False
        if not self._told:
            self._told = True
            frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001  there is no other way to see it
            stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
            _log.error("the event loop has been blocked for %.0f s: nothing is renewed any more\n%s", stuck_s, stack)
        return True

    def _is_let_go(self, held: Held) -> bool:
        """It should have ended a lease ago: a blocked event loop, or a handler that swallows every cancel."""
        return _over_s(held) > self._lease_ms / 1000

    def _renew(self, held: list[Held], running: int) -> Renewed:
        actions = {one.delivery.job_id: one.delivery.token for one in held if one.begun}
        entries: dict[str, list[str]] = defaultdict(list)
        for one in held:
            if not one.begun:
                entries[one.delivery.queue].append(one.delivery.entry)
        reader = str(self._reader_id() or "")
        action_lease_ms, beat_ms = lost_after_ms(self._lease_ms), heartbeat_ms(self._lease_ms)
        asked_s = time.monotonic()
        renewed = self._store.run(
            transitions.renew(self._worker, action_lease_ms, beat_ms, running, reader, actions, entries)
        )
        self._clock.observe(renewed.now_ms, asked_s)
        self._loop.call_soon_threadsafe(self._reports.renewed, time.monotonic() - asked_s)
        return renewed

    def _gone(self, sent: list[Held], renewed: Renewed) -> list[Held]:
        """Those that were lost while they were held. A canceled action's code runs on (C4).

        An action leaves its entry when it begins, and whether it still may is `begin`'s to say. A delivery that goes on
        without its handler (`swap`) is committed by now: its entry is gone, and not lost.
        """
        lost = set(renewed.lost)
        with self._lock:
            still = [one for one in sent if self._held.get(one.delivery.token) is one]
        return [
            one
            for one in still
            if (
                one.delivery.job_id in lost
                if one.is_action
                else one.delivery.entry not in renewed.held.get(one.delivery.queue, {one.delivery.entry})
            )
        ]

    def _run(self) -> None:
        every_s = renewed_every_ms(self._lease_ms) / 1000
        self._ping()
        wait_s = every_s
        while not self._stopped.wait(wait_s) and not self._loop.is_closed():
            wait_s = every_s
            try:
                self.step()
                self._ping()
            except Unavailable as error:
                _log.debug("not renewed: %s", error)
                wait_s = min(0.2, every_s)
            except Exception:  # noqa: BLE001  without renewals all that this worker runs would be taken away
                _log.exception("not renewed")
        if self._keeping is not None and not self._stopped.is_set():
            self._keeping.close()  # whoever ran the event loop has gone without a stop

    def _ping(self) -> None:
        if self._keeping is not None:
            self._keeping.renewed()


def _over_s(held: Held) -> float:
    """Seconds since the time limit of a running handler; negative before it."""
    entered_at, function = held.entered_at, held.function
    if entered_at is None or function is None:
        return float("-inf")
    return time.monotonic() - entered_at - function.timeout_s

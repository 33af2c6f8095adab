"""The lease: renews all that this worker holds, and its heartbeat, from a thread of its own.

A handler that blocks the event loop does not lose its lease for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable

from scheduler import transitions
from scheduler.clock import RedisClock
from scheduler.errors import Unavailable
from scheduler.store import BlockingStore
from scheduler.transitions import Renewed
from worker.delivery import Held

RENEWALS = 4
"""Renewals in a lease: two may be missed before anyone takes the work away."""

_CHUNK = 1_000
_JOIN_S = 1.0
"""A renewal that Redis does not answer is not waited for: the thread is a daemon."""

_log = logging.getLogger("duestream.lease")


class Lease:
    """What this worker holds, by token.

    Args:
        store: A blocking store of its own.
        worker: The worker's name.
        lease_ms: The lease.
        clock: Told Redis time with each renewal.
        lost: Called on the event loop with deliveries that are another's now.
        reader_id: The connection id of the blocking reader, which the janitor cuts off if this worker is paused.
    """

    def __init__(
        self,
        store: BlockingStore,
        worker: str,
        lease_ms: int,
        clock: RedisClock,
        lost: Callable[[list[Held]], None],
        reader_id: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._store = store
        self._worker = worker
        self._lease_ms = lease_ms
        self._clock = clock
        self._lost = lost
        self._reader_id = reader_id
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="duestream-lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Renew no more; the caller has given everything back."""
        self._stopped.set()
        await asyncio.to_thread(self._thread.join, _JOIN_S)
        if not self._thread.is_alive():
            self._store.close()

    def add(self, held: Iterable[Held]) -> list[Held]:
        """Hold deliveries; returns those that were not held already (a group made anew hands them out again)."""
        with self._lock:
            new = [one for one in held if one.delivery.token not in self._held]
            self._held.update((one.delivery.token, one) for one in new)
        return new

    def remove(self, held: Held) -> None:
        """Let go of a delivery that has its answer."""
        with self._lock:
            self._held.pop(held.delivery.token, None)

    def __len__(self) -> int:
        return len(self._held)

    def held(self) -> list[Held]:
        """All that is held now."""
        with self._lock:
            return list(self._held.values())

    def step(self) -> None:
        """One renewal of everything.

        Raises:
            Unavailable: Redis does not answer.
        """
        held = self.held()
        for start in range(0, max(1, len(held)), _CHUNK):
            chunk = held[start : start + _CHUNK]
            gone = self._gone(chunk, self._renew(chunk, len(held)))
            if gone:
                self._loop.call_soon_threadsafe(self._lost, gone)

    def _renew(self, held: list[Held], running: int) -> Renewed:
        actions = {one.delivery.job_id: one.delivery.token for one in held if one.begun}
        entries: dict[str, list[str]] = defaultdict(list)
        for one in held:
            if not one.begun:
                entries[one.delivery.queue].append(one.delivery.entry)
        reader = str(self._reader_id() or "")
        action_lease_ms = self._lease_ms * 3 // 4
        renewed = self._store.run(
            transitions.renew(self._worker, action_lease_ms, 6 * self._lease_ms, running, reader, actions, entries)
        )
        self._clock.observe(renewed.now_ms)
        return renewed

    def _gone(self, sent: list[Held], renewed: Renewed) -> list[Held]:
        """Those that were lost while they were held. A canceled action's code runs on (C4).

        An action leaves its entry when it begins, and whether it still may is `begin`'s to say.
        """
        lost = set(renewed.lost)
        with self._lock:
            still = [one for one in sent if one.delivery.token in self._held]
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
        every_s = self._lease_ms / RENEWALS / 1000
        wait_s = every_s
        while not self._stopped.wait(wait_s):
            wait_s = every_s
            try:
                self.step()
            except Unavailable as error:
                _log.debug("not renewed: %s", error)
                wait_s = min(0.2, every_s)
            except Exception:  # noqa: BLE001  without renewals all that this worker runs would be taken away
                _log.exception("not renewed")

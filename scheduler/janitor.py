"""The janitor: takes work back from the dead and removes what is past its time. Runs where the promoter leads."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from scheduler import transitions
from scheduler.backoff import Outage
from scheduler.clients import READER_NAME
from scheduler.digits import count_of
from scheduler.errors import DamagedData, Unavailable
from scheduler.job import JobError
from scheduler.leases import heartbeat_ms, lost_after_ms, silent_after_ms
from scheduler.store import AsyncStore

BATCH = 100
_PRUNE_EVERY_S = 60.0
_PRUNE_ANEW_S = 3_600.0
"""So often all is looked at from the first on: what a clock that went back has put behind what was passed."""

_JUMP_MS = 1_000

LOST_ACTION = JobError("WorkerLost", "transient error while executing action")
_log = logging.getLogger("duestream.janitor")


@dataclass(frozen=True, slots=True)
class Swept:
    """What one pass did, and the seconds until the next one is worth it."""

    redelivered: int
    failed: int
    pruned: int
    wait_s: float


class _Seen(NamedTuple):
    """Redis time in epoch ms, with the monotonic seconds at which it was asked for and read."""

    asked: float
    read: float
    now_ms: int


class Janitor:
    """Redelivers, expires, prunes and sweeps.

    Args:
        store: Runs the scripts.
        lease_ms: The time within which the work of a dead worker is taken up again. A delivery counts as lost three
            quarters of it after the last sign of life; renewals come four times in it.
        max_deliveries: After so many deaths a job fails (C3.4).
        leads: Whether this process is the one to do it.
        outage: After Redis was away everybody gets one lease to renew before anyone is judged.
    """

    def __init__(
        self, store: AsyncStore, *, lease_ms: int, max_deliveries: int, leads: Callable[[], bool], outage: Outage
    ) -> None:
        self._store = store
        self._lease_ms = lease_ms
        self._idle_ms = lost_after_ms(lease_ms)
        self._look_s = min(1.0, lease_ms / 10_000)
        self._max_deliveries = max_deliveries
        self._leads = leads
        self._outage = outage
        self._poisoned = JobError("WorkerLost", f"took its worker down {max_deliveries} times").pack()
        self._expired = LOST_ACTION.pack()
        self._seen: _Seen | None = None
        self._patience_until = 0.0
        self._pruned_at = self._pruned_anew_at = float("-inf")
        self._passed_ms: int | None = None

    async def run(self) -> None:
        """Clean until cancelled."""
        while True:
            wait_s = self._look_s
            if self._leads():
                try:
                    wait_s = (await self.step()).wait_s
                except Unavailable as error:
                    await self._outage.wait(error)
                    continue
            await asyncio.sleep(wait_s)

    async def step(self) -> Swept:
        """One pass."""
        redelivered = failed = 0
        wait_s = min(self._idle_ms / 1000, _PRUNE_EVERY_S)
        more = False
        if self._may_judge():
            await self._cut_off()
            back = await self._store.run(
                transitions.redeliver(self._idle_ms, self._max_deliveries, BATCH, self._poisoned)
            )
            lost = await self._store.run(transitions.expire(BATCH, self._expired))
            redelivered, failed = back.redelivered, back.failed + lost.failed
            more = back.more or lost.failed == BATCH
            if back.held > 0 or lost.next_ms is not None:
                wait_s = min(wait_s, self._look_s)
            if redelivered or failed:
                _log.warning("worker lost: redelivered=%d failed=%d", redelivered, failed)
        else:
            wait_s = self._look_s
        pruned, more_records = await self._prune()
        return Swept(redelivered, failed, pruned, 0.0 if more or more_records else wait_s)

    async def _cut_off(self) -> None:
        """Close the blocking reads of silent workers: a paused one would be handed the very deliveries it has lost.

        Before those are lost, so that none is redelivered in between; one that was only late connects again.
        """
        keys, now_ms = self._store.keys, self._now_ms()
        found = await self._store.command(
            "ZRANGEBYSCORE",
            keys.workers,
            "-inf",
            now_ms - silent_after_ms(self._lease_ms),
            "WITHSCORES",
            "LIMIT",
            0,
            BATCH,
        )
        for name, seen_ms in zip(found[::2], found[1::2], strict=True):
            worker = keys.worker(name.decode(errors="replace"))
            try:
                await self._cut_off_one(worker, float(seen_ms), now_ms)
            except DamagedData as error:  # it holds up the others no longer than this
                _log.error("%s: %s", worker, error)

    async def _cut_off_one(self, worker: str, seen_ms: float, now_ms: int) -> None:
        reader, lease_ms = await self._store.command("HMGET", worker, "reader", "lease_ms")
        if reader and seen_ms <= now_ms - silent_after_ms(count_of(lease_ms)):
            await self._store.command("HDEL", worker, "reader")
            # After a restart of the server the id may be anybody's.
            if count_of(reader) and f"name={READER_NAME} ".encode() in await self._store.command(
                "CLIENT", "LIST", "ID", reader
            ):
                await self._store.command("CLIENT", "KILL", "ID", reader)

    async def _prune(self) -> tuple[int, bool]:
        if time.monotonic() - self._pruned_at < _PRUNE_EVERY_S:
            return 0, False
        if time.monotonic() - self._pruned_anew_at >= _PRUNE_ANEW_S:
            self._passed_ms, self._pruned_anew_at = None, time.monotonic()
        pruned = await self._store.run(transitions.prune(BATCH, passed_ms=self._passed_ms))
        self._passed_ms = pruned.passed_ms
        if not pruned.more:
            await self._store.run(transitions.sweep(heartbeat_ms(self._lease_ms), BATCH))
            self._pruned_at = time.monotonic()
        return pruned.removed, pruned.more

    def observe(self, now_ms: int, asked: float) -> None:
        """Take note of Redis time, leading or not: after a jump of its clock leases look older than they are.

        Args:
            now_ms: What it told, in epoch ms.
            asked: Monotonic seconds at which it was asked. It told the time at some moment between that and now: an
                answer that was late, or was read late by a busy process, is no jump.
        """
        now = time.monotonic()
        if self._seen is not None:
            passed_ms = now_ms - self._seen.now_ms
            least_ms, most_ms = (asked - self._seen.read) * 1000, (now - self._seen.asked) * 1000
            jump_ms = max(0.0, passed_ms - most_ms) + min(0.0, passed_ms - least_ms)
            if abs(jump_ms) > _JUMP_MS:
                _log.warning("the server's clock jumped by %.1f s: no lease is judged for a while", jump_ms / 1000)
                self._patience_until = now + self._lease_ms / 1000
        self._seen = _Seen(asked, now, now_ms)

    def _now_ms(self) -> int:
        """Redis time in epoch ms. The last look at it can be as old as the promoter sleeps."""
        assert self._seen is not None
        return self._seen.now_ms + int((time.monotonic() - self._seen.read) * 1000)

    def _may_judge(self) -> bool:
        """Not soon after a lost contact, a pause of this process or a jump of the server's clock."""
        now = time.monotonic()
        since_contact_ms = (now - self._outage.contact_since) * 1000
        return self._seen is not None and now >= self._patience_until and since_contact_ms >= self._idle_ms

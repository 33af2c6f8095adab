"""The pruner: removes old rows of inboxes whose jobs have ended. Runs where the promoter leads (C6.4)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scheduler import transitions
from scheduler.app import App
from scheduler.backoff import Outage
from scheduler.clock import RedisClock
from scheduler.errors import Unavailable
from scheduler.inbox import Prunable, is_async
from scheduler.store import AsyncStore
from worker.threads import run_in
from worker.unit import THREAD_NAME

BATCH = 100
_EVERY_S = 3600.0
_LOOK_S = 1.0
_log = logging.getLogger("duestream.pruner")


class Pruner:
    """Prunes the inboxes of an app's mutations, those that can be.

    Args:
        app: Whose inboxes; rows of other apps in the same tables are not touched.
        store: Knows which jobs have not ended.
        clock: Redis time.
        leads: Whether this process is the one to do it.
        outage: What to do when Redis is away.
    """

    def __init__(
        self, app: App, store: AsyncStore, clock: RedisClock, leads: Callable[[], bool], outage: Outage
    ) -> None:
        self._prefix = f"{app.namespace}:"
        self._store = store
        self._clock = clock
        self._leads = leads
        self._outage = outage
        used: dict[int, object] = {id(one.transaction): one.transaction for one in app.functions.values()}
        self._inboxes: list[Prunable] = [one for one in used.values() if isinstance(one, Prunable)]

    @property
    def needed(self) -> bool:
        """Whether there is anything to prune at all."""
        return bool(self._inboxes)

    async def run(self) -> None:
        """Prune once an hour, until cancelled."""
        pruned_at = float("-inf")
        while True:
            if self._leads() and time.monotonic() - pruned_at >= _EVERY_S:
                try:
                    await self.step()
                except Unavailable as error:
                    await self._outage.wait(error)
                    continue
                pruned_at = time.monotonic()
            await asyncio.sleep(_LOOK_S)

    async def step(self) -> int:
        """One pass over all inboxes; how many rows went. What cannot be asked now is left for the next pass."""
        removed = 0
        for inbox in self._inboxes:
            try:
                removed += await self._prune(inbox)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001  a database may be away, and the others are pruned all the same
                _log.warning("an inbox was not pruned: %s: %s", type(error).__name__, error)
        if removed:
            _log.info("pruned rows=%d", removed)
        return removed

    async def _prune(self, inbox: Prunable) -> int:
        before_ms = self._clock.now_ms() - int(inbox.keep_s * 1000)
        removed, after = 0, ""
        while found := await _ask(inbox, inbox.find_old, self._prefix, before_ms, after, BATCH):
            after = found[-1]
            jobs = await self._store.run(transitions.show([row.removeprefix(self._prefix) for row in found]))
            # A job that has not ended may yet be delivered: its row is all that keeps its handler from running again.
            ended = [row for row, job in zip(found, jobs, strict=True) if job is None or job.state.final]
            if ended:
                await _ask(inbox, inbox.forget, ended)
            removed += len(ended)
            if len(found) < BATCH:
                break
        return removed


async def _ask(inbox: Any, method: Callable[..., Any], *args: Any) -> Any:
    """Call a method of an inbox, async or blocking."""
    if is_async(inbox):
        return await method(*args)
    threads = ThreadPoolExecutor(1, thread_name_prefix=THREAD_NAME)
    try:
        return await run_in(threads, lambda: method(*args))
    finally:
        threads.shutdown(wait=False)

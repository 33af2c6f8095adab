"""Waiting for jobs to end: a mark on the job, and a list that the finishing script posts to. Nobody polls.

A mark or a posting can be lost with a connection or with Redis; so a wait looks again every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time

from scheduler import transitions
from scheduler.ending import end
from scheduler.errors import Unavailable
from scheduler.refusals import CONNECTION_LOST, ServerError
from scheduler.script_call import Word
from scheduler.store import AsyncStore, BlockingStore

_BLOCK_S = 5.0
_BACKOFF_S = 0.5
_CLOSE_S = 1.0


class Mailbox:
    """All waits of one client: one list, one blocking connection, however many jobs are waited for."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._name = secrets.token_urlsafe(12)
        self._listener = store.blocking(_BLOCK_S)
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._forgetting: dict[str, asyncio.Task[None]] = {}

    async def wait(self, job_id: str) -> None:
        """Return when the job has ended or has no record. Cancelling the wait takes its mark back.

        Raises:
            Unavailable: Redis does not answer.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, []).append(future)
        try:
            if job_id in self._forgetting:  # on its way, it would take the new mark too
                await asyncio.wait([self._forgetting[job_id]])
            while await self._store.run(transitions.watch(job_id, self._name)) is Word.WATCHING:
                if self._reader is None:
                    self._reader = asyncio.create_task(self._read())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_BLOCK_S):
                        await asyncio.shield(future)
                if future.done():
                    return
        except asyncio.CancelledError:
            self._forget(job_id, future)
            raise
        finally:
            self._drop(job_id, future)

    async def close(self) -> None:
        """Stop reading; waits that are still open are cancelled."""
        for futures in self._waiting.values():
            for future in futures:
                future.cancel()
        if self._reader is not None:
            await end(self._reader)
        if self._forgetting:
            _, late = await asyncio.wait(self._forgetting.values(), timeout=_CLOSE_S)
            await end(*late)

    async def _read(self) -> None:
        """Take the mail out and wake who waits, while anybody does."""
        key = self._store.keys.mail(self._name)
        try:
            while self._waiting:
                try:
                    mail = await self._listener.execute("BLPOP", key, _BLOCK_S)
                except (*CONNECTION_LOST, ServerError):
                    await asyncio.sleep(_BACKOFF_S)
                    continue
                for future in self._waiting.get(mail[1].decode(errors="replace"), ()) if mail else ():
                    if not future.done():
                        future.set_result(None)
        finally:
            self._reader = None

    def _forget(self, job_id: str, future: asyncio.Future[None]) -> None:
        """Take the mark back, behind the back of whoever has waited long enough."""
        if self._waiting.get(job_id) == [future] and job_id not in self._forgetting:
            self._forgetting[job_id] = asyncio.create_task(self._unwatch(job_id))

    async def _unwatch(self, job_id: str) -> None:
        try:
            with contextlib.suppress(Unavailable):  # the end is then posted to a list that lives for a minute
                await self._store.run(transitions.unwatch(job_id, self._name))
        finally:
            del self._forgetting[job_id]

    def _drop(self, job_id: str, future: asyncio.Future[None]) -> None:
        left = [one for one in self._waiting.get(job_id, ()) if one is not future]
        if left:
            self._waiting[job_id] = left
        else:
            self._waiting.pop(job_id, None)


def wait_blocking(store: BlockingStore, job_id: str, deadline: float | None) -> bool:
    """Wait until the job has ended or has no record; False when `deadline` (monotonic seconds) passed before.

    Raises:
        Unavailable: Redis does not answer.
    """
    mailbox = secrets.token_urlsafe(12)
    while store.run(transitions.watch(job_id, mailbox)) is Word.WATCHING:
        left = _BLOCK_S if deadline is None else min(_BLOCK_S, deadline - time.monotonic())
        if left <= 0:
            store.run(transitions.unwatch(job_id, mailbox))
            return False
        with contextlib.suppress(Unavailable):  # the next look tells whether Redis is away
            store.block(left, "BLPOP", store.keys.mail(mailbox), max(0.01, left))
    return True

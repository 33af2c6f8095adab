"""One SQL transaction of one start of a mutation, async or in a thread of its own, seen as the same thing."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, Protocol, cast

from scheduler.app import App
from scheduler.function import AnyFunction
from scheduler.inbox import AnyInbox, AsyncInbox, BlockingInbox, is_async
from worker.outcome import transient_of
from worker.threads import run_in

THREAD_NAME = "duestream-sql"
_log = logging.getLogger("duestream.unit")


class Unit(Protocol):
    """An open transaction. Nothing of it stays unless `commit` was called.

    Attributes:
        session: What the handler gets as `ctx.sql`.
        threads: The one thread that a plain handler and all calls of the transaction run in; None for async.
    """

    session: Any
    threads: ThreadPoolExecutor | None

    async def take(self, now_ms: int) -> bytes | None:
        """See `AsyncInbox.take`."""

    async def record(self, outcome: bytes) -> None:
        """See `AsyncInbox.record`."""

    async def commit(self) -> None:
        """See `AsyncInbox.commit`."""

    def abandon(self) -> None:
        """A plain handler goes on although nobody waits for it: the transaction is rolled back when it returns."""


def row_key(app: App, job_id: str) -> str:
    """The key of a job's row: apps may share an inbox."""
    return f"{app.namespace}:{job_id}"


def is_transient(app: App, function: AnyFunction, error: BaseException) -> bool:
    """Whether a mutation with `transaction=` that ended so is to run again (C3.3)."""
    assert function.transaction is not None
    return isinstance(error, transient_of(app, function)) or function.transaction.is_transient(error)


def opened(inbox: AnyInbox, job: str) -> AbstractAsyncContextManager[Unit]:
    """Open a transaction for the row `job`; leaving the block rolls back what was not committed."""
    if is_async(inbox):
        return _opened(cast("AsyncInbox[Any]", inbox), job)
    return _opened_in_thread(cast("BlockingInbox[Any]", inbox), job)


@asynccontextmanager
async def _opened(inbox: AsyncInbox[Any], job: str) -> AsyncIterator[Unit]:
    async with inbox.begin() as session:
        yield _AsyncUnit(inbox, session, job)


@asynccontextmanager
async def _opened_in_thread(inbox: BlockingInbox[Any], job: str) -> AsyncIterator[Unit]:
    threads = ThreadPoolExecutor(1, thread_name_prefix=THREAD_NAME)
    try:
        block = inbox.begin()
        unit = _ThreadUnit(inbox, await run_in(threads, block.__enter__), job, threads)
        try:
            yield unit
        finally:
            await unit.leave(block)
    finally:
        threads.shutdown(wait=False)


def _tell(left: Future[bool | None]) -> None:
    error = left.exception()
    if error is not None:
        _log.warning("an abandoned transaction was not rolled back: %s: %s", type(error).__name__, error)


class _AsyncUnit:
    def __init__(self, inbox: AsyncInbox[Any], session: Any, job: str) -> None:
        self._inbox = inbox
        self._job = job
        self.session = session
        self.threads: ThreadPoolExecutor | None = None

    async def take(self, now_ms: int) -> bytes | None:
        return await self._inbox.take(self.session, self._job, now_ms)

    async def record(self, outcome: bytes) -> None:
        await self._inbox.record(self.session, self._job, outcome)

    async def commit(self) -> None:
        await self._inbox.commit(self.session)

    def abandon(self) -> None:
        raise AssertionError("an async handler cannot outlive its cancel")


class _ThreadUnit:
    def __init__(self, inbox: BlockingInbox[Any], session: Any, job: str, threads: ThreadPoolExecutor) -> None:
        self._inbox = inbox
        self._job = job
        self._thread = threads
        self._abandoned = False
        self.session = session
        self.threads: ThreadPoolExecutor | None = threads

    async def take(self, now_ms: int) -> bytes | None:
        return await run_in(self._thread, lambda: self._inbox.take(self.session, self._job, now_ms))

    async def record(self, outcome: bytes) -> None:
        await run_in(self._thread, lambda: self._inbox.record(self.session, self._job, outcome))

    async def commit(self) -> None:
        await run_in(self._thread, lambda: self._inbox.commit(self.session))

    def abandon(self) -> None:
        self._abandoned = True

    async def leave(self, block: AbstractContextManager[Any]) -> None:
        if self._abandoned:
            self._thread.submit(block.__exit__, None, None, None).add_done_callback(_tell)
        else:
            await run_in(self._thread, lambda: block.__exit__(None, None, None))

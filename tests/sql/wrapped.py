"""An inbox of SQLAlchemy whose single calls a test replaces."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from scheduler.sql import SqlTransaction


class SqlTransactionOf:
    """Does what `SqlTransaction(engine)` does."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.inner = SqlTransaction(engine)

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        return self.inner.begin()

    async def take(self, session: AsyncSession, job: str, now_ms: int) -> bytes | None:
        return await self.inner.take(session, job, now_ms)

    async def record(self, session: AsyncSession, job: str, outcome: bytes) -> None:
        await self.inner.record(session, job, outcome)

    async def commit(self, session: AsyncSession) -> None:
        await self.inner.commit(session)

    def savepoint(self, session: AsyncSession) -> AbstractAsyncContextManager[Any]:
        return self.inner.savepoint(session)

    def is_transient(self, error: BaseException) -> bool:
        return self.inner.is_transient(error)

"""Mutations whose effects are in SQL, by SQLAlchemy 2 (C6.4): the extra `duestream[sql]`.

engine = create_async_engine("postgresql+asyncpg://…")

@app.mutation(transaction=SqlTransaction(engine))
async def transfer(ctx: SqlContext[AsyncSession], source: int, target: int, cents: int) -> None:
    await ctx.sql.execute(…)
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, overload

from sqlalchemy import (
    BigInteger,
    Column,
    Delete,
    Engine,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Update,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import Insert

from scheduler.errors import ConfigurationError, InvalidCall, InvalidOption
from scheduler.settings import at_least_zero

INBOX = "duestream_inbox"
KEEP_S = 30 * 24 * 3600

_JOB_CHARS = 96
_TRANSIENT_STATES = ("40001", "40P01", "08", "53", "57P0")
"""Beginnings of SQLSTATEs: serialization failure, deadlock, connection lost, out of resources, server stops."""


def create_inbox(metadata: MetaData, *, schema: str | None = None) -> Table:
    """The table `duestream_inbox`, one row a job, in your own metadata: so it comes with `create_all` or Alembic.

    Columns: `job` ("<namespace>:<job id>"), `taken_ms` (epoch ms), `outcome` (see `scheduler.inbox.Outcome`).
    """
    key = String(_JOB_CHARS).with_variant(
        mysql.VARCHAR(_JOB_CHARS, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
    )
    return Table(
        INBOX,
        metadata,
        Column("job", key, primary_key=True),
        Column("taken_ms", BigInteger, nullable=False, index=True),
        Column("outcome", LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")),
        schema=schema,
    )


@overload
def SqlTransaction(engine: AsyncEngine, *, keep_s: float = ..., schema: str | None = ...) -> AsyncSqlTransaction: ...
@overload
def SqlTransaction(engine: Engine, *, keep_s: float = ..., schema: str | None = ...) -> BlockingSqlTransaction: ...
def SqlTransaction(  # noqa: N802  read as the class that it returns
    engine: AsyncEngine | Engine, *, keep_s: float = KEEP_S, schema: str | None = None
) -> AsyncSqlTransaction | BlockingSqlTransaction:
    """`transaction=` of a mutation: `ctx.sql` is a session, and what it does happens exactly once (C3.1, C6.4).

    Args:
        engine: An async one for `async def` handlers, a plain one for plain `def`. Its isolation level is the
            transaction's; serialization failures run again.
        keep_s: How long the rows of the inbox are kept, in seconds.
        schema: Where the inbox is, as given to `create_inbox`.

    Raises:
        InvalidOption: No engine, or an unusable `keep_s`.
    """
    at_least_zero("keep_s", keep_s)
    if isinstance(engine, AsyncEngine):
        return AsyncSqlTransaction(engine, _Statements(engine.dialect.name, schema), keep_s)
    if isinstance(engine, Engine):
        return BlockingSqlTransaction(engine, _Statements(engine.dialect.name, schema), keep_s)
    raise InvalidOption(f"engine: expected an Engine or an AsyncEngine of SQLAlchemy, got a {type(engine).__name__}")


class _Statements:
    """The few statements of the inbox, for one dialect."""

    def __init__(self, dialect: str, schema: str | None) -> None:
        self.table = create_inbox(MetaData(), schema=schema)
        self._dialect = dialect

    def take(self, job: str, now_ms: int) -> Insert:
        row = {"job": job, "taken_ms": now_ms}
        if self._dialect == "postgresql":
            return postgresql.insert(self.table).values(row).on_conflict_do_nothing()
        if self._dialect == "sqlite":
            return sqlite.insert(self.table).values(row).on_conflict_do_nothing()
        if self._dialect in ("mysql", "mariadb"):
            return insert(self.table).values(row).prefix_with("IGNORE")
        raise ConfigurationError(f"transaction: no inbox for the dialect {self._dialect!r}")

    def find(self, job: str) -> Select[Any]:
        return select(self.table.c.outcome).where(self.table.c.job == job)

    def record(self, job: str, outcome: bytes) -> Update:
        return update(self.table).where(self.table.c.job == job).values(outcome=outcome)

    def find_old(self, prefix: str, before_ms: int, after: str, limit: int) -> Select[Any]:
        job, taken_ms = self.table.c.job, self.table.c.taken_ms
        old = select(job).where(taken_ms < before_ms, job.startswith(prefix, autoescape=True), job > after)
        return old.order_by(job).limit(limit)

    def forget(self, jobs: Sequence[str]) -> Delete:
        return delete(self.table).where(self.table.c.job.in_(jobs))


class AsyncSqlTransaction:
    """An `AsyncInbox` with an `AsyncSession`; made by `SqlTransaction`."""

    def __init__(self, engine: AsyncEngine, statements: _Statements, keep_s: float) -> None:
        self._engine = engine
        self._statements = statements
        self.keep_s = keep_s

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        # The transaction is the connection's: `ctx.sql.commit()` in a handler flushes, and commits nothing.
        async with self._engine.connect() as connection:
            await connection.begin()
            async with AsyncSession(connection, join_transaction_mode="rollback_only") as session:
                yield session

    async def take(self, session: AsyncSession, job: str, now_ms: int) -> bytes | None:
        inserted = await session.execute(self._statements.take(job, now_ms))
        if _rows(inserted):
            return None
        found: bytes | None = (await session.execute(self._statements.find(job))).scalar_one()
        return found or b""

    async def record(self, session: AsyncSession, job: str, outcome: bytes) -> None:
        await session.flush()
        _check_recorded(_rows(await session.execute(self._statements.record(job, outcome))))

    async def commit(self, session: AsyncSession) -> None:
        await (await session.connection()).commit()

    def savepoint(self, session: AsyncSession) -> AbstractAsyncContextManager[Any]:
        return session.begin_nested()

    def is_transient(self, error: BaseException) -> bool:
        return is_transient(error)

    async def find_old(self, prefix: str, before_ms: int, after: str, limit: int) -> list[str]:
        async with self._engine.connect() as connection:
            found = await connection.execute(self._statements.find_old(prefix, before_ms, after, limit))
            return list(found.scalars())

    async def forget(self, jobs: Sequence[str]) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(self._statements.forget(jobs))


class BlockingSqlTransaction:
    """A `BlockingInbox` with a `Session`; made by `SqlTransaction`."""

    def __init__(self, engine: Engine, statements: _Statements, keep_s: float) -> None:
        self._engine = engine
        self._statements = statements
        self.keep_s = keep_s

    @contextmanager
    def begin(self) -> Iterator[Session]:
        with self._engine.connect() as connection:
            connection.begin()
            with Session(connection, join_transaction_mode="rollback_only") as session:
                yield session

    def take(self, session: Session, job: str, now_ms: int) -> bytes | None:
        if _rows(session.execute(self._statements.take(job, now_ms))):
            return None
        found: bytes | None = session.execute(self._statements.find(job)).scalar_one()
        return found or b""

    def record(self, session: Session, job: str, outcome: bytes) -> None:
        session.flush()
        _check_recorded(_rows(session.execute(self._statements.record(job, outcome))))

    def commit(self, session: Session) -> None:
        session.connection().commit()

    def savepoint(self, session: Session) -> AbstractContextManager[Any]:
        return session.begin_nested()

    def is_transient(self, error: BaseException) -> bool:
        return is_transient(error)

    def find_old(self, prefix: str, before_ms: int, after: str, limit: int) -> list[str]:
        with self._engine.connect() as connection:
            return list(connection.execute(self._statements.find_old(prefix, before_ms, after, limit)).scalars())

    def forget(self, jobs: Sequence[str]) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._statements.forget(jobs))


def is_transient(error: BaseException) -> bool:
    """Whether an error of SQLAlchemy passes with time (C3.3): a lost connection, a conflict, a full pool."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.OperationalError):
        # Python's driver says the same of a locked database and of a statement that is wrong.
        return error.orig.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or ""
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return True
    return str(state).startswith(_TRANSIENT_STATES)


def _rows(result: Any) -> int:
    return int(result.rowcount)


def _check_recorded(rows: int) -> None:
    if rows != 1:
        raise InvalidCall(
            "ctx.sql: the handler has rolled its transaction back; use ctx.sql.begin_nested() to undo a part"
        )

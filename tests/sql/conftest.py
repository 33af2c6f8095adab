"""A database of each test's own on real servers, with the inbox and one table of counters in it.

MySQL or MariaDB run through the same tests where `DUESTREAM_TEST_MYSQL_URL` names a database that may be emptied, as
"mysql+aiomysql://..."; plain engines then use pymysql.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, Integer, MetaData, String, create_engine, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from scheduler.inbox import Outcome
from scheduler.sql import create_inbox
from tests.sql.postgres import PostgresServer

MYSQL_URL = os.environ.get("DUESTREAM_TEST_MYSQL_URL")
KINDS = ["postgresql", "sqlite", *(["mysql"] if MYSQL_URL else [])]


class Base(DeclarativeBase):
    metadata = MetaData()


class Counter(Base):
    __tablename__ = "counters"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, default=0)


INBOX = create_inbox(Base.metadata)


@dataclass(frozen=True)
class Database:
    """One database. `look` is an engine for tests to look and meddle with."""

    kind: str
    async_url: str
    blocking_url: str
    look: Engine

    def counters(self) -> dict[str, int]:
        """Name and number of every counter."""
        with self.look.connect() as connection:
            return {row.name: row.number for row in connection.execute(select(Counter.name, Counter.number))}

    def rows(self) -> dict[str, bytes | None]:
        """The inbox: outcome by job id."""
        with self.look.connect() as connection:
            found = connection.execute(select(INBOX.c.job, INBOX.c.outcome))
            return {job.partition(":")[2]: outcome for job, outcome in found}

    def outcomes(self) -> dict[str, str]:
        """The inbox: state by job id."""
        return {job_id: Outcome.unpack(outcome or b"").state.value for job_id, outcome in self.rows().items()}


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


_CUT_OFF = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
def postgresql(postgres: PostgresServer) -> Iterator[Database]:
    """A database on PostgreSQL: always the same, with new tables and no other client."""
    url = postgres.url("postgres", "psycopg")
    look = create_engine(url)
    with look.begin() as connection:
        connection.execute(text(_CUT_OFF))
    Base.metadata.drop_all(look)
    Base.metadata.create_all(look)
    yield Database("postgresql", postgres.url("postgres"), url, look)
    look.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """A database in a file."""
    file = tmp_path / "data.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    look = create_engine(f"sqlite:///{file}")
    Base.metadata.create_all(look)
    yield Database("sqlite", f"sqlite+aiosqlite:///{file}", f"sqlite:///{file}", look)
    look.dispose()


@pytest.fixture
def mysql() -> Iterator[Database]:
    """The database of `DUESTREAM_TEST_MYSQL_URL`, emptied."""
    assert MYSQL_URL is not None
    blocking_url = make_url(MYSQL_URL).set(drivername="mysql+pymysql").render_as_string(hide_password=False)
    look = create_engine(blocking_url)
    Base.metadata.drop_all(look)
    Base.metadata.create_all(look)
    yield Database("mysql", MYSQL_URL, blocking_url, look)
    Base.metadata.drop_all(look)
    look.dispose()


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Database:
    """On every kind of server."""
    database: Database = request.getfixturevalue(request.param)
    return database


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(database.async_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def plain_engine(database: Database) -> Iterator[Engine]:
    engine = create_engine(database.blocking_url)
    yield engine
    engine.dispose()

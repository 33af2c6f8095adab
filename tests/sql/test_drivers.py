"""What each driver tells of the inbox's first statement: whether the row is one's own (C6.4)."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from scheduler.sql import SqlTransaction
from tests.sql.conftest import Database

OUTCOME = b"how it ended"


def test_a_plain_driver_finds_the_row_of_an_earlier_start(plain_engine: Engine, database: Database) -> None:
    """psycopg told -1 rows for any INSERT, so a committed job's row was taken for a new one, and it ran again."""
    inbox = SqlTransaction(plain_engine)
    with inbox.begin() as session:
        assert inbox.take(session, "app:job", 1) is None
        inbox.record(session, "app:job", OUTCOME)
        inbox.commit(session)
    with inbox.begin() as session:
        assert inbox.take(session, "app:job", 2) == OUTCOME


@pytest.mark.parametrize("driver", ["", "postgresql+psycopg"])
async def test_an_async_driver_finds_the_row_of_an_earlier_start(database: Database, driver: str) -> None:
    url = make_url(database.async_url)
    if driver.startswith(f"{database.kind}+"):
        url = url.set(drivername=driver)
    engine = create_async_engine(url)
    inbox = SqlTransaction(engine)
    async with inbox.begin() as session:
        assert await inbox.take(session, "app:job", 1) is None
        await inbox.record(session, "app:job", OUTCOME)
        await inbox.commit(session)
    async with inbox.begin() as session:
        assert await inbox.take(session, "app:job", 2) == OUTCOME
    await engine.dispose()

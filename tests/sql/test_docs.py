"""The recipe of `docs/sql.md` for psycopg 3, by the very code that stands there."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from scheduler import App, BlockingSqlContext, JobFailed, JobId, Scheduler
from scheduler.inbox import BlockingInbox
from tests.conftest import StartWorker
from tests.sql.conftest import INBOX, Database
from tests.sql.postgres import PostgresServer

PAGE = (Path(__file__).parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")

Connection = psycopg.Connection[tuple[Any, ...]]
Context = BlockingSqlContext[Connection]


def block(language: str, beginning: str) -> str:
    """The block of code of the page that begins so."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (one,) = (code for code in found if code.startswith(beginning))
    return str(one)


@pytest.fixture
def url_of_sql(postgres: PostgresServer, postgresql: Database) -> str:
    """A database with the table as the page makes it."""
    INBOX.drop(postgresql.look)
    with postgresql.look.begin() as connection:
        connection.execute(text(block("sql", "CREATE TABLE duestream_inbox")))
    return postgres.url("postgres", "")


@pytest.fixture
def recipe(url_of_sql: str) -> type[Any]:
    names: dict[str, Any] = {"contextmanager": contextmanager, "psycopg": psycopg}
    exec(block("python", "class PsycopgTransaction"), names)
    recipe: type[Any] = names["PsycopgTransaction"]
    return recipe


def test_it_is_short(recipe: type[Any]) -> None:
    code = [line for line in block("python", "class PsycopgTransaction").splitlines() if line.strip()]
    assert len(code) <= 26
    assert isinstance(recipe(None), BlockingInbox)


async def test_it_does_what_the_page_says(
    app: App, scheduler: Scheduler, postgresql: Database, url_of_sql: str, recipe: type[Any], start_worker: StartWorker
) -> None:
    # C3.1, C3.2, C3.3, C3.9, C6.4
    class Losing(recipe):  # type: ignore[misc]
        """The answer to the first COMMIT is lost."""

        lost = False

        def commit(self, connection: Connection) -> None:
            super().commit(connection)
            if not self.lost:
                self.lost = True
                raise psycopg.OperationalError("the connection is lost")

    transaction: BlockingInbox[Connection] = Losing(lambda: psycopg.connect(url_of_sql))
    starts: list[str] = []

    @app.mutation(transaction=transaction)
    def count(ctx: Context, name: str, fail: bool) -> JobId:
        starts.append(name)
        ctx.sql.execute("INSERT INTO counters (name, number) VALUES (%s, 1)", (name,))
        with pytest.raises(psycopg.errors.UniqueViolation):
            ctx.run_mutation(again, name)
        if fail:
            raise ValueError("no")
        return ctx.scheduler.run_after(60_000, again, "child")

    @app.mutation(transaction=transaction)
    def again(ctx: Context, name: str) -> None:
        ctx.sql.execute("INSERT INTO counters (name, number) VALUES (%s, 1)", (name,))

    @app.mutation(transaction=transaction)
    def rolls_back(ctx: Context) -> None:
        ctx.sql.rollback()

    await start_worker()
    done = await scheduler.run_after(0, count, "a", False)
    child = await scheduler.result(done, timeout=10)
    failed, rolled_back = await scheduler.run_after(0, count, "b", True), await scheduler.run_after(0, rolls_back)
    for job_id, message in ((failed, "no"), (rolled_back, "rolled its transaction back")):
        with pytest.raises(JobFailed, match=message):
            await scheduler.result(job_id, timeout=10)
    assert (starts, postgresql.counters()) == (["a", "b"], {"a": 1})
    assert postgresql.outcomes() == {done: "success", failed: "failed", rolled_back: "failed"}
    assert await scheduler.get(child) is not None
    assert await scheduler.count(state="pending") == 1


@pytest.mark.parametrize("language", ["python", "sql"])
def test_the_page_is_python_and_sql_throughout(language: str) -> None:
    for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL):
        if language == "python":
            compile(code, "docs/sql.md", "exec")
        else:
            assert code.count(";") == 2

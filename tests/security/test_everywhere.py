"""Signed and encrypted at once, on all the ways that a job can take: SQL, mutations at once, the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from scheduler import ActionContext, App, JobFailed, MutationContext, Scheduler, SqlContext, SyncScheduler
from scheduler.cli import cli
from scheduler.keyring import ENCRYPTION_KEY, SIGNING_KEY
from scheduler.sql import SqlTransaction, create_inbox
from tests.conftest import StartWorker
from tests.security.conftest import NEW, OLD, OTHER

SECRET = "4929-1234-5678-9012"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'data.db'}")
    async with engine.begin() as connection:
        await connection.execute(text("PRAGMA journal_mode=WAL"))
        await connection.execute(text("CREATE TABLE notes (text TEXT)"))
        await connection.run_sync(create_inbox(MetaData()).create)
    yield engine
    await engine.dispose()


@pytest.fixture
def app(namespace: str, url: str, engine: AsyncEngine) -> App:
    """An app that signs and encrypts."""
    app = App(namespace, url=url, signing_key=OLD, encryption_key=NEW)
    transaction = SqlTransaction(engine)

    @app.mutation(name="shop:leaf")
    async def leaf(ctx: MutationContext, card: str) -> str:
        return f"leaf of {card}"

    @app.mutation(name="shop:note", transaction=transaction)
    async def note(ctx: SqlContext[AsyncSession], card: str) -> list[str]:
        await ctx.sql.execute(text("INSERT INTO notes VALUES (:card)"), {"card": card})
        return [await ctx.scheduler.run_after(5, leaf, card), await ctx.run_mutation(inner, card)]

    @app.mutation(name="shop:inner", transaction=transaction)
    async def inner(ctx: SqlContext[AsyncSession], card: str) -> str:
        return await ctx.scheduler.run_after(0, leaf, card)

    @app.mutation(name="shop:refuse", transaction=transaction)
    async def refuse(ctx: SqlContext[AsyncSession], card: str) -> None:
        raise ValueError(f"no: {card}")

    @app.action(name="shop:act")
    async def act(ctx: ActionContext, card: str) -> list[str]:
        return await ctx.run_mutation(note, card)

    return app


@pytest.mark.parametrize("name", ["shop:note", "shop:act"])
async def test_mutations_in_sql(app: App, url: str, scheduler: Scheduler, start_worker: StartWorker, name: str) -> None:
    # C6.4: their children are signed and encrypted before they go into the row.
    await start_worker()
    for child in await scheduler.result(await scheduler.run_after(0, name, SECRET), timeout=10):
        assert await scheduler.result(child, timeout=10) == f"leaf of {SECRET}"
        record = await scheduler.get(child)
        assert record is not None
        assert record.args == [SECRET]
    with pytest.raises(JobFailed, match=f"no: {SECRET}"):
        await scheduler.result(await scheduler.run_after(0, "shop:refuse", SECRET), timeout=10)
    with redis.Redis.from_url(url, protocol=2) as client:
        every: Any = [client.dump(key) for key in client.scan_iter(count=1000)]
    assert SECRET.encode() not in b"".join(every)


async def test_the_command_line_by_name_takes_its_keys_from_the_environment(
    app: App, url: str, start_worker: StartWorker, namespace: str
) -> None:
    await start_worker()
    words = ["enqueue", "shop:leaf", f"card={SECRET}", "--wait", "--timeout", "20s", "-u", url, "-n", namespace]
    keys = {SIGNING_KEY: OLD, ENCRYPTION_KEY: f"{NEW.decode()},{OTHER}"}
    done = await asyncio.to_thread(CliRunner(env=keys).invoke, cli, words)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == f"leaf of {SECRET}"
    refused = await asyncio.to_thread(CliRunner(env={SIGNING_KEY: OTHER}).invoke, cli, words)
    assert refused.exit_code == 1
    assert "the error is encrypted" in refused.output
    bad = await asyncio.to_thread(CliRunner(env={SIGNING_KEY: "short"}).invoke, cli, words)
    assert f"{SIGNING_KEY}: expected at least 32 random bytes" in bad.output


async def test_bulk_from_a_file_is_signed(app: App, url: str, start_worker: StartWorker, tmp_path: Path) -> None:
    # C2.11
    await start_worker()
    lines = "".join(f'{{"function": "shop:leaf", "args": ["{number}"]}}\n' for number in range(50))
    (tmp_path / "calls").write_text(lines)
    words = ["enqueue", "--from", str(tmp_path / "calls"), "-u", url, "-n", app.namespace]
    done = await asyncio.to_thread(CliRunner(env={SIGNING_KEY: OLD}).invoke, cli, words)
    assert done.exit_code == 0, done.output
    assert await asyncio.to_thread(_count_successes, app, url) == 50


def _count_successes(app: App, url: str) -> int:
    with SyncScheduler(app, url=url) as client:
        ids = [job.id for state in ("pending", "success") for job in client.list(state=state).jobs]
        return len({client.result(job_id, timeout=20) for job_id in ids})

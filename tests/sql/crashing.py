"""An app in SQL whose worker dies or stands still at a point around its COMMIT; run by worker processes of the tests.

`CRASH_POINT` names the point: "after" (killed once a job, right after its COMMIT), "before" (killed in each COMMIT,
before it happens), "hold commit" and "hold handler" (waits for the file `release` there).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from scheduler import App, MutationContext, SqlContext
from tests.sql.wrapped import SqlTransactionOf
from tests.worker.faulty import mark, until_released

POINT = os.environ.get("CRASH_POINT", "")
FOLDER = os.environ.get("CRASH_FOLDER", "")

app = App(os.environ.get("FAULTY_NAMESPACE", "crashing"))


class Crashing(SqlTransactionOf):
    """`SqlTransaction(engine)` with a grave at its COMMIT."""

    async def record(self, session: AsyncSession, job: str, outcome: bytes) -> None:
        session.info["job"] = job
        await super().record(session, job, outcome)

    async def commit(self, session: AsyncSession) -> None:
        if POINT == "before":
            die()
        if POINT == "hold commit":
            mark(FOLDER, "sealed")
            await until_released(FOLDER)
        await super().commit(session)
        killed = Path(FOLDER) / f"killed-{session.info['job'].rpartition(':')[2]}"
        if POINT == "after" and not killed.exists():
            killed.touch()
            die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# Made here, connected only in the process that uses it.
_engine = create_async_engine(os.environ.get("CRASH_DATABASE", "sqlite+aiosqlite://"))


@app.mutation(transaction=Crashing(_engine))
async def count(ctx: SqlContext[AsyncSession]) -> int:
    mark(FOLDER, f"start-{ctx.job_id}")
    await ctx.sql.execute(text("UPDATE counters SET number = number + 1"))
    await ctx.scheduler.run_after(0, child)
    if POINT == "hold handler":
        mark(FOLDER, "inside")
        await until_released(FOLDER)
    return ctx.attempt


@app.internal_mutation
async def child(ctx: MutationContext) -> None: ...


def work(url: str, *options: str) -> None:
    from tests.worker.processes import run_worker

    asyncio.run(run_worker(app, url, options))


def work_again_and_again(url: str, *options: str) -> None:
    """A new process whenever one is killed, by fork: a hundred new interpreters would take minutes."""
    while True:
        pid = os.fork()
        if pid == 0:
            work(url, *options)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.WEXITSTATUS(status))
        mark(FOLDER, "deaths")


if __name__ == "__main__":
    (work_again_and_again if POINT == "after" else work)(*sys.argv[1:])

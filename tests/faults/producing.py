"""What the producers of the crash points do: one call each, by the client that users have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from scheduler import App, Scheduler

MANY = 20
KEY = "the only one"


async def by_name(scheduler: Scheduler, job_id: str) -> Any:
    return await scheduler.run_after(60_000, "elsewhere")


async def run_after(scheduler: Scheduler, job_id: str) -> Any:
    return await scheduler.run_after(60_000, "add")


async def schedule_many(scheduler: Scheduler, job_id: str) -> Any:
    add = scheduler.app.functions["add"]
    return await scheduler.schedule_many([add.after(60_000) for _ in range(MANY)])


async def with_key(scheduler: Scheduler, job_id: str) -> Any:
    return await scheduler.options(idempotency_key=KEY).run_after(60_000, "add")


async def cancel(scheduler: Scheduler, job_id: str) -> Any:
    return (await scheduler.cancel(job_id)).value


async def cancel_all(scheduler: Scheduler, job_id: str) -> Any:
    return await scheduler.cancel_all(function="add")


async def result(scheduler: Scheduler, job_id: str) -> Any:
    return await scheduler.result(job_id, timeout=15)


async def get(scheduler: Scheduler, job_id: str) -> Any:
    job = await scheduler.get(job_id)
    return None if job is None else job.state.value


async def list_jobs(scheduler: Scheduler, job_id: str) -> Any:
    return [job.id for job in (await scheduler.list(state="pending")).jobs]


OPERATIONS: dict[str, Callable[[Scheduler, str], Awaitable[Any]]] = {
    "describe": by_name,
    "run_after": run_after,
    "schedule_many": schedule_many,
    "idempotency key": with_key,
    "cancel": cancel,
    "cancel_all": cancel_all,
    "result": result,
    "get": get,
    "list": list_jobs,
}


def produce(app: App, url: str, folder: Path, *, operation: str, job_id: str) -> None:
    """Make one call, and leave what it returned in `<folder>/answer`."""

    async def call() -> Any:
        async with Scheduler(app, url=url) as scheduler:
            return await OPERATIONS[operation](scheduler, job_id)

    answer = json.dumps(asyncio.run(call()))
    (folder / "answer.part").write_text(answer)
    (folder / "answer.part").rename(folder / "answer")

"""What a process of its own costs: `python -m benchmarks.isolation`.

The same plain functions, with and without `isolate=True`: the time from the worker's side for one call at a time, and
how many jobs a second a worker does.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from scheduler import App, BlockingMutationContext, EmbeddedServer, Scheduler
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings

app = App("isolation-benchmark")

CALLS, JOBS = 500, 2_000


@app.mutation
def in_thread(ctx: BlockingMutationContext) -> None: ...


@app.mutation(isolate=True)
def in_process(ctx: BlockingMutationContext) -> None: ...


@app.mutation
def read_in_thread(ctx: BlockingMutationContext) -> object:
    return ctx.db.get("nothing:here")


@app.mutation(isolate=True)
def read_in_process(ctx: BlockingMutationContext) -> object:
    return ctx.db.get("nothing:here")


async def latencies(scheduler: Scheduler, name: str) -> list[float]:
    """Milliseconds from the call to the result, one call at a time."""
    took = []
    for _ in range(CALLS):
        started = time.perf_counter()
        await scheduler.result(await scheduler.run_after(0, name))
        took.append((time.perf_counter() - started) * 1000)
    return sorted(took)


async def rate(scheduler: Scheduler, name: str) -> float:
    """Jobs a second, all due at once."""
    started = time.perf_counter()
    ids = await scheduler.schedule_many(app.functions[name].after(0) for _ in range(JOBS))
    for job_id in ids:
        await scheduler.result(job_id)
    return JOBS / (time.perf_counter() - started)


async def measure(url: str) -> None:
    worker = Worker(app, Connections(url), WorkerSettings(concurrency=4))
    running = asyncio.create_task(worker.run())
    sys.stdout.write(f"{'':34} {'p50 ms':>8} {'p99 ms':>8} {'jobs/s':>8}\n")
    async with Scheduler(app, url=url) as scheduler:
        for name in app.functions:
            await latencies(scheduler, name)  # warm
            took = await latencies(scheduler, name)
            jobs = await rate(scheduler, name)
            sys.stdout.write(
                f"{name:34} {statistics.median(took):8.2f} {took[len(took) * 99 // 100]:8.2f} {jobs:8.0f}\n"
            )
    worker.stop()
    await running


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder), persistent=False) as server:
        asyncio.run(measure(server.url))


if __name__ == "__main__":
    main()

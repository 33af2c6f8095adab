"""What a process of its own costs: the way to it and back, and jobs through a whole worker.

    python -m benchmarks.isolation

On an embedded server without persistence; both the server and the processes share the machine's cores.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scheduler import App, BlockingMutationContext, EmbeddedServer, Scheduler
from scheduler.catalog import IndexCatalog
from scheduler.clients import async_client
from scheduler.clock import RedisClock
from scheduler.keys import Keys
from scheduler.spec import Spec
from scheduler.store import AsyncStore
from scheduler.transitions import Delivery
from worker.connections import Connections
from worker.delivery import Held
from worker.isolation import Isolation
from worker.runtime import Worker
from worker.settings import WorkerSettings

app = App("isolation-benchmark")

CALLS, JOBS = 1_000, 2_000


@app.mutation
def in_a_thread(ctx: BlockingMutationContext) -> None: ...


@app.mutation(isolate=True)
def in_a_process(ctx: BlockingMutationContext) -> None: ...


@app.mutation
def read_in_a_thread(ctx: BlockingMutationContext) -> object:
    return ctx.db.get("nothing:here")


@app.mutation(isolate=True)
def read_in_a_process(ctx: BlockingMutationContext) -> object:
    return ctx.db.get("nothing:here")


async def timed(call: Callable[[], Awaitable[object]]) -> list[float]:
    """Milliseconds of each call, one after the other, sorted."""
    took = []
    for _ in range(CALLS):
        started = time.perf_counter()
        await call()
        took.append((time.perf_counter() - started) * 1000)
    return sorted(took)


def show(table: Table, name: str, took: list[float], rate: float | None = None) -> None:
    p99 = took[len(took) * 99 // 100]
    table.add_row(name, f"{statistics.median(took):.2f}", f"{p99:.2f}", "" if rate is None else f"{rate:.0f}")


async def visits(url: str, table: Table) -> None:
    """From the worker to a warm process and back, and the start of a cold one."""
    clock, client = RedisClock(), async_client(url)
    clock.observe(1_800_000_000_000, time.monotonic())
    isolation = Isolation(app, AsyncStore(Keys(app.namespace), client), clock, IndexCatalog())
    started = time.perf_counter()
    await isolation.check()
    cold_ms = (time.perf_counter() - started) * 1000
    for function in (in_a_process, read_in_a_process):
        spec = Spec(0, 0, "default", function.name, "mutation", "", "", [], {})
        held = Held(Delivery("0" * 26, "default", "1-0", "token", 1), spec, function=function)

        async def visit(held: Held = held) -> None:
            await isolation.visit(held).run()

        await timed(visit)
        show(table, f"there and back: {function.name}", await timed(visit))
    table.add_row("the start of a cold process", f"{cold_ms:.0f}", "", "")
    await isolation.close()
    await client.aclose()


async def jobs(url: str, table: Table) -> None:
    """Jobs through a worker: one at a time, from the call to the result, and all at once."""
    worker = Worker(app, Connections(url), WorkerSettings(concurrency=4))
    running = asyncio.create_task(worker.run())
    async with Scheduler(app, url=url) as scheduler:
        for name, function in app.functions.items():

            async def call(name: str = name) -> None:
                await scheduler.result(await scheduler.run_after(0, name))

            await timed(call)
            took = await timed(call)
            started = time.perf_counter()
            for job_id in await scheduler.schedule_many([function.after(0) for _ in range(JOBS)]):
                await scheduler.result(job_id)
            show(table, f"a job: {function.name}", took, JOBS / (time.perf_counter() - started))
    worker.stop()
    await running


def main() -> None:
    table = Table("", "p50 ms", "p99 ms", "jobs/s")
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder), persistent=False) as server:
        asyncio.run(visits(server.url, table))
        asyncio.run(jobs(server.url, table))
    console = Console()
    console.print(table)
    console.print(f"largest process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()

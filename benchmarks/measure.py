"""What the main path reaches on this machine: throughput, commands a job, lateness, and an idle worker's commands.

    python -m benchmarks.measure [--jobs 20000] [--idle 60]

Everything runs on an embedded server without persistence, one worker process beside the producer. Rates depend on the
machine: each is printed beside the bare limit (one Lua call for a batch of 500 no-op entries) of the same run.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import click
import redis
from rich.console import Console
from rich.table import Table

from scheduler import ActionContext, App, EmbeddedServer, MutationContext, Scheduler
from scheduler.function import AnyFunction
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings

app = App("bench")

BARE = """
for i = 1, #ARGV do
  redis.call('XADD', KEYS[1], '*', 'd', ARGV[i])
end
local got = redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', #ARGV, 'STREAMS', KEYS[1], '>')
for _, entry in ipairs(got[1][2]) do
  redis.call('XACK', KEYS[1], 'g', entry[1])
  redis.call('XDEL', KEYS[1], entry[1])
end
"""


@app.mutation
async def nothing(ctx: MutationContext, n: int) -> None:
    """A no-op mutation."""


@app.action
async def nothing_done(ctx: ActionContext, n: int) -> None:
    """A no-op action."""


started_ms: dict[int, float] = {}


@app.mutation
async def stamp(ctx: MutationContext, n: int) -> None:
    """Notes when it started, on this process's clock."""
    started_ms[n] = time.perf_counter() * 1000


@asynccontextmanager
async def working(url: str) -> AsyncIterator[None]:
    worker = Worker(app, Connections(url), WorkerSettings(concurrency=200))
    running = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await running


def bare_rate(client: redis.Redis, jobs: int) -> float:
    """Entries added, read and acked a second by one script call for 500."""
    client.xgroup_create("bare", "g", mkstream=True)
    script = client.register_script(BARE)
    started = time.perf_counter()
    for _ in range(jobs // 500):
        script(keys=["bare"], args=["x" * 100] * 500)
    return jobs / (time.perf_counter() - started)


async def drain(url: str, client: redis.Redis, function: AnyFunction, jobs: int) -> tuple[float, float, float]:
    """Jobs a second from the first to the last, commands a job, calls of scripts a job."""
    async with Scheduler(app, url=url) as scheduler:
        await scheduler.schedule_many(function.after(0, n) for n in range(jobs))
        client.config_resetstat()
        started = time.perf_counter()
        async with working(url):
            while await scheduler.count(state="pending") + await scheduler.count(state="inProgress"):
                await asyncio.sleep(0.02)
            took = time.perf_counter() - started
            stats: dict[str, Any] = client.info("commandstats")
    total = sum(int(stat["calls"]) for stat in stats.values())
    wire = sum(int(stat["calls"]) for name, stat in stats.items() if name in ("cmdstat_evalsha", "cmdstat_xreadgroup"))
    return jobs / took, total / jobs, wire / jobs


async def lateness(url: str, delay_ms: int, times: int) -> list[float]:
    """Start minus due, in ms, of jobs scheduled one at a time on an idle system."""
    late = []
    async with Scheduler(app, url=url) as scheduler, working(url):
        for n in range(times):
            asked = time.perf_counter() * 1000
            job_id = await scheduler.run_after(delay_ms, stamp, n)
            await scheduler.result(job_id, timeout=10)
            late.append(started_ms[n] - asked - delay_ms)
    return late


async def idle(url: str, client: redis.Redis, seconds: float) -> dict[str, int]:
    """Commands that one idle worker made the server run, by name."""
    async with working(url):
        await asyncio.sleep(3)
        client.config_resetstat()
        await asyncio.sleep(seconds)
        stats: dict[str, Any] = client.info("commandstats")
    ours = {"config|resetstat", "info"}
    return {
        name.removeprefix("cmdstat_"): int(stat["calls"])
        for name, stat in sorted(stats.items())
        if name.removeprefix("cmdstat_") not in ours
    }


async def measure(jobs: int, idle_s: float) -> Table:
    """All of it, as one table."""
    table = Table("measure", "value", "of the bare limit", title="duestream on an embedded server")
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(folder, persistent=False) as server:
        client = redis.Redis.from_url(server.url)
        bare = bare_rate(client, jobs)
        table.add_row("bare loop, one script call for 500", f"{bare:,.0f}/s", "100 %")
        for label, function in (("no-op mutations", nothing), ("no-op actions", nothing_done)):
            rate, total, wire = await drain(server.url, client, function, jobs)
            table.add_row(f"{label}, one worker process", f"{rate:,.0f}/s", f"{100 * rate / bare:.0f} %")
            table.add_row("  commands in the server, a job", f"{total:.1f}", "")
            table.add_row("  round trips, a job", f"{wire:.3f}", "")
        late = sorted(await lateness(server.url, 50, 100))
        table.add_row("run_after(50) on an idle system, p50 late", f"{statistics.median(late):.1f} ms", "")
        table.add_row("  p99, earliest", f"{late[98]:.1f} ms, {late[0]:.1f} ms", "")
        by_name = await idle(server.url, client, idle_s)
        wire = sum(by_name.get(name, 0) for name in ("blpop", "eval", "evalsha", "hget", "xreadgroup"))
        table.add_row(f"idle worker, {idle_s:g} s: calls over the wire a second", f"{wire / idle_s:.2f}", "")
        table.add_row("  with what scripts run inside", f"{sum(by_name.values()) / idle_s:.2f}", "")
        for name, calls in by_name.items():
            table.add_row(f"  {name}", f"{calls}", "")
        client.close()
    return table


@click.command()
@click.option("--jobs", default=20_000, show_default=True, help="Jobs of each throughput run.")
@click.option("--idle", "idle_s", default=60.0, show_default=True, help="Seconds to watch an idle worker.")
def main(jobs: int, idle_s: float) -> None:
    """Measure duestream on this machine."""
    try:
        import uvloop
    except ImportError:
        table = asyncio.run(measure(jobs, idle_s))
    else:
        table = uvloop.run(measure(jobs, idle_s))
    Console().print(table)


if __name__ == "__main__":
    main()

"""Mutations that fight for one document, and as many that do not: commits a second, conflicts, CPU.

    python -m benchmarks.contention [--jobs 20000] [--processes 4]

Everything runs on an embedded server without persistence. All jobs are due before the first worker starts; a rate is
from the first start of a handler to the last commit, by Redis time.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click
import redis
from rich.console import Console
from rich.table import Table

from scheduler import App, Call, EmbeddedServer, Job, JobState, MutationContext, SyncScheduler

app = App("contention")

SEEDED = 1_000
"""Documents that one mutation makes before the measurement."""


@app.mutation
async def increment(ctx: MutationContext, key: str) -> int:
    """Read one counter, and write it."""
    found = await ctx.db.get(f"counters:{key}")
    value = 1 if found is None else int(found["value"]) + 1
    if found is None:
        await ctx.db.insert("counters", {"value": value}, key=key)
    else:
        await ctx.db.patch(f"counters:{key}", {"value": value})
    return value


@app.mutation
async def seed(ctx: MutationContext, first: int, count: int) -> None:
    """Make counters that stand at 0."""
    for n in range(first, first + count):
        await ctx.db.insert("counters", {"value": 0}, key=str(n))


@dataclass(frozen=True, slots=True)
class Run:
    """What one load came to.

    Attributes:
        commits: Jobs that ended in success.
        highest: The highest value a counter reached.
        seconds: From the first start to the last commit.
        conflicts: Attempts beyond the first, of all jobs together.
        workers_cpu_s: CPU of all worker processes, their start and stop included.
        redis_cpu_s: CPU of the server.
        calls: Calls of scripts over the wire.
    """

    commits: int
    highest: int
    seconds: float
    conflicts: int
    workers_cpu_s: float
    redis_cpu_s: float
    calls: int

    @property
    def rate(self) -> float:
        return self.commits / self.seconds


@contextmanager
def working(url: str, processes: int) -> Iterator[None]:
    """Worker processes, stopped gently at the end."""
    command = [sys.executable, "-m", "worker", "worker", "benchmarks.contention:app", "--url", url, "--quiet"]
    started = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def run(url: str, calls: Sequence[Call], processes: int) -> Run:
    """Schedule calls, let worker processes run them all, and count."""
    client = redis.Redis.from_url(url)
    with SyncScheduler(app, url=url) as scheduler:
        done = scheduler.count(state=JobState.SUCCESS)
        ids = frozenset(scheduler.schedule_many(calls))
        client.config_resetstat()
        redis_before, workers_before = _redis_cpu_s(client), _children_cpu_s()
        with working(url, processes):
            while scheduler.count(state=JobState.SUCCESS) + scheduler.count(state=JobState.FAILED) < done + len(ids):
                time.sleep(0.05)
            redis_after = _redis_cpu_s(client)
        jobs = [job for job in _ended(scheduler) if job.id in ids]
    succeeded = [job for job in jobs if job.state is JobState.SUCCESS]
    stats = client.info("commandstats")
    client.close()
    return Run(
        commits=len(succeeded),
        highest=max((job.result or 0 for job in succeeded), default=0),
        seconds=(max(job.completed_time or 0 for job in jobs) - min(job.started_time or 0 for job in jobs)) / 1000,
        conflicts=sum(job.attempts - 1 for job in jobs),
        workers_cpu_s=_children_cpu_s() - workers_before,
        redis_cpu_s=redis_after - redis_before,
        calls=int(stats["cmdstat_evalsha"]["calls"]),
    )


def _ended(scheduler: SyncScheduler) -> Iterator[Job]:
    for state in (JobState.SUCCESS, JobState.FAILED):
        cursor = None
        while True:
            page = scheduler.list(state=state, function=increment, limit=1_000, cursor=cursor)
            yield from page.jobs
            cursor = page.cursor
            if cursor is None:
                break


def _redis_cpu_s(client: redis.Redis) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def hot_counter(jobs: int, processes: int) -> Run:
    """All mutations increment one document."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(folder, persistent=False) as server:
        return run(server.url, [increment.after(0, "hot")] * jobs, processes)


def independent(jobs: int, processes: int) -> Run:
    """Each mutation increments a document of its own that exists already."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(folder, persistent=False) as server:
        with SyncScheduler(app, url=server.url) as scheduler, working(server.url, 1):
            seeds = scheduler.schedule_many(
                seed.after(0, first, min(SEEDED, jobs - first)) for first in range(0, jobs, SEEDED)
            )
            for job_id in seeds:
                scheduler.result(job_id, timeout=60)
        return run(server.url, [increment.after(0, str(n)) for n in range(jobs)], processes)


def add_rows(table: Table, label: str, jobs: int, highest: int, measured: Run) -> None:
    """One load's part of the table, checked: each job a success, and no increment lost."""
    if (measured.commits, measured.highest) != (jobs, highest):
        raise click.ClickException(
            f"{label}: {measured.commits:,} of {jobs:,} succeeded, the highest counter is {measured.highest:,}"
        )
    each_us = 1_000_000 / jobs
    table.add_row(label, f"{measured.rate:,.0f} commits/s, {measured.seconds:.1f} s")
    table.add_row("  conflicts a commit", f"{measured.conflicts / jobs:.2f}")
    table.add_row("  calls of scripts a commit", f"{measured.calls / jobs:.2f}")
    table.add_row("  CPU of the workers a commit", f"{measured.workers_cpu_s * each_us:,.0f} µs")
    table.add_row("  CPU of Redis a commit", f"{measured.redis_cpu_s * each_us:,.0f} µs")


@click.command()
@click.option("--jobs", default=20_000, show_default=True, help="Mutations of each load.")
@click.option("--processes", default=4, show_default=True, help="Worker processes.")
def main(jobs: int, processes: int) -> None:
    """Measure contention on this machine."""
    table = Table("load", "value", title=f"{jobs:,} mutations, {processes} worker processes")
    add_rows(table, "increments of one document", jobs, jobs, hot_counter(jobs, processes))
    add_rows(table, "increments of a document each", jobs, 1, independent(jobs, processes))
    Console().print(table)


if __name__ == "__main__":
    main()

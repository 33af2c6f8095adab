"""How cost grows: with pending jobs, worker processes, jobs at once, clients, queues, batches, and workers of a fleet.

    python -m benchmarks.growth [--part pending] [--save]

Each part is a step at a time; `--most` bounds its sizes for a short run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from benchmarks import fleet, machine
from benchmarks.cases import measure
from benchmarks.cases.asked import Asked
from benchmarks.cases.delayed import delayed
from benchmarks.cases.drain import drained
from benchmarks.cases.pending import fill_far
from benchmarks.runs import RESULTS, Runs
from benchmarks.stage import staged
from benchmarks.versions import about

JOBS = 40_000
Result = dict[str, Any]
Part = Callable[[int], Iterator[Result]]


def pending(most: int) -> Iterator[Result]:
    """Rate of a drain and lateness of delayed jobs, beside jobs of a far day."""
    for far in _sizes(1_000, 10_000, 100_000, 1_000_000, most=most):
        with staged("duestream", "pending") as stage:
            filled = fill_far(stage, far, cap_s=600.0)
            found = {"drain": drained(stage, JOBS)}
            stage.kill()
            stage.forget()
            found["delayed"] = delayed(stage, Asked())
            yield {**_named("pending", far, stage.server.version), **filled, **found}


def processes(most: int) -> Iterator[Result]:
    """Rate of a drain by worker processes."""
    for count in _sizes(1, 2, 4, most=most):
        yield _renamed(measure("duestream", "drain", Asked(jobs=JOBS), count), "processes", count)


def at_once(most: int) -> Iterator[Result]:
    """Rate of a drain by the jobs that a worker runs at once, and so by the batches in which it claims and commits."""
    for count in _sizes(1, 10, 100, 1_000, most=most):
        yield _renamed(
            measure("duestream", "drain", Asked(jobs=JOBS if count > 1 else 4_000), concurrency=count), "at-once", count
        )


def clients(most: int) -> Iterator[Result]:
    """Jobs a second of so many clients of one process, each with connections of its own, one by one."""
    for count in _sizes(1, 4, 16, 64, most=most):
        asked = Asked(operations=("crowd",), clients=count)
        yield _renamed(measure("duestream", "enqueue", asked), "clients", count)


def batches(most: int) -> Iterator[Result]:
    """Jobs a second in bulk, by the calls of one `schedule_many`."""
    for count in _sizes(1, 10, 100, 1_000, 10_000, most=most):
        yield _renamed(measure("duestream", "enqueue", Asked(operations=("bulk",), chunk=count)), "batches", count)


def queues(most: int) -> Iterator[Result]:
    """Rate of a drain by the queues that jobs are in, and what an idle worker of so many asks of the server."""
    for count in _sizes(1, 4, 16, 64, most=most):
        run = measure("duestream", "drain", Asked(jobs=JOBS), queues=count)
        idle = measure("duestream", "idle", Asked(seconds=8.0), queues=count)
        yield _renamed({**run, "idle": idle}, "queues", count)


def workers(most: int) -> Iterator[Result]:
    """A fleet without work, under a light load, and when its leader is killed."""
    for count in _sizes(1, 10, 100, 1_000, most=most):
        with staged("duestream", "fleet") as stage:
            yield {**_named("workers", count, stage.server.version), **fleet.measure(stage, count)}


PARTS: Mapping[str, Part] = {
    "pending": pending, "processes": processes, "at-once": at_once, "clients": clients, "batches": batches,
    "queues": queues, "workers": workers,
}  # fmt: skip


def _sizes(*sizes: int, most: int) -> Iterator[int]:
    return (size for size in sizes if size <= most)


def _named(part: str, size: int, server: str) -> Result:
    return {"system": "duestream", "case": f"growth-{part}", "procs": 1, "size": size, "server": server}


def _renamed(run: Result, part: str, size: int) -> Result:
    return {**run, **_named(part, size, str(run["server"]))}


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)), help="Which; all of them else.")
@click.option("--most", default=1_000_000, show_default=True, help="No step larger than this.")
@click.option("--save", is_flag=True, help="Keep the figures for docs/performance.md.")
def main(parts: tuple[str, ...], most: int, save: bool) -> None:
    """Measure how cost grows."""
    runs: list[Result] = []
    for name in parts or PARTS:
        began = time.monotonic()
        for run in PARTS[name](most):
            runs.append(run)
            click.echo(f"{name:10} {run['size']:9,}  {time.monotonic() - began:5.1f} s", err=True)
            began = time.monotonic()
    found = Runs(about(str(runs[0]["server"]), ["duestream"]), runs)
    if save:
        found.save(RESULTS / "growth.json")
    from benchmarks.growth_tables import all_tables

    for name, make in all_tables(found).items():
        if name.removeprefix("growth-") in (parts or PARTS):
            click.echo(f"\n{name}, {machine.describe()['cores']} cores\n\n{make()}")


if __name__ == "__main__":
    main()

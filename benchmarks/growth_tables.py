"""How cost grows, as tables and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.plots import lines
from benchmarks.runs import Runs
from benchmarks.tables import Column, markdown, number

_CPU: Sequence[Column] = (
    ("worker CPU µs/job", "worker_cpu_us_per_job", 0),
    ("Redis CPU µs/job", "redis_cpu_us_per_job", 0),
    ("socket reads/job", "socket_reads_per_job", 3),
)
COLUMNS: Mapping[str, tuple[str, Sequence[Column]]] = {
    "pending": (
        "pending jobs",
        (
            ("drain, jobs/s", "drain.rate", 0),
            ("worker CPU µs/job", "drain.worker_cpu_us_per_job", 0),
            ("Redis CPU µs/job", "drain.redis_cpu_us_per_job", 0),
            ("lateness p50, ms", "delayed.lag_ms.p50", 1),
            ("p99, ms", "delayed.lag_ms.p99", 1),
            ("bytes a pending job", "bytes_per_job", 0),
        ),
    ),
    "processes": ("worker processes", (("drain, jobs/s", "rate", 0), *_CPU)),
    "at-once": ("jobs at once", (("drain, jobs/s", "rate", 0), *_CPU)),
    "clients": (
        "clients",
        (
            ("one by one, jobs/s together", "crowd.rate", 0),
            ("client CPU µs/job", "crowd.client_cpu_us_per_job", 0),
            ("Redis CPU µs/job", "crowd.redis_cpu_us_per_job", 0),
        ),
    ),
    "batches": (
        "calls of one schedule_many",
        (
            ("jobs/s", "bulk.rate", 0),
            ("client CPU µs/job", "bulk.client_cpu_us_per_job", 0),
            ("Redis CPU µs/job", "bulk.redis_cpu_us_per_job", 0),
            ("socket reads/job", "bulk.socket_reads_per_job", 3),
        ),
    ),
    "queues": ("queues", (("drain, jobs/s", "rate", 0), *_CPU, ("idle worker, commands/s", "idle.sent_per_s", 1))),
    "workers": (
        "workers",
        (
            ("idle, commands/s", "idle_per_s", 1),
            ("inside scripts", "idle_inside_per_s", 1),
            ("idle Redis, cores", "idle_redis_cores", 3),
            ("connections", "connections", 0),
            ("100 jobs/s: all commands/s", "loaded_per_s", 0),
            ("lateness p50, ms", "delayed.lag_ms.p50", 1),
            ("p99, ms", "delayed.lag_ms.p99", 1),
            ("leader killed: gap, s", "handover.gap_s", 2),
            ("missing", "handover.missing", 0),
        ),
    ),
}
LINES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "pending": ("jobs/s", {"drain": "drain.rate"}),
    "at-once": ("jobs/s", {"drain": "rate"}),
    "clients": ("jobs/s", {"one by one": "crowd.rate"}),
    "batches": ("jobs/s", {"in bulk": "bulk.rate"}),
    "queues": ("jobs/s", {"drain": "rate"}),
    "workers": ("commands/s", {"without work": "idle_per_s", "at 100 jobs/s": "loaded_per_s"}),
}
"""What is drawn of a part: the axis, and the lines with the paths of their figures."""


def all_tables(runs: Runs) -> dict[str, Callable[[], str]]:
    """A table for each part, by the names that docs/performance.md uses."""
    return {f"growth-{part}": partial(_table, runs, part) for part in COLUMNS}


def plots(runs: Runs) -> dict[str, Callable[[Path], None]]:
    """A plot for each part that was measured."""
    return {f"growth-{part}": partial(_plot, runs, part) for part in LINES if _sizes(runs, part)}


def _table(runs: Runs, part: str) -> str:
    head, columns = COLUMNS[part]
    rows = [
        [number(size), *(number(_figure(runs, part, size, path), digits) for _, path, digits in columns)]
        for size in _sizes(runs, part)
    ]
    return markdown([head, *(name for name, _, _ in columns)], rows)


def _plot(runs: Runs, part: str, path: Path) -> None:
    axis, series = LINES[part]
    drawn = {
        name: [(size, value) for size in _sizes(runs, part) if (value := _figure(runs, part, size, place)) is not None]
        for name, place in series.items()
    }
    lines(path, f"{axis} by {COLUMNS[part][0]}", COLUMNS[part][0], axis, drawn)


def _sizes(runs: Runs, part: str) -> list[int]:
    return sorted({int(run["size"]) for run in runs.of(f"growth-{part}", procs=None)})


def _figure(runs: Runs, part: str, size: int, path: str) -> float | None:
    found: Any = [run for run in runs.of(f"growth-{part}", procs=None) if run["size"] == size]
    return Runs(runs=found).figure("duestream", f"growth-{part}", path)

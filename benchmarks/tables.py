"""Figures as tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks.runs import Runs
from benchmarks.systems import SYSTEMS
from benchmarks.targets import LOOP, Verdict

Column = tuple[str, str, int]
"""Its head, the path of its figure, and how many digits follow the point."""

DRAIN: Sequence[Column] = (
    ("jobs/s", "rate", 0),
    ("worker CPU µs/job", "worker_cpu_us_per_job", 0),
    ("Redis CPU µs/job", "redis_cpu_us_per_job", 0),
    ("commands/job", "commands_per_job", 2),
    ("socket reads/job", "socket_reads_per_job", 2),
    ("bytes to Redis/job", "net_in_bytes_per_job", 0),
    ("bytes from Redis/job", "net_out_bytes_per_job", 0),
    ("RSS MB", "worker_rss_mb", 0),
    ("missing", "missing", 0),
    ("double", "duplicates", 0),
)
ENQUEUE: Sequence[Column] = (
    ("one by one, jobs/s", "one.rate", 0),
    ("client CPU µs/job", "one.client_cpu_us_per_job", 0),
    ("commands/job", "one.commands_per_job", 2),
    ("in bulk, jobs/s", "bulk.rate", 0),
    ("client CPU µs/job", "bulk.client_cpu_us_per_job", 0),
    ("Redis CPU µs/job", "bulk.redis_cpu_us_per_job", 0),
    ("commands/job", "bulk.commands_per_job", 2),
    ("bytes a ready job", "bulk.ready_bytes_per_job", 0),
)
LATENCY: Sequence[Column] = (
    *((name, f"latency_ms.{name}", 2) for name in ("p50", "p95", "p99", "max")),
    ("commands/job, with idle polls", "commands_per_job", 1),
)
DELAYED: Sequence[Column] = (
    *((name, f"lag_ms.{name}", 1) for name in ("min", "p50", "p95", "p99", "max")),
    ("early", "early", 0),
    ("missing", "missing", 0),
    ("double", "duplicates", 0),
)
PENDING: Sequence[Column] = (
    ("pending jobs", "pending", 0),
    ("bytes/job", "bytes_per_job", 0),
    ("scheduled/s", "enqueue_rate", 0),
    ("drain beside them, jobs/s", "drain.rate", 0),
    ("ready jobs not run", "drain.missing", 0),
)
CRASH: Sequence[Column] = (
    ("running at the kill", "running_at_kill", 0),
    ("all done after, s", "recovered_s", 1),
    ("first run again after, s", "first_restart_s", 1),
    ("run again", "restarted", 0),
    ("not done at the cap of 120 s", "not_completed_at_cap", 0),
    ("done twice", "completed_twice", 0),
)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """One table; the first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def of_case(runs: Runs, case: str, columns: Sequence[Column], *, by: str, procs: int = 1, most: bool = False) -> str:
    """A row for each system that has run a case.

    Args:
        runs: Where the figures are.
        case: Which.
        columns: Of each row, after the name.
        by: The figure that orders the rows.
        procs: Worker processes.
        most: The highest first.
    """

    def key(system: str) -> float:
        found = runs.figure(system, case, by, procs)
        return float("inf") if found is None else -found if most else found

    rows = [
        [system, *(number(runs.figure(system, case, path, procs), digits) for _, path, digits in columns)]
        for system in sorted(runs.systems(case, procs), key=key)
    ]
    return markdown(["", *(head for head, _, _ in columns)], rows)


def drains(runs: Runs) -> str:
    """Of one process, with the share of the bare loop and the rate of two."""
    base = runs.figure(LOOP, "drain", "rate")

    def share(system: str) -> str:
        rate = runs.figure(system, "drain", "rate")
        return "-" if rate is None or not base else f"{100 * rate / base:.1f} %"

    def two(system: str) -> str:
        one, both = (runs.figure(system, "drain", "rate", procs) for procs in (1, 2))
        return "-" if one is None or both is None else f"{both / one:.2f}"

    systems = sorted(runs.systems("drain"), key=lambda system: -(runs.figure(system, "drain", "rate") or 0))
    extra: dict[str, Callable[[str], str]] = {f"of {LOOP}": share, "2 processes, times 1": two}
    head = ["", *extra, *(head for head, _, _ in DRAIN)]
    rows = [
        [
            system,
            *(make(system) for make in extra.values()),
            *(number(runs.figure(system, "drain", path), digits) for _, path, digits in DRAIN),
        ]
        for system in systems
    ]
    return markdown(head, rows)


def targets(verdicts: Iterable[Verdict]) -> str:
    marks = {True: "yes", False: "**no**", None: "not measured"}
    return markdown(
        ["", "target", "measured", "", "reached"],
        ([one.what.strip(), one.target, one.measured, one.absolute, marks[one.reached]] for one in verdicts),
    )


def versions(runs: Runs) -> str:
    """Of each system, and how it was set up."""
    found: Mapping[str, Mapping[str, str]] = runs.about["versions"]
    rows = [
        [name, ", ".join(f"{package} {version}" for package, version in of.items()), SYSTEMS[name].note]
        for name, of in found.items()
        if name in SYSTEMS
    ]
    return markdown(["", "versions", "set up"], rows)


def caption(runs: Runs) -> str:
    """When and where."""
    machine = runs.about["machine"]
    return (
        f"Measured {runs.about['date']} on {runs.about['server']} without persistence, {machine['cpu']}, "
        f"{machine['cores']} cores, Python {machine['python']}."
    )

"""3. An action's first line ran at most once; once if it is `success`."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler import JobState
from tests.faults.chaos import columns
from tests.faults.chaos.books import Books
from tests.faults.chaos.invariants.finding import Finding


def check(books: Books) -> Iterator[Finding]:
    """Compare the log with the records (C3.5)."""
    starts = books.starts()
    # With `everysec` an ack may be lost with the power: promised is only that no more than that happens (C7.2).
    most = 1 + (len(books.struck) if books.promise == columns.POWER_CUT else 0)
    at_most = Finding(3, "an action's first line ran at most once")
    for job_id, times in starts.items():
        at_most.check(times <= most, f"{job_id} was started {times} times")
    yield at_most
    once = Finding(3, "a successful action's first line ran")
    actions = [job for job in books.jobs.values() if job.kind == "action"]
    for job in actions:
        if job.state is JobState.SUCCESS:
            once.check(starts[job.id] > 0, f"{job.id} is success, and never ran")
    yield once
    if books.keeps_all:
        never = Finding(3, "an action that was never begun never ran, and has a record if it ran")
        for job in actions:
            if job.started_time is None:
                never.check(starts[job.id] == 0, f"{job.id} ran, and was never begun")
        never.violations += [f"{job_id} ran, and has no record" for job_id in starts if job_id not in books.jobs]
        yield never

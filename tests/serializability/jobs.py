"""Waiting for jobs, and reading their records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scheduler import App, Job, JobState, SyncScheduler
from tests.worker.processes import wait_until


def borrow(app: App, functions: App) -> None:
    """Register the functions of a module's app in a test's own."""
    for function in functions.functions.values():
        app.mutation(name=function.name)(function.handler)


def wait_for_all(scheduler: SyncScheduler, timeout_s: float) -> float:
    """Until no job is pending; returns the seconds it took."""
    return wait_until(lambda: scheduler.count(state=JobState.PENDING) == 0, timeout_s, "the end of all work")


def ended(scheduler: SyncScheduler) -> dict[str, Job]:
    """The records of all jobs that have ended, by id."""
    return {job.id: job for state in (JobState.SUCCESS, JobState.FAILED) for job in _pages(scheduler, state)}


def conflicts(jobs: Iterable[Job]) -> int:
    """Attempts beyond the first: in a run without faults each of them is a conflict."""
    return sum(job.attempts - 1 for job in jobs)


def _pages(scheduler: SyncScheduler, state: JobState) -> Iterator[Job]:
    cursor: str | None = None
    while True:
        page = scheduler.list(state=state, limit=1_000, cursor=cursor)
        yield from page.jobs
        cursor = page.cursor
        if cursor is None:
            return

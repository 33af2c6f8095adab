"""5. Each accepted schedule call made one job; nothing ran before it was due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scheduler import Job
from tests.faults.chaos.books import Books
from tests.faults.chaos.invariants.finding import Finding


def check(books: Books) -> Iterator[Finding]:
    """Look at every call, and at every start."""
    yield _one_job_each(books)
    yield _keys(books)
    yield _not_early(books)
    yield _not_early_by_the_server(books)


def _one_job_each(books: Books) -> Finding:
    """By the tag: exactly one job for an accepted call, at most one for each send that had no answer (C2.10)."""
    finding = Finding(5, "each accepted call made one job")
    made = Counter(int(job.kwargs["tag"]) for job in books.jobs.values() if job.kwargs.get("tag", -1) >= 0)
    for tag, asked in books.asked.items():
        if asked.planned.function == "forgotten":
            continue
        accepted = len(set(asked.ids))
        sure = accepted if books.keeps_all else 0
        # A key stands for one job, however often it is sent.
        most = min(1, accepted + asked.unsure) if asked.planned.key and books.keeps_all else accepted + asked.unsure
        finding.check(
            sure <= made[tag] <= most,
            f"call {tag} {asked.planned.function}: {made[tag]} jobs of {len(asked.ids)}"
            f" accepted and {asked.unsure} unanswered sends",
        )
        if books.keeps_all:
            lost = [job_id for job_id in asked.ids if job_id not in books.jobs]
            finding.violations += [f"call {tag} {asked.planned.function} was accepted as {one}: lost" for one in lost]
    finding.violations += [f"{tag}: nobody made this call" for tag in made if tag not in books.asked]
    return finding


def _keys(books: Books) -> Finding:
    """An idempotency key stands for one job (C2.10)."""
    finding = Finding(5, "one job for each idempotency key")
    for tag, asked in books.asked.items():
        if asked.planned.key and asked.planned.function != "forgotten" and books.keeps_all:
            finding.check(len(set(asked.ids)) <= 1, f"call {tag}: {set(asked.ids)}")
    return finding


def _not_early(books: Books) -> Finding:
    """By the record (C7.3)."""
    finding = Finding(5, "nothing ran before it was due, by its record")
    for job in books.jobs.values():
        if job.started_time is not None:
            started = _true_time(books, job, job.started_time)
            finding.check(started >= job.scheduled_time, f"{job.name} {job.id} {_early(job)}")
    return finding


def _not_early_by_the_server(books: Books) -> Finding:
    """By the server's own clock, read in the handler."""
    finding = Finding(5, "nothing ran before it was due, by the server's clock")
    for line in books.lines:
        job = books.jobs.get(line.job_id)
        if line.word == "time" and job is not None:
            ran = _true_time(books, job, int(line.value))
            finding.check(ran >= job.scheduled_time, f"{job.id} ran at {ran}, {_early(job)}")
    return finding


def _true_time(books: Books, job: Job, time_ms: int) -> int:
    """When it was, had the clock not been off: for a job that was scheduled before it was.

    So is one that was scheduled while it was off another time: what was due by then went on when it was right between.
    """
    for shift in books.shifts:
        if shift.covers(time_ms) and not shift.saw_begin(job.created_time):
            return time_ms - shift.by_ms
    return time_ms


def _early(job: Job) -> str:
    return f"was due at {job.scheduled_time}, created at {job.created_time}, started at {job.started_time}"

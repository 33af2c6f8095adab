"""2. A counter written by mutations equals the number of jobs in `success`; each job's mark was applied once."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler import JobState
from tests.faults.chaos.books import Books
from tests.faults.chaos.invariants.finding import Finding

MARKED = ("transfer", "transfer_in_a_thread", "receipt", "count", "flaky", "withdraw", "poison")


def check(books: Books) -> Iterator[Finding]:
    """Count the counter and the marks (C3.1)."""
    yield _counter(books)
    yield _marks(books)
    yield _forgotten(books)


def _counter(books: Books) -> Finding:
    finding = Finding(2, "the counter is the number of jobs that counted")
    done = sum(1 for _ in books.of("count", state=JobState.SUCCESS))
    found = books.documents["counters"].get("hot", {"count": 0})["count"]
    finding.check(found == done, f"the counter stands at {found}, and {done} jobs have counted")
    finding.looked_at = done
    return finding


def _marks(books: Books) -> Finding:
    finding, marks = Finding(2, "each job's mark was applied once"), dict(books.documents["marks"])
    for job in books.of(*MARKED):
        times = marks.pop(job.id, {"times": 0})["times"]
        wanted = int(job.state is JobState.SUCCESS)
        finding.check(
            times == wanted,
            f"{job.name} {job.id} is {job.state}, and was applied {times} times",
        )
    finding.violations += [f"{job_id} has a mark and no record" for job_id in marks]
    return finding


def _forgotten(books: Books) -> Finding:
    """Jobs without a record, found by the tags of their calls (C5.3)."""
    finding, marks = Finding(2, "jobs whose record is not kept were applied once"), dict(books.documents["forgotten"])
    for tag, asked in books.asked.items():
        if asked.planned.function != "forgotten":
            continue
        times = marks.pop(str(tag), {"times": 0})["times"]
        least = 1 if asked.ids and books.keeps_all else 0
        most = len(set(asked.ids)) + (0 if asked.planned.key and books.keeps_all and asked.ids else asked.unsure)
        finding.check(least <= times <= most, f"call {tag} was applied {times} times")
    finding.violations += [f"call {tag} was applied, and never made" for tag in marks]
    return finding

"""4. Each job ends in one final state and never leaves it. Children exist exactly if their parent mutation succeeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scheduler import CancelOutcome, Job, JobState
from tests.faults.chaos.books import Books
from tests.faults.chaos.invariants.finding import Finding

REASONS = {
    "transfer": {"Overdrawn"}, "transfer_in_a_thread": {"Overdrawn"}, "transact": {"Refused"},
    "transact_in_a_thread": {"Refused"}, "poison": {"WorkerLost"},
}  # fmt: skip
"""Why mutations fail, and for nothing else."""

CHILDREN = {"transfer": ("receipt", "notify"), "transfer_in_a_thread": ("receipt", "notify_in_a_thread")}


def check(books: Books) -> Iterator[Finding]:
    """Look at every record."""
    yield _final(books)
    yield _stays(books)
    yield _canceled(books)
    yield _children(books)
    yield _reasons(books)


def _final(books: Books) -> Finding:
    """One final state, and listed under that one alone (C5.1)."""
    finding = Finding(4, "each job ended in one final state")
    for job in books.jobs.values():
        listed = list(books.ended.get(job.id, ()))
        finding.check(listed == [job.state], lambda job=job, listed=listed: f"{job.id}: {job.state}, listed {listed}")  # type: ignore[misc]
    finding.violations += [f"{job_id} is listed as {ended}, without a record" for job_id, ended in books.ended.items()
                           if job_id not in books.jobs]  # fmt: skip
    return finding


def _stays(books: Books) -> Finding:
    """What was seen in a final state is so for ever, where nothing is lost."""
    finding = Finding(4, "no job left its final state")
    if not books.keeps_all:
        return finding
    finding.violations += books.changed
    for job_id, seen in books.seen.items():
        finding.check(books.jobs.get(job_id) == seen, lambda seen=seen: f"{seen.id} was {seen.state}, and is not")  # type: ignore[misc]
    return finding


def _canceled(books: Books) -> Finding:
    """Canceled means canceled (C4)."""
    finding = Finding(4, "what a cancel said is what happened")
    if not books.keeps_all:
        return finding
    for job_id, outcome in books.cancels:
        if outcome in (CancelOutcome.CANCELED, CancelOutcome.RUNNING):
            job = books.jobs.get(job_id)
            held = job is not None and job.state is JobState.CANCELED
            finding.check(held, lambda job_id=job_id, job=job: f"{job_id} was canceled, and is {job and job.state}")  # type: ignore[misc]
        elif outcome is CancelOutcome.UNKNOWN:
            finding.check(job_id not in books.jobs, lambda job_id=job_id: f"{job_id} was unknown, and has a record")  # type: ignore[misc]
    return finding


def _children(books: Books) -> Finding:
    """One of each kind for a successful transfer, none for any other (C2.7)."""
    finding = Finding(4, "children exist exactly if their parent succeeded")
    born: dict[str, list[Job]] = {}
    for job in books.jobs.values():
        if job.parent_id is not None:
            born.setdefault(job.parent_id, []).append(job)
    for parent in books.of(*CHILDREN):
        names = Counter(child.name.partition(":")[2] for child in born.pop(parent.id, ()))
        wanted = CHILDREN[parent.name.partition(":")[2]] if parent.state is JobState.SUCCESS else ()
        finding.check(
            names == Counter(wanted),
            lambda parent=parent, names=names: f"{parent.id}, {parent.state}: {dict(names)}",  # type: ignore[misc]
        )
    for teller in books.of("tell"):
        names = Counter(child.name.partition(":")[2] for child in born.pop(teller.id, ()))
        moved = int(teller.id in books.documents["moves"])
        counted = names["count"] == 1 if teller.state is JobState.SUCCESS else names["count"] <= moved
        finding.check(
            names["notify"] == moved and counted,
            lambda teller=teller, names=names: f"teller {teller.id}, {teller.state}: {dict(names)}",  # type: ignore[misc]
        )
    finding.violations += [f"{parent} has children, and is none who may" for parent in born]
    return finding


def _told(job: Job) -> str:
    return f"{job.error.type}: {job.error.message}" if job.error is not None else "without a word"


def _reasons(books: Books) -> Finding:
    """Mutations fail for what their author raised, and poison for what it does (C3.2, C3.4)."""
    finding = Finding(4, "mutations failed for their own reasons alone")
    for job in books.jobs.values():
        if job.kind == "mutation":
            why = job.error.type if job.error is not None and job.state is JobState.FAILED else None
            allowed = REASONS.get(job.name.partition(":")[2], set())
            finding.check(why is None or why in allowed, lambda job=job: f"{job.name} {job.id} failed: {_told(job)}")  # type: ignore[misc]
            poisoned = job.name != "chaos:poison" or job.state in (JobState.FAILED, JobState.CANCELED)
            finding.check(poisoned, lambda job=job: f"poison {job.id} is {job.state}")  # type: ignore[misc]
    return finding

"""4. Each job ends in one final state and never leaves it. Children exist exactly if their parent succeeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scheduler import CancelOutcome, Job, JobState
from tests.faults.chaos.books import Books
from tests.faults.chaos.invariants.finding import Finding

MAX_DELIVERIES = 8
"""Few enough for poison to end; few other jobs meet so many deaths in a row, by our hand or by poison."""

REASONS = {
    "transfer": {"Overdrawn"}, "transfer_in_a_thread": {"Overdrawn"}, "transact": {"Refused"},
    "transact_in_a_thread": {"Refused"}, }  # fmt: skip
"""Why mutations fail, besides for the deaths of their workers, and for nothing else."""

CHILDREN = {"transfer": ("receipt", "notify"), "transfer_in_a_thread": ("receipt", "notify_in_a_thread")}


def check(books: Books) -> Iterator[Finding]:
    """Look at every record."""
    yield _final(books)
    yield _stays(books)
    yield _canceled(books)
    yield _withdrawn(books)
    yield _born_canceled(books)
    yield _children(books)
    yield _reasons(books)


def _final(books: Books) -> Finding:
    """One final state, and listed under that one alone (C5.1)."""
    finding = Finding(4, "each job ended in one final state")
    for job in books.jobs.values():
        listed = list(books.ended.get(job.id, ()))
        finding.check(listed == [job.state], f"{job.id}: {job.state}, listed {listed}")
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
        finding.check(books.jobs.get(job_id) == seen, f"{seen.id} was {seen.state}, and is not")
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
            finding.check(held, f"{job_id} was canceled, and is {job and job.state}")
        elif outcome is CancelOutcome.UNKNOWN:
            finding.check(job_id not in books.jobs, f"{job_id} was unknown, and has a record")
    return finding


def _withdrawn(books: Books) -> Finding:
    """A cancel in a mutation is part of its transaction (C4.1)."""
    finding = Finding(4, "what a mutation canceled is canceled if it succeeded")
    for job in books.of("withdraw", state=JobState.SUCCESS):
        if job.result in (CancelOutcome.CANCELED, CancelOutcome.RUNNING):
            target = books.jobs.get(job.kwargs["job_id"])
            held = target is not None and target.state is JobState.CANCELED
            finding.check(held, f"{job.id} canceled {job.kwargs['job_id']}, which is {target and target.state}")
    return finding


def _born_canceled(books: Books) -> Finding:
    """What an action schedules once it is canceled never runs (C4, C4.2)."""
    finding = Finding(4, "what a canceled action scheduled from then on is canceled")
    for child in books.of("count"):
        parent = books.jobs.get(child.parent_id or "")
        canceled_ms = parent.completed_time if parent is not None and parent.state is JobState.CANCELED else None
        if canceled_ms is not None and not books.clock_was_off(canceled_ms) and child.created_time > canceled_ms:
            finding.check(child.state is JobState.CANCELED, f"{child.id} of {child.parent_id} is {child.state}")
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
            f"{parent.id}, {parent.state}: {dict(names)}",
        )
    starts = books.starts()
    for teller in books.of("tell"):
        names = Counter(child.name.partition(":")[2] for child in born.pop(teller.id, ()))
        moved = int(teller.id in books.documents["moves"])
        if books.may_have_lost_of(teller):
            counted = names["count"] <= starts[teller.id]
        elif teller.state is JobState.SUCCESS:
            counted = names["count"] == 1
        else:
            counted = names["count"] <= moved
        finding.check(
            names["notify"] == moved and counted,
            f"teller {teller.id}, {teller.state}: {dict(names)}",
        )
    # An action whose own record was lost with the power goes on, and what it schedules from then on is accepted.
    orphaned = {parent for parent in born if books.struck and parent not in books.jobs and starts[parent]}
    finding.violations += [f"{parent} has children, and is none who may" for parent in born.keys() - orphaned]
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
            # By anybody's poison or by our hand: the record names who has died of it (C3.4).
            allowed = allowed | ({"WorkerLost"} if len(job.deaths) >= MAX_DELIVERIES else set())
            finding.check(why is None or why in allowed, f"{job.name} {job.id} failed: {_told(job)}")
            poisoned = job.name != "chaos:poison" or job.state in (JobState.FAILED, JobState.CANCELED)
            finding.check(poisoned, f"poison {job.id} is {job.state}")
    return finding

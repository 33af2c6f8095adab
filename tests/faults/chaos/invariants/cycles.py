"""8. Random transactions over lists show no cycle."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler import Job, JobState
from tests.faults.chaos.books import Books
from tests.faults.chaos.invariants.finding import Finding
from tests.serializability import lists
from tests.serializability.checker import check as judge
from tests.serializability.history import Transaction


def check(books: Books) -> Iterator[Finding]:
    """Judge the history of what was committed and of what failed (C6.2)."""
    jobs = list(books.of("transact", "transact_in_a_thread"))
    final = {key: tuple(document["values"]) for key, document in books.documents["lists"].items()}
    history = [_transaction(job) for job in jobs if job.state in (JobState.SUCCESS, JobState.FAILED)]
    verdict = judge(history, final)
    finding = Finding(8, "transactions over lists are as if one after another", len(history))
    finding.violations += [str(anomaly) for anomaly in verdict.anomalies]
    yield finding


def _transaction(job: Job) -> Transaction:
    if job.state is JobState.SUCCESS:
        return Transaction(job.id, lists.operations_of(job.result))
    refused = job.error is not None and job.error.type == "Refused"
    told = lists.unpack_refused(job.error.message) if refused and job.error is not None else []
    return Transaction(job.id, lists.operations_of(told), committed=False)

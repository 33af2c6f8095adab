"""Ten thousand random transactions in four worker processes are as if run one after another (C6.2, C3.1, C3.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scheduler import App, Call, Job, JobState, SyncScheduler
from tests.serializability import lists
from tests.serializability.checker import check
from tests.serializability.conftest import StartWorkers, Tell
from tests.serializability.history import Read, Transaction
from tests.serializability.jobs import borrow, conflicts, ended, wait_for_all
from tests.serializability.plans import Planned, plans

TRANSACTIONS = 10_000
TIMEOUT_S = 240
CONCURRENCY = 12
"""Handlers at once in a process. More of them make more conflicts of the same kind, and each takes its time."""


def test_random_transactions_over_lists_are_serializable(
    app: App, url: str, start_workers: StartWorkers, seed: int, tell: Tell
) -> None:
    borrow(app, lists.app)
    planned = list(plans(seed, TRANSACTIONS))
    with SyncScheduler(app, url=url) as scheduler:
        start_workers("tests.serializability.lists", concurrency=CONCURRENCY)
        ids = scheduler.schedule_many(_call(app, one) for one in planned)
        took_s = wait_for_all(scheduler, TIMEOUT_S)
        jobs = ended(scheduler)
        final = _read_all(scheduler, frozenset[str]().union(*(one.keys for one in planned)))
    history = [_transaction(one, jobs[job_id]) for one, job_id in zip(planned, ids, strict=True)]
    verdict = check(history, final)
    retried = conflicts(jobs.values())
    tell(
        f"random transactions: {len(history):,} in {took_s:.1f} s (seed {seed}), {retried:,} conflicts,"
        f" {sum(map(len, final.values())):,} appends, longest list {max(map(len, final.values()))},"
        f" edges: {', '.join(f'{kind} {count:,}' for kind, count in sorted(verdict.edges.items()))}"
    )
    assert verdict.anomalies == [], f"seed {seed}\n" + "\n".join(map(str, verdict.anomalies[:20]))
    # What nobody contended for proves nothing.
    assert retried > TRANSACTIONS // 10, f"seed {seed}: {retried} conflicts"
    assert min(verdict.edges[kind] for kind in ("ww", "wr", "rw")) > TRANSACTIONS // 10, f"seed {seed}: {verdict.edges}"


def _call(app: App, one: Planned) -> Call:
    function = lists.transact_in_a_thread if one.in_a_thread else lists.transact
    return app.functions[function.name].after(0, one.plan, one.raises)


def _transaction(one: Planned, job: Job) -> Transaction:
    """What the record says; a mutation that raised tells in its error what it had seen (C3.2)."""
    name = f"T{one.number}"
    if not one.raises:
        assert job.state is JobState.SUCCESS, f"{name}: {job.state} {job.error}"
        return Transaction(name, lists.operations_of(job.result))
    assert job.error is not None, f"{name} was to raise, and is {job.state}"
    assert job.error.type == "Refused", job.error
    return Transaction(name, lists.operations_of(lists.unpack_refused(job.error.message)), committed=False)


def _read_all(scheduler: SyncScheduler, keys: frozenset[str]) -> Mapping[str, Sequence[int]]:
    plan = [["read", key] for key in sorted(keys)]
    told = scheduler.result(scheduler.run_after(0, lists.transact.name, plan), timeout=60)
    return {read.key: read.values for read in lists.operations_of(told) if isinstance(read, Read)}

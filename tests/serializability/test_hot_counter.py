"""One document that all mutations of four processes want: no increment is lost, none is made twice (C3.1, C3.3).

`python -m benchmarks.contention` does it with 20,000 of them, and says how fast.
"""

from __future__ import annotations

from scheduler import App, JobState, SyncScheduler
from tests.serializability import counter
from tests.serializability.conftest import StartWorkers, Tell
from tests.serializability.jobs import borrow, conflicts, ended, wait_for_all

INCREMENTS = 2_000
TIMEOUT_S = 120


def test_a_hot_counter_counts_each_mutation_once(app: App, url: str, start_workers: StartWorkers, tell: Tell) -> None:
    borrow(app, counter.app)
    with SyncScheduler(app, url=url) as scheduler:
        start_workers("tests.serializability.counter")
        increment = app.functions[counter.increment.name]
        ids = scheduler.schedule_many([increment.after(0)] * INCREMENTS)
        took_s = wait_for_all(scheduler, TIMEOUT_S)
        jobs = ended(scheduler)
        value = scheduler.result(scheduler.run_after(0, counter.value.name), timeout=10)
    retried = conflicts(jobs.values())
    tell(f"hot counter: {INCREMENTS:,} increments in {took_s:.1f} s, {retried:,} conflicts")
    assert {jobs[job_id].state for job_id in ids} == {JobState.SUCCESS}
    assert value == INCREMENTS
    # Each count was returned once: the increments happened one after another.
    assert sorted(jobs[job_id].result for job_id in ids) == list(range(1, INCREMENTS + 1))
    assert len({jobs[job_id].worker for job_id in ids}) > 1

"""Workers that are killed, paused and stopped: what their jobs become."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from scheduler import App, JobFailed, JobState, SyncScheduler
from scheduler.keys import GROUP
from tests.acl import administer
from tests.worker import faulty
from tests.worker.conftest import Start
from tests.worker.processes import LEASE_MS, wait_until

ALLOWANCE_S = 2.0
"""For two busy cores: starting a handler and writing a file is not part of the lease. It is what is promised: the lease
and two seconds."""


def marks(folder: Path, name: str) -> list[int]:
    file = folder / name
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def balance(scheduler: SyncScheduler, account: str) -> int:
    return int(scheduler.result(scheduler.run_after(0, "faulty:read_balance", account), timeout=10))


def test_a_mutation_of_a_killed_worker_runs_again_within_the_lease(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.1, C3.3: completed by another worker, its effects there once.
    first = start_worker()
    job_id = scheduler.run_after(0, "faulty:deposit", str(tmp_path), "a", 5, hold_first=True)
    wait_until(lambda: marks(tmp_path, "deposit") == [first.pid])
    second = start_worker()
    first.kill()
    killed = time.monotonic()
    assert scheduler.result(job_id, timeout=LEASE_MS / 1000 + ALLOWANCE_S) == 2
    assert time.monotonic() - killed < LEASE_MS / 1000 + ALLOWANCE_S
    assert marks(tmp_path, "deposit") == [first.pid, second.pid]
    assert balance(scheduler, "a") == 5
    wait_until(lambda: len(marks(tmp_path, "note")) == 1, what="the child")
    job = scheduler.get(job_id)
    assert job is not None
    assert (job.state, job.attempts) == (JobState.SUCCESS, 2)


def test_an_action_of_a_killed_worker_fails_within_the_lease_and_never_runs_again(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.5
    first = start_worker()
    job_id = scheduler.run_after(0, "faulty:hold", str(tmp_path))
    wait_until(lambda: len(marks(tmp_path, "hold")) == 1)
    job = scheduler.get(job_id)
    assert job is not None
    assert job.state is JobState.IN_PROGRESS
    start_worker()
    first.kill()
    with pytest.raises(JobFailed, match="transient error while executing action"):
        scheduler.result(job_id, timeout=LEASE_MS / 1000 + ALLOWANCE_S)
    (tmp_path / "release").touch()
    assert balance(scheduler, "nobody") == 0  # the other worker is alive and has had its chance
    assert marks(tmp_path, "hold") == [first.pid]


def test_a_worker_paused_in_a_mutation_past_its_lease_changes_nothing(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.1: a worker that was paused and comes back late can change nothing.
    first = start_worker()
    job_id = scheduler.run_after(0, "faulty:deposit", str(tmp_path), "a", 5, hold_first=True)
    wait_until(lambda: marks(tmp_path, "deposit") == [first.pid])
    second = start_worker()
    first.send(signal.SIGSTOP)
    # The time is another test's. A machine so busy that nobody renewed for a lease makes it one start more.
    assert scheduler.result(job_id, timeout=20) >= 2
    settled = scheduler.get(job_id)
    (tmp_path / "release").touch()
    first.send(signal.SIGCONT)
    # It goes on with other work, so it has had its say about this one.
    second.send(signal.SIGTERM)
    second.process.wait(10)
    assert balance(scheduler, "a") == 5
    assert scheduler.get(job_id) == settled
    wait_until(lambda: scheduler.count(state="success", function="faulty:note") == 1, what="the child")
    assert len(marks(tmp_path, "note")) == 1  # in whichever of them


def test_a_worker_paused_in_an_action_past_its_lease_reports_to_nobody(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.5, C5.1: a final state never changes.
    first = start_worker()
    job_id = scheduler.run_after(0, "faulty:hold", str(tmp_path))
    wait_until(lambda: len(marks(tmp_path, "hold")) == 1)
    second = start_worker()
    first.send(signal.SIGSTOP)
    with pytest.raises(JobFailed, match="transient error"):
        scheduler.result(job_id, timeout=20)
    (tmp_path / "release").touch()
    first.send(signal.SIGCONT)
    second.send(signal.SIGTERM)
    second.process.wait(10)
    assert balance(scheduler, "nobody") == 0
    job = scheduler.get(job_id)
    assert job is not None
    assert (job.state, job.result) == (JobState.FAILED, None)
    assert marks(tmp_path, "hold") == [first.pid]


def test_an_action_delivered_but_not_begun_stays_pending_and_runs_later(
    app: App, scheduler: SyncScheduler, start_worker: Start, tmp_path: Path, server_url: str
) -> None:
    # C3.6: the reply of the claim was lost, or the worker died before it could ack.
    start_worker().send(signal.SIGTERM)  # makes the group
    store = scheduler._store
    wait_until(lambda: store.command("EXISTS", store.keys.ready("default")) == 1)
    wait_until(lambda: store.command("ZCARD", store.keys.workers) == 0, what="the worker's leave")
    job_id = scheduler.run_after(0, "faulty:hold", str(tmp_path))
    read = ("XREADGROUP", "GROUP", GROUP, "a-dead-reader", "COUNT", 1, "STREAMS", store.keys.ready("default"), ">")
    (entries,) = administer(server_url, *read)
    assert len(entries[1]) == 1
    job = scheduler.get(job_id)
    assert job is not None
    assert job.state is JobState.PENDING
    (tmp_path / "release").touch()
    start_worker()
    assert scheduler.result(job_id, timeout=2 * LEASE_MS / 1000 + ALLOWANCE_S) == "released"
    assert len(marks(tmp_path, "hold")) == 1


def test_a_job_that_takes_its_workers_down_fails_at_last(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.4: and its record says which.
    job_id = scheduler.run_after(0, "faulty:poison", str(tmp_path))
    started_ms = time.time() * 1000
    for death in (1, 2):
        victim = start_worker(max_deliveries=2, lease_ms=1_000)
        victim.process.wait(10)
        assert len(marks(tmp_path, "poison")) == death
    start_worker(max_deliveries=2, lease_ms=1_000)
    with pytest.raises(JobFailed, match="took its worker down 2 times"):
        scheduler.result(job_id, timeout=10)
    assert len(marks(tmp_path, "poison")) == 2
    job = scheduler.get(job_id)
    assert job is not None
    assert [f"-{pid}-" in death.worker for pid, death in zip(marks(tmp_path, "poison"), job.deaths, strict=True)] == [
        True
    ] * 2
    assert started_ms < job.deaths[0].time < job.deaths[1].time <= (job.completed_time or 0)


@pytest.mark.parametrize("how", faulty.TEARS)
def test_a_handler_that_tears_its_worker_down_fails_no_other_job(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path, how: str
) -> None:
    """All handlers of the worker were cancelled, and their jobs `failed` with that, as if it were their own word."""
    # C3.3, C3.4, C3.5
    first = start_worker(is_torn=True, lease_ms=1_000)
    mutation = scheduler.run_after(0, "faulty:deposit", str(tmp_path), "a", 5, hold_first=True)
    action = scheduler.run_after(0, "faulty:hold", str(tmp_path))
    wait_until(lambda: len(marks(tmp_path, "deposit")) == len(marks(tmp_path, "hold")) == 1)
    poison = scheduler.run_after(0, "faulty:tear_down", how)
    first.process.wait(10)
    (tmp_path / "release").touch()
    start_worker(lease_ms=1_000)
    assert scheduler.result(mutation, timeout=10) == 2
    assert balance(scheduler, "a") == 5
    with pytest.raises(JobFailed, match="transient error while executing action"):
        scheduler.result(action, timeout=10)
    # The culprit too: its worker has died of it, once so far.
    assert scheduler.result(poison, timeout=10) == 2
    jobs = [scheduler.get(job_id) for job_id in (mutation, action, poison)]
    assert [len(job.deaths) for job in jobs if job is not None] == [1, 1, 1]


def test_an_action_says_which_worker_died_with_it(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.5
    first = start_worker(lease_ms=1_000)
    job_id = scheduler.run_after(0, "faulty:hold", str(tmp_path))
    wait_until(lambda: len(marks(tmp_path, "hold")) == 1)
    start_worker(lease_ms=1_000)
    first.kill()
    with pytest.raises(JobFailed):
        scheduler.result(job_id, timeout=1 + ALLOWANCE_S)
    job = scheduler.get(job_id)
    assert job is not None
    assert [death.worker for death in job.deaths] == [job.worker]


def test_a_handler_that_blocks_the_event_loop_keeps_its_lease(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # Renewals come from a thread of their own.
    first, second = start_worker(), start_worker()
    seconds = 2 * LEASE_MS / 1000
    job_id = scheduler.run_after(0, "faulty:block_loop", str(tmp_path), seconds)
    assert scheduler.result(job_id, timeout=seconds + ALLOWANCE_S) == 1
    (pid,) = marks(tmp_path, "block")
    assert pid in (first.pid, second.pid)


def test_term_gives_mutations_back_at_once_and_lets_actions_finish(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    first = start_worker()
    mutation = scheduler.run_after(0, "faulty:deposit", str(tmp_path), "a", 5, hold_first=True)
    action = scheduler.run_after(0, "faulty:hold", str(tmp_path))
    wait_until(lambda: len(marks(tmp_path, "deposit")) == len(marks(tmp_path, "hold")) == 1)
    second = start_worker()
    first.send(signal.SIGTERM)
    assert scheduler.result(mutation, timeout=LEASE_MS / 2000) == 2  # long before the lease is over
    assert marks(tmp_path, "deposit")[-1] == second.pid
    (tmp_path / "release").touch()
    assert scheduler.result(action, timeout=5) == "released"
    assert first.process.wait(10) == 0
    job = scheduler.get(mutation)
    assert job is not None
    assert job.attempts == 2
    assert balance(scheduler, "a") == 5


def test_an_action_that_outlives_the_grace_fails_with_that_reason(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    first = start_worker(grace_s=0.2)
    job_id = scheduler.run_after(0, "faulty:hold", str(tmp_path))
    wait_until(lambda: len(marks(tmp_path, "hold")) == 1)
    first.send(signal.SIGTERM)
    with pytest.raises(JobFailed, match="the worker was stopped"):
        scheduler.result(job_id, timeout=5)
    assert first.process.wait(10) == 0


def test_delayed_jobs_go_on_when_the_promoter_is_killed(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C7.3: nothing due is skipped.
    first = start_worker()
    wait_until(lambda: first.logged("leads promoter=") == 1)
    second = start_worker()
    first.kill()
    job_id = scheduler.run_after(100, "faulty:deposit", str(tmp_path), "a", 5)
    assert scheduler.result(job_id, timeout=10) == 1
    assert second.logged("leads promoter=") == 1


def test_faulty_is_what_the_processes_run() -> None:
    assert set(faulty.app.functions) >= {"faulty:deposit", "faulty:hold", "faulty:poison"}

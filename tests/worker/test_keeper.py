"""Handlers that hold the interpreter, so that nothing of their process can renew: their keeper does, and no longer than
it should.
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from scheduler import JobState, SyncScheduler
from tests.worker.conftest import Start
from tests.worker.processes import LEASE_MS, WorkerProcess, is_running, keepers_of, wait_until

ALLOWANCE_S = 2.0
LEASES_S = 2.25 * LEASE_MS / 1000
LONG_S = float(os.environ.get("LONG_BLOCK_S") or LEASES_S)
"""How long handlers hold the interpreter; `make test-blocked` says a minute."""


def starts(folder: Path, name: str) -> list[int]:
    file = folder / name
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def keeper_of(worker: WorkerProcess) -> int:
    wait_until(lambda: len(keepers_of(worker.pid)) == 1, what="the keeper")
    return keepers_of(worker.pid)[0]


def ignored_by(pid: int) -> set[int]:
    (mask,) = re.findall(r"SigIgn:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return {number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1}


def heartbeats(scheduler: SyncScheduler) -> int:
    return int(scheduler._store.command("ZCARD", scheduler._store.keys.workers))


@pytest.mark.parametrize("function", ["block_all", "block_all_in_thread", "block_all_in_action"])
def test_a_handler_that_holds_the_interpreter_keeps_its_lease(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path, function: str
) -> None:
    # C3.1, C3.5: it is not taken for dead, and does not start twice.
    first, second = start_worker(), start_worker()
    job_id = scheduler.run_after(0, f"faulty:{function}", str(tmp_path), LONG_S)
    assert scheduler.result(job_id, timeout=LONG_S + ALLOWANCE_S) in (1, "done")
    (pid,) = starts(tmp_path, "block_all")
    assert pid in (first.pid, second.pid)
    job = scheduler.get(job_id)
    assert job is not None
    assert (job.state, job.attempts, job.deaths) == (JobState.SUCCESS, 1, ())


def test_what_was_handed_to_it_unread_runs_elsewhere(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.3: its blocking read may get entries that it cannot even look at.
    first = start_worker()
    scheduler.run_after(0, "faulty:block_all", str(tmp_path), 2 * LEASES_S, when_released=True)
    wait_until(lambda: starts(tmp_path, "waiting") == [first.pid])
    (tmp_path / "release").touch()
    wait_until(lambda: starts(tmp_path, "block_all") == [first.pid])
    job_id = scheduler.run_after(0, "faulty:deposit", str(tmp_path), "a", 5)
    second = start_worker()
    assert scheduler.result(job_id, timeout=LEASE_MS / 1000 + ALLOWANCE_S) == 2
    assert starts(tmp_path, "deposit") == [second.pid]
    assert starts(tmp_path, "unblocked") == []


def test_a_worker_killed_while_it_is_kept_is_dead(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.3: within the lease, and no process is left behind.
    first = start_worker()
    keeper = keeper_of(first)
    job_id = scheduler.run_after(0, "faulty:block_for_good", str(tmp_path))
    wait_until(lambda: starts(tmp_path, "block_for_good") == [first.pid])
    start_worker()
    started = time.monotonic()
    wait_until(lambda: time.monotonic() > started + LEASES_S, what="two leases")
    assert starts(tmp_path, "block_for_good") == [first.pid]
    first.kill()
    assert scheduler.result(job_id, timeout=LEASE_MS / 1000 + ALLOWANCE_S) == 2
    assert not is_running(keeper)


def test_a_paused_worker_is_not_kept(scheduler: SyncScheduler, start_worker: Start, tmp_path: Path) -> None:
    # C3.1: a debugger or SIGSTOP takes its lease away, whether its handler holds the interpreter or not.
    first = start_worker()
    keeper = keeper_of(first)
    job_id = scheduler.run_after(0, "faulty:block_for_good", str(tmp_path))
    wait_until(lambda: starts(tmp_path, "block_for_good") == [first.pid])
    second = start_worker()
    first.send(signal.SIGSTOP)
    assert scheduler.result(job_id, timeout=LEASE_MS / 1000 + ALLOWANCE_S) == 2
    assert starts(tmp_path, "block_for_good") == [first.pid, second.pid]
    assert is_running(keeper)


def test_a_keeper_that_dies_is_started_again(scheduler: SyncScheduler, start_worker: Start, tmp_path: Path) -> None:
    first = start_worker()
    keeper = keeper_of(first)
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: keepers_of(first.pid) not in ([], [keeper]), what="another keeper")
    assert first.logged("the keeper ended with code -9") == 1
    start_worker()
    job_id = scheduler.run_after(0, "faulty:block_all", str(tmp_path), LEASES_S)
    assert scheduler.result(job_id, timeout=LEASES_S + ALLOWANCE_S) == 1


def test_a_stopped_keeper_holds_nobody_up(scheduler: SyncScheduler, start_worker: Start, tmp_path: Path) -> None:
    first = start_worker()
    keeper = keeper_of(first)
    os.kill(keeper, signal.SIGSTOP)
    job_id = scheduler.run_after(0, "faulty:deposit", str(tmp_path), "a", 5)
    assert scheduler.result(job_id, timeout=5) == 1
    first.send(signal.SIGTERM)
    assert first.process.wait(10) == 0
    assert not is_running(keeper)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_no_keeper_outlives_its_worker(start_worker: Start, number: signal.Signals) -> None:
    first = start_worker()
    keeper = keeper_of(first)
    wait_until(lambda: ignored_by(keeper) >= {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}, what="its deafness")
    for meant_for_the_worker in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(keeper, meant_for_the_worker)
    assert is_running(keeper)
    first.send(number)
    first.process.wait(10)
    wait_until(lambda: not is_running(keeper), 5, "the keeper's end")


def test_a_worker_can_do_without_one(scheduler: SyncScheduler, start_worker: Start, tmp_path: Path) -> None:
    first = start_worker(keeper=False)
    job_id = scheduler.run_after(0, "faulty:deposit", str(tmp_path), "a", 5)
    assert scheduler.result(job_id, timeout=5) == 1
    assert keepers_of(first.pid) == []
    assert heartbeats(scheduler) == 1

"""TERM at any moment: nothing is lost, and nothing runs twice."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from scheduler import App, EmbeddedServer, JobFailed, JobState, SyncScheduler
from tests.worker.conftest import Start
from tests.worker.processes import LEASE_MS, WorkerProcess, wait_until

JOBS, ROUNDS, BATCH, ACCOUNTS = 300, 4, 150, 40
ALLOWANCE_S = 2.0


def marks(folder: Path, name: str) -> list[int]:
    file = folder / name
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def rests(scheduler: SyncScheduler) -> bool:
    return scheduler.count(state="pending") + scheduler.count(state="inProgress") == 0


def check_exact(scheduler: SyncScheduler, folder: Path, count: int) -> None:
    """Each deposit and each note once, and nothing failed."""
    wait_until(lambda: rests(scheduler), 60, "the end of all work")
    assert [job.error for job in scheduler.list(state="failed").jobs] == []
    assert scheduler.count(state="success", function="faulty:note") == count
    assert len(marks(folder, "note")) == count
    balances = [scheduler.run_after(0, "faulty:read_balance", f"a{n}") for n in range(ACCOUNTS)]
    assert sum(scheduler.result(job_id, timeout=10) for job_id in balances) == count


def test_rolling_stops_under_load_lose_nothing_and_double_nothing(
    scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.1, C3.5: three workers, each replaced while all are busy.
    workers = [start_worker(concurrency=20, traced=False) for _ in range(3)]
    functions = [scheduler.app.functions[f"faulty:{name}"] for name in ("deposit", "deposit_in_thread")]
    stopped: list[WorkerProcess] = []
    for round_ in range(ROUNDS):
        batch = range(round_ * BATCH, (round_ + 1) * BATCH)
        scheduler.schedule_many(
            functions[n % 2].after((n - batch[0]) * 5, str(tmp_path), f"a{n % ACCOUNTS}", 1) for n in batch
        )
        wait_until(lambda batch=batch: len(marks(tmp_path, "note")) > batch[0] + BATCH // 4)  # type: ignore[misc]
        stopped.append(workers.pop(0))
        stopped[-1].send(signal.SIGTERM)
        workers.append(start_worker(concurrency=20, traced=False))
    assert [worker.process.wait(20) for worker in stopped] == [0] * ROUNDS
    check_exact(scheduler, tmp_path, ROUNDS * BATCH)
    for name in ("faulty:deposit", "faulty:deposit_in_thread"):
        assert all(job.deaths == () for job in scheduler.list(function=name, limit=1_000).jobs)


def test_a_second_term_is_hard_and_loses_nothing(scheduler: SyncScheduler, start_worker: Start, tmp_path: Path) -> None:
    """The second signal ends a process of the command line at once (tests/cli_worker); here what it held: the mutation
    was back already, the action fails by its lease."""
    # C3.1, C3.5
    first = start_worker()
    mutation = scheduler.run_after(0, "faulty:deposit", str(tmp_path), "a0", 1, hold_first=True)
    action = scheduler.run_after(0, "faulty:hold", str(tmp_path))
    wait_until(lambda: len(marks(tmp_path, "deposit")) == len(marks(tmp_path, "hold")) == 1)
    second = start_worker()
    first.send(signal.SIGTERM)
    assert scheduler.result(mutation, timeout=LEASE_MS / 2000) == 2
    first.kill()
    with pytest.raises(JobFailed, match="transient error while executing action"):
        scheduler.result(action, timeout=LEASE_MS / 1000 + ALLOWANCE_S)
    assert marks(tmp_path, "deposit") == [first.pid, second.pid]
    assert marks(tmp_path, "hold") == [first.pid]


def test_a_stop_while_redis_is_away_ends_in_time_and_loses_nothing(
    app: App, start_worker: Start, tmp_path: Path
) -> None:
    # C3.1, C3.5, C7.3: what could not be given back comes back by its lease.
    with EmbeddedServer(tmp_path / "data", persistent=False) as server, SyncScheduler(app, url=server.url) as scheduler:
        first = start_worker(url=server.url, grace_s=0.2)
        mutation = scheduler.run_after(0, "faulty:deposit", str(tmp_path), "a0", 1, hold_first=True)
        action = scheduler.run_after(0, "faulty:hold", str(tmp_path))
        wait_until(lambda: len(marks(tmp_path, "deposit")) == len(marks(tmp_path, "hold")) == 1)
        os.kill(server.pid, signal.SIGSTOP)
        asked = time.monotonic()
        first.send(signal.SIGTERM)
        assert first.process.wait(20) == 0
        assert time.monotonic() - asked < 12
        os.kill(server.pid, signal.SIGCONT)
        second = start_worker(url=server.url)
        assert scheduler.result(mutation, timeout=2 * LEASE_MS / 1000 + ALLOWANCE_S) == 2
        with pytest.raises(JobFailed):
            scheduler.result(action, timeout=2 * LEASE_MS / 1000 + ALLOWANCE_S)
        assert marks(tmp_path, "deposit") == [first.pid, second.pid]
        assert marks(tmp_path, "hold") == [first.pid]


def test_stops_while_workers_start_lose_nothing(
    server_url: str, scheduler: SyncScheduler, start_worker: Start, tmp_path: Path
) -> None:
    # C3.1, C3.6: at a random moment, from the interpreter's start to the first jobs in hand.
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    deposit = scheduler.app.functions["faulty:deposit"]
    scheduler.schedule_many(deposit.after(0, str(tmp_path), f"a{n % ACCOUNTS}", 1) for n in range(JOBS))
    codes = []
    for number in range(5):
        victim = WorkerProcess(
            server_url, scheduler.app.namespace, tmp_path / f"v{number}.log", traced=False, concurrency=20
        )
        moment = time.monotonic() + chance.uniform(0, 1.2)
        wait_until(lambda moment=moment: time.monotonic() >= moment, what="the moment")  # type: ignore[misc]
        victim.send(signal.SIGTERM)
        codes.append(victim.process.wait(20))
    assert set(codes) <= {0, -signal.SIGTERM}, f"seed {seed}: {codes}"
    start_worker()
    check_exact(scheduler, tmp_path, JOBS)
    assert scheduler.count(state=JobState.SUCCESS, function="faulty:deposit") == JOBS

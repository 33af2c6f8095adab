"""Worker processes that die or stand still around their COMMIT: in the end SQL and Redis agree."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from scheduler import App, JobFailed, JobState, SyncScheduler
from tests.sql.conftest import Counter, Database
from tests.worker.processes import WorkerProcess, wait_until

Start = Callable[..., WorkerProcess]


@pytest.fixture
def sync(app: App, url: str) -> Iterator[SyncScheduler]:
    with SyncScheduler(app, url=url) as client:
        yield client


@pytest.fixture
def counted(database: Database) -> Database:
    """With one counter in it, at 0."""
    with Session(database.look) as session:
        session.add(Counter(name="n", number=0))
        session.commit()
    return database


@pytest.fixture
def start(app: App, url: str, counted: Database, tmp_path: Path) -> Iterator[Start]:
    """Starts worker processes, `point` being where they die."""
    started: list[WorkerProcess] = []

    def start(point: str = "", **settings: Any) -> WorkerProcess:
        log = tmp_path / f"worker{len(started)}.log"
        environment = {"CRASH_POINT": point, "CRASH_FOLDER": str(tmp_path), "CRASH_DATABASE": counted.async_url}
        process = WorkerProcess(
            url, app.namespace, log, module="tests.sql.crashing", environment=environment, lease_ms=1_000, **settings
        )
        started.append(process)
        return process.wait_started()

    yield start
    for process in started:
        if process.process.poll() is None:
            os.killpg(process.pid, signal.SIGCONT)
            os.killpg(process.pid, signal.SIGKILL)
            process.process.wait(10)
    for process in started:
        assert "Traceback" not in process.log.read_text(), process.log.read_text()


def starts(folder: Path, job_id: str) -> int:
    file = folder / f"start-{job_id}"
    return len(file.read_text().split()) if file.exists() else 0


def schedule(sync: SyncScheduler) -> str:
    return sync.options(allow_unknown=True).run_after(0, "crashing:count")


def children(sync: SyncScheduler) -> list[str | None]:
    """The parents of all children, when those have ended: jobs that change their state may be listed twice."""
    wait_until(lambda: sync.count(state="pending") == 0, what="the end of the children")
    return [job.parent_id for job in sync.list(function="crashing:child", limit=1000).jobs]


def number_of_kills(database: Database) -> int:
    return 100 if database.kind == "postgresql" else 10


def test_killed_between_commit_and_redis(sync: SyncScheduler, start: Start, counted: Database, tmp_path: Path) -> None:
    # C3.1, C6.4: whoever gets the redelivery ends it, without the handler.
    ids = [schedule(sync) for _ in range(number_of_kills(counted))]
    start("after", concurrency=1, max_deliveries=1_000)
    assert [sync.result(job_id, timeout=300) >= 1 for job_id in ids] == [True] * len(ids)
    assert sorted(tmp_path.glob("killed-*")) == [tmp_path / f"killed-{job_id}" for job_id in sorted(ids)]
    assert len((tmp_path / "deaths").read_text().split()) == len(ids)
    assert [starts(tmp_path, job_id) for job_id in ids] == [1] * len(ids)
    assert (counted.counters(), counted.outcomes()) == ({"n": len(ids)}, dict.fromkeys(ids, "success"))
    assert sorted(parent or "" for parent in children(sync)) == sorted(ids)


def test_killed_between_seal_and_commit(sync: SyncScheduler, start: Start, counted: Database, tmp_path: Path) -> None:
    # C3.3: nothing has happened, so it happens now.
    job_id = schedule(sync)
    assert start("before").process.wait(20) == -signal.SIGKILL
    assert counted.counters() == {"n": 0}
    start()
    assert sync.result(job_id, timeout=20) == 2
    assert (counted.counters(), starts(tmp_path, job_id), children(sync)) == ({"n": 1}, 2, [job_id])


def test_what_dies_at_its_commit_again_and_again_fails_by_its_row(
    sync: SyncScheduler, start: Start, counted: Database, tmp_path: Path
) -> None:
    # C3.4: sealed, so Redis alone cannot say that it failed.
    job_id = schedule(sync)
    for _ in range(2):
        assert start("before", max_deliveries=2).process.wait(20) == -signal.SIGKILL
    start(max_deliveries=2)
    with pytest.raises(JobFailed, match="took its worker down 2 times"):
        sync.result(job_id, timeout=20)
    assert (counted.counters(), counted.outcomes()) == ({"n": 0}, {job_id: "failed"})
    assert (starts(tmp_path, job_id), children(sync)) == (2, [])


def test_dead_past_the_cap_but_committed_it_has_succeeded(
    sync: SyncScheduler, start: Start, counted: Database, tmp_path: Path
) -> None:
    # C3.4, C3.1: its row says so.
    job_id = schedule(sync)
    forks = start("after", max_deliveries=1)
    assert sync.result(job_id, timeout=20) >= 1
    assert (counted.counters(), starts(tmp_path, job_id), children(sync)) == ({"n": 1}, 1, [job_id])
    assert forks.process.poll() is None


def test_paused_in_the_handler_past_the_lease_it_changes_nothing(
    sync: SyncScheduler, start: Start, counted: Database, tmp_path: Path
) -> None:
    # C3.1: the other waits at the row until the first has lost at the seal.
    job_id = schedule(sync)
    first = start("hold handler")
    wait_until((tmp_path / "inside").exists)
    first.send(signal.SIGSTOP)
    start()
    wait_until(lambda: redelivered(sync, job_id), what="the redelivery")
    (tmp_path / "release").touch()
    first.send(signal.SIGCONT)
    assert sync.result(job_id, timeout=30) >= 2
    assert (counted.counters(), starts(tmp_path, job_id), children(sync)) == ({"n": 1}, 2, [job_id])


def test_paused_between_seal_and_commit_past_the_lease_it_commits(
    sync: SyncScheduler, start: Start, counted: Database, tmp_path: Path
) -> None:
    # C3.1: only in SQL; the other finds the row, and ends it in Redis.
    job_id = schedule(sync)
    first = start("hold commit")
    wait_until((tmp_path / "sealed").exists)
    first.send(signal.SIGSTOP)
    start()
    wait_until(lambda: redelivered(sync, job_id), what="the redelivery")
    assert sync.cancel(job_id) == "finished"
    (tmp_path / "release").touch()
    first.send(signal.SIGCONT)
    assert sync.result(job_id, timeout=30) == 1
    job = sync.get(job_id)
    assert job is not None
    assert (job.state, job.attempts > 1) == (JobState.SUCCESS, True)
    assert (counted.counters(), starts(tmp_path, job_id), children(sync)) == ({"n": 1}, 1, [job_id])


def redelivered(sync: SyncScheduler, job_id: str) -> bool:
    job = sync.get(job_id)
    return job is not None and job.attempts >= 1

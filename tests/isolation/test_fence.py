"""Workers that are killed or paused while a process of their own runs a handler: none is left, none acts late."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from scheduler import App, Scheduler
from tests.conftest import until
from tests.isolation.processes import cells_of, group_of, is_alive
from tests.isolation.test_deaths import marks
from tests.isolation.test_running import WAIT_S, run
from tests.worker.processes import WorkerProcess

StartProcess = Callable[[], WorkerProcess]


@pytest.fixture
async def start_process(app: App, url: str, tmp_path: Path) -> AsyncIterator[StartProcess]:
    started: list[WorkerProcess] = []

    def start() -> WorkerProcess:
        environment = {"ISOLATION_NAMESPACE": app.namespace}
        log = tmp_path / f"log{len(started)}"
        started.append(WorkerProcess(url, app.namespace, log, module="tests.isolation.shop", environment=environment))
        return started[-1].wait_started()

    yield start
    for process in started:
        process.end()


async def test_a_killed_worker_leaves_none(scheduler: Scheduler, start_process: StartProcess, tmp_path: Path) -> None:
    # Idle, or busy with a handler that holds the interpreter. C3.3: the mutation runs again elsewhere.
    first = start_process()
    job_id = await scheduler.run_after(0, "shop:hold", str(tmp_path))
    await until(lambda: len(marks(tmp_path, "hold")) == 1, WAIT_S)
    await run(scheduler, "where")
    left = cells_of(first.pid)
    assert len(left) == 2
    second = start_process()
    first.kill()
    await until(lambda: not any(is_alive(pid) for pid in left))
    assert await scheduler.result(job_id, timeout=WAIT_S) in cells_of(second.pid)


async def test_a_killed_worker_leaves_nothing_that_a_handler_has_started(
    scheduler: Scheduler, start_process: StartProcess
) -> None:
    # As far as it is in the group of the process.
    process = start_process()
    await run(scheduler, "leave_a_child")
    (cell,) = cells_of(process.pid)
    assert len(group_of(cell)) == 3  # with the guard
    process.kill()
    await until(lambda: group_of(cell) == [])


async def test_a_handler_that_outlives_the_lease_of_a_paused_worker_changes_nothing(
    scheduler: Scheduler, start_process: StartProcess, tmp_path: Path
) -> None:
    # C3.1: its process goes on while the worker stands still; what it has done is refused, and it is ended.
    first = start_process()
    job_id = await scheduler.run_after(0, "shop:wait", str(tmp_path))
    await until(lambda: len(marks(tmp_path, "wait")) == 1, WAIT_S)
    first.send(signal.SIGSTOP)
    second = start_process()
    assert await scheduler.result(job_id, timeout=WAIT_S) == 2
    (tmp_path / "release").touch()
    await until(lambda: (tmp_path / "released").exists(), WAIT_S)
    first.send(signal.SIGCONT)
    second.kill()
    await run(scheduler, "where")  # the first one works on, and what came late has been judged before
    assert [document["attempt"] async for document in scheduler.db.query("waits")] == [2]

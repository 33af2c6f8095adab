"""A worker whose handler blocks it for longer than any may run: its process ends, and its work goes on elsewhere."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from scheduler import EmbeddedServer, JobFailed, SyncScheduler
from tests.cli_worker.conftest import Start
from tests.cli_worker.processes import until

BLOCKING = """
import ctypes, pathlib, time
from scheduler import ActionContext, App, MutationContext

app = App("jobs")


@app.mutation(timeout=0.5)
async def hold_interpreter(ctx: MutationContext) -> int:
    pathlib.Path("blocked").touch()
    if ctx.attempt == 1:
        ctypes.PyDLL(None).sleep(600)
    return ctx.attempt


@app.mutation(timeout=0.5)
async def block_loop(ctx: MutationContext) -> int:
    pathlib.Path("blocked").touch()
    if ctx.attempt == 1:
        time.sleep(600)
    return ctx.attempt


@app.action(timeout=0.5)
async def block_loop_in_action(ctx: ActionContext) -> int:
    pathlib.Path("blocked").touch()
    time.sleep(600)
"""


@pytest.fixture
def target(directory: Path) -> str:
    (directory / "blocking.py").write_text(BLOCKING)
    return "blocking:app"


@pytest.mark.parametrize("handler", ["hold_interpreter", "block_loop"])
def test_a_process_that_is_blocked_for_good_says_where_and_ends(
    start: Start, target: str, server: EmbeddedServer, scheduler: SyncScheduler, directory: Path, handler: str
) -> None:
    # C3.3: the other one has its job within a lease after that, at the latest.
    first = start("worker", target, "--lease", "1s", url=server.url)
    first.until_said("started worker=")
    job_id = scheduler.run_after(0, f"blocking:{handler}")
    until("it is blocked", (directory / "blocked").exists)
    second = start("worker", target, "--lease", "1s", url=server.url)
    assert first.code(10) == 1
    assert "Timeout (0:00:01.5" in first.said()
    assert f"in {handler}" in first.said()
    assert scheduler.result(job_id, timeout=5) == 2
    assert second.process.poll() is None


def test_an_action_that_blocks_its_worker_fails(
    start: Start, target: str, server: EmbeddedServer, scheduler: SyncScheduler
) -> None:
    # C3.5
    first = start("worker", target, "--lease", "1s", url=server.url)
    first.until_said("started worker=")
    job_id = scheduler.run_after(0, "blocking:block_loop_in_action")
    start("worker", target, "--lease", "1s", url=server.url)
    assert first.code(10) == 1
    with pytest.raises(JobFailed, match="transient error while executing action"):
        scheduler.result(job_id, timeout=5)


def test_a_file_tells_that_it_works(start: Start, server: EmbeddedServer, directory: Path) -> None:
    life = directory / "life"
    worker = start("worker", "jobs:app", "--life-file", str(life), url=server.url)
    until("the file is there", life.exists)
    assert "started worker=" in worker.said()
    assert int(life.read_text()) == worker.process.pid
    os.utime(life, (0, 0))
    until("it is written again", lambda: time.time() - life.stat().st_mtime < 60, 10)
    worker.tell()
    assert worker.code() == 0
    assert not life.exists()


def test_a_file_that_cannot_be_written_is_an_error(start: Start, server: EmbeddedServer, directory: Path) -> None:
    worker = start("worker", "jobs:app", "--life-file", str(directory / "none" / "life"), url=server.url)
    assert worker.code() == 2
    assert f"nothing can be written to {directory / 'none'}" in worker.said()


def test_a_file_is_of_one_process(start: Start, server: EmbeddedServer, directory: Path) -> None:
    worker = start("worker", "jobs:app", "--processes", "2", "--life-file", str(directory / "life"), url=server.url)
    assert worker.code() == 2
    assert "--life-file works with one process" in worker.said()

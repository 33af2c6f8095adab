"""Processes that end by themselves, and those that are ended: what their jobs become, and that nothing is left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scheduler import App, JobState, Scheduler
from tests.conftest import StartWorker, running, until
from tests.isolation.processes import cells_of, group_of, is_alive
from tests.isolation.test_running import WAIT_S, error_of, run
from worker.settings import WorkerSettings

KINDS = [
    ("segfault", "was ended by SIGSEGV"),
    ("exit", "ended with exit code 9"),
    ("kill", "was ended by SIGKILL"),
]


def marks(folder: Path, name: str) -> list[int]:
    file = folder / name
    return [int(line) for line in file.read_text().split()] if file.exists() else []


async def test_an_action_fails_with_what_ended_its_process(
    scheduler: Scheduler, start_worker: StartWorker, tmp_path: Path
) -> None:
    # C3.5: once, and the worker goes on.
    await start_worker()
    for kind, how in [*KINDS, ("nonsense", "spoke nonsense, and was killed")]:
        error = await error_of(scheduler, "act_and_die", str(tmp_path), kind)
        assert (error.type, error.message) == ("ProcessDied", f"shop:act_and_die: its own process {how}")
    starts = marks(tmp_path, "act_and_die")
    assert len(set(starts)) == len(starts) == 4
    assert (await run(scheduler, "where"))[0] not in starts


async def test_a_mutation_runs_again_and_leaves_its_effects_once(
    scheduler: Scheduler, start_worker: StartWorker, tmp_path: Path
) -> None:
    # C3.1, C3.3
    await start_worker()
    for kind, _ in KINDS:
        folder = tmp_path / kind
        folder.mkdir()
        job_id = await scheduler.run_after(0, "shop:die", str(folder), kind, times=1)
        assert await scheduler.result(job_id, timeout=WAIT_S) == 2
        assert len(set(marks(folder, "die"))) == 2
    assert sorted([document["kind"] async for document in scheduler.db.query("deaths")]) == ["exit", "kill", "segfault"]


async def test_a_mutation_that_dies_too_often_fails(
    app: App, scheduler: Scheduler, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # C3.4: with its last death; the fleet goes on.
    caplog.set_level("INFO", "duestream.job")
    async with running(app, url, WorkerSettings(max_deliveries=3, grace_s=2.0)):
        error = await error_of(scheduler, "die", str(tmp_path), "segfault")
        assert (error.type, error.message) == ("ProcessDied", "shop:die: its own process was ended by SIGSEGV")
        assert len(marks(tmp_path, "die")) == 3
        assert (await run(scheduler, "where"))[1] == os.getpid()
    # Nothing says of the last death that it was given back.
    died = "died: shop:die: its own process was ended by SIGSEGV"
    lines = [record.getMessage() for record in caplog.records if record.name == "duestream.job"]
    told = [line for line in lines if not line.startswith("ended")]
    assert told == [died, died, died, "failed: its process died once too often"]
    assert [document async for document in scheduler.db.query("deaths")] == []


async def test_what_was_logged_before_a_crash_is_there(
    scheduler: Scheduler, start_worker: StartWorker, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO")
    await start_worker()
    await error_of(scheduler, "speak", True)
    assert "logged before the crash" in caplog.messages
    out, err = capfd.readouterr()
    assert "on standard output\n" in out
    assert "Fatal Python error: Segmentation fault" in err
    assert "in segfault" in err


async def test_a_process_that_died_between_two_jobs_costs_none(
    scheduler: Scheduler, start_worker: StartWorker, tmp_path: Path
) -> None:
    # C3.5, C3.6: killed before the handler was called, be it at the last moment.
    await start_worker(concurrency=1)
    for _ in range(5):
        (cell,) = [pid for pid in [(await run(scheduler, "where"))[0]] if is_alive(pid)]
        os.kill(cell, signal.SIGKILL)
        found = await run(scheduler, "act", "red", {"owner": "ann", "cents": 3})
        assert found["pid"] != cell


async def test_a_time_limit_ends_the_code(scheduler: Scheduler, start_worker: StartWorker, tmp_path: Path) -> None:
    # C3.2: with what it has started, though it holds the interpreter.
    await start_worker()
    error = await error_of(scheduler, "hang", str(tmp_path))
    assert (error.type, error.message) == ("TimeLimitExceeded", "shop:hang: ran longer than its time limit of 0.5 s")
    error = await error_of(scheduler, "hang_with_a_child", str(tmp_path))
    assert error.type == "TimeLimitExceeded"
    (first, second), child = marks(tmp_path, "hang"), int((tmp_path / "child").read_text())
    await until(lambda: not any(is_alive(pid) for pid in (first, second, child)))


async def test_a_lost_lease_ends_the_code(
    app: App, scheduler: Scheduler, start_worker: StartWorker, tmp_path: Path
) -> None:
    # C4: a mutation that was cancelled while it runs. Its own process is ended, and it leaves no effect.
    await start_worker()
    job_id = await scheduler.run_after(0, "shop:hold", str(tmp_path))
    await until(lambda: len(marks(tmp_path, "hold")) == 1, WAIT_S)
    (cell,) = marks(tmp_path, "hold")
    assert (await scheduler.cancel(job_id)).value == "canceled"
    await until(lambda: not is_alive(cell), WAIT_S)


async def test_a_stop_gives_a_mutation_back_and_ends_the_code(
    app: App, scheduler: Scheduler, url: str, tmp_path: Path
) -> None:
    async with running(app, url, WorkerSettings(grace_s=0.2)) as worker:
        mutation = await scheduler.run_after(0, "shop:hold", str(tmp_path))
        action = await scheduler.run_after(0, "shop:hold_in_action", str(tmp_path))
        await until(lambda: len(marks(tmp_path, "hold")) == 2, WAIT_S)
        worker.stop()
    assert cells_of(os.getpid()) == []
    jobs = [await scheduler.get(job_id) for job_id in (mutation, action)]
    assert [job.state for job in jobs if job is not None] == [JobState.PENDING, JobState.FAILED]
    async with running(app, url, WorkerSettings(grace_s=0.2)):
        await scheduler.result(mutation, timeout=WAIT_S)
    assert len(marks(tmp_path, "hold")) == 3


async def test_what_a_dead_process_has_started_dies_too(
    scheduler: Scheduler, start_worker: StartWorker, tmp_path: Path
) -> None:
    # Those of its group; one of them holds the line open, and the death is seen all the same.
    await start_worker()
    await error_of(scheduler, "act_and_die", str(tmp_path), "group")
    (cell,) = marks(tmp_path, "act_and_die")
    await until(lambda: group_of(cell) == [])


async def test_a_fork_does_not_speak_for_the_process(
    scheduler: Scheduler, start_worker: StartWorker, capfd: pytest.CaptureFixture[str]
) -> None:
    # It logs on standard error, as any process does; it dies with its group.
    worker = await start_worker()
    fork = await run(scheduler, "fork")
    said = ""

    def has_spoken() -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return "from the fork" in said

    await until(has_spoken)
    assert (await run(scheduler, "where"))[0] != fork
    worker.stop()
    await until(lambda: not is_alive(fork), WAIT_S)

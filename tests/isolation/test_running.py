"""Handlers in processes of their own: all that a context can do, done there."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from scheduler import App, JobFailed, JobState, Scheduler
from scheduler.job import JobError
from tests.conftest import StartWorker, until
from tests.isolation.processes import cells_of, is_alive

WAIT_S = 30


async def run(scheduler: Scheduler, name: str, *args: Any, **kwargs: Any) -> Any:
    """What a function of the shop returns."""
    return await scheduler.result(await scheduler.run_after(0, f"shop:{name}", *args, **kwargs), timeout=WAIT_S)


async def error_of(scheduler: Scheduler, name: str, *args: Any) -> JobError:
    """What a function of the shop fails with."""
    job_id = await scheduler.run_after(0, f"shop:{name}", *args)
    with pytest.raises(JobFailed):
        await scheduler.result(job_id, timeout=WAIT_S)
    job = await scheduler.get(job_id)
    assert job is not None
    assert job.error is not None
    assert job.state is JobState.FAILED
    return job.error


async def test_a_process_of_its_own_which_is_used_again(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C1.1
    await start_worker()
    pids = [await run(scheduler, "where") for _ in range(3)]
    pid, parent, group, _ = pids[0]
    assert pid not in (os.getpid(), 0)
    assert (parent, group) == (os.getpid(), pid)
    assert pids[1:] == pids[:1] * 2
    assert await run(scheduler, "on_a_loop") == await run(scheduler, "act_on_a_loop") == pid


async def test_arguments_and_results(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C1.4, C1.5: made whole by the hints there, too.
    await start_worker()
    before = await run(scheduler, "act", "red", {"owner": "ann", "cents": 3}, 1, 2**70, a="x")
    assert (before["color"], before["owner"]) == ("RED", "ann")
    assert (before["numbers"], before["names"]) == ([1, 2**70], {"a": "x"})
    assert before["attempt"] == 1
    job = await scheduler.get(before["job"])
    assert job is not None
    assert job.started_time is not None
    assert job.completed_time is not None
    assert job.started_time - 100 <= before["now"] <= job.completed_time  # Redis time (C5.2)


async def test_arguments_that_do_not_fit(app: App, url: str, start_worker: StartWorker) -> None:
    # C1.4: scheduled by name only, they make the job failed, there too.
    await start_worker()
    async with Scheduler(App(app.namespace), url=url) as stranger:
        job_id = await stranger.run_after(0, "shop:act", "blue")
        with pytest.raises(JobFailed) as failed:
            await stranger.result(job_id, timeout=WAIT_S)
    assert failed.value.error_type == "InvalidArguments"


async def test_documents(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C6.1, C6.2: its own writes are read, and committed with the job.
    await start_worker()
    assert [await run(scheduler, "deposit", "ann", cents) for cents in (5, 7, -2)] == [5, 12, 10]
    assert await run(scheduler, "deposit", "bob", 1) == 1
    assert await run(scheduler, "count_total") == 11


async def test_conflicts(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C6.2, C3.3: forty increments by several processes at once are forty.
    await start_worker(concurrency=3)
    ids = [await scheduler.run_after(0, "shop:increment", "x") for _ in range(40)]
    results = [await scheduler.result(job_id, timeout=WAIT_S) for job_id in ids]
    assert sorted(results) == list(range(1, 41))


async def test_scheduling(scheduler: Scheduler, start_worker: StartWorker, tmp_path: Path) -> None:
    # C2.7, C4.1: with the mutation or not at all.
    await start_worker()
    kept, dropped, outcome = await run(scheduler, "schedule", str(tmp_path))
    assert outcome == "canceled"
    await scheduler.result(kept, timeout=WAIT_S)
    record = await scheduler.get(dropped)
    assert record is not None
    assert record.state is JobState.CANCELED
    assert record.parent_id is not None
    before = await scheduler.count()
    error = await error_of(scheduler, "schedule", str(tmp_path), True)
    assert (error.type, error.message) == ("Refused", "no")
    assert await scheduler.count() == before + 1
    assert len((tmp_path / "note").read_text().split()) == 1


async def test_nested_mutations(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C3.9: in the same process, undone where one raises.
    await start_worker()
    first, second, deposited, caught, total = await run(scheduler, "nest")
    assert first == second == caught
    assert first != os.getpid()
    assert (deposited, total) == (5, 5)
    assert [document["pid"] async for document in scheduler.db.query("inner")] == [first, first]


async def test_all_that_an_action_may_call(scheduler: Scheduler, start_worker: StartWorker, tmp_path: Path) -> None:
    # C2.8, C3.9
    await start_worker()
    found = await run(scheduler, "call_all", str(tmp_path))
    assert found["pid"] == found["mutation"] == found["action"] == found["on a loop"] != os.getpid()
    assert (found["raised"], found["deposited"], found["query"]) == ("inner", 7, 7)
    assert (found["state"], found["canceled"]) == ("inProgress", "canceled")
    await scheduler.result(found["scheduled"], timeout=WAIT_S)


async def test_a_call_from_outside_is_refused(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # A call runs where its caller runs: it would silently have no process of its own.
    await start_worker()
    for caller in ("call_isolated", "call_isolated_mutation"):
        error = await error_of(scheduler, caller)
        assert error.type == "InvalidCall"
        assert "deposit has isolate=True" in error.message


async def test_what_it_logs(
    scheduler: Scheduler, start_worker: StartWorker, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    # By the worker's loggers, with the job's fields; and output passes through.
    caplog.set_level(logging.INFO)
    await start_worker()
    await run(scheduler, "log")
    by_message = {record.getMessage(): record for record in caplog.records}
    hello, mine, caught = (by_message[text] for text in ("hello from inside", "mine", "caught"))
    assert (hello.name, vars(hello)["function"], vars(hello)["attempt"]) == ("duestream.job", "shop:log", 1)
    assert len(vars(hello)["job_id"]) == 26
    assert (mine.name, mine.levelno, vars(mine)["color"]) == (
        "tests.isolation.shop",
        logging.WARNING,
        "<Color.RED: 'red'>",
    )
    assert mine.process != os.getpid()
    assert "Refused: told" in (caught.exc_text or "")
    assert "not wanted" not in by_message
    await run(scheduler, "speak")
    out, err = capfd.readouterr()
    assert "on standard output\n" in out
    assert "on standard error\n" in err


async def test_transient_errors(scheduler: Scheduler, start_worker: StartWorker, tmp_path: Path) -> None:
    # C3.3: the class is known where the exception is.
    await start_worker()
    assert await run(scheduler, "busy", str(tmp_path)) == 3


FAILURES = [
    ("raise", "Refused", "with a reason"),
    ("exit", "SystemExit", "3"),
    ("recursion", "RecursionError", "maximum recursion depth exceeded"),
    ("unstorable", "InvalidValue", "result: an object cannot be stored"),
    ("large", "LimitExceeded", "result: takes"),
    ("memory", "MemoryError", ""),
]


async def test_failures(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C3.2: type, message and traceback are those of the handler; the process goes on.
    await start_worker()
    pid = (await run(scheduler, "where"))[0]
    for kind, name, message in FAILURES:
        error = await error_of(scheduler, "fail", kind)
        assert error.type == name
        assert message in error.message
        assert name in error.traceback
        assert (await run(scheduler, "where"))[0] == pid
    assert "tests/isolation/shop.py" in (await error_of(scheduler, "fail", "raise")).traceback


async def test_jobs_at_once_have_a_process_each(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # At most as many as run at once.
    await start_worker(concurrency=3)
    ids = [await scheduler.run_after(0, "shop:increment", str(number)) for number in range(30)]
    await asyncio.gather(*[scheduler.result(job_id, timeout=WAIT_S) for job_id in ids])
    assert 1 <= len(cells_of(os.getpid())) <= 3


async def test_none_is_left(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # Not even one that a thread of its handler keeps.
    worker = await start_worker()
    pid = await run(scheduler, "leave_a_thread")
    assert cells_of(os.getpid()) == [pid]
    worker.stop()
    await until(lambda: not is_alive(pid), WAIT_S)

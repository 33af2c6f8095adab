"""The account of what tests leave behind sees each kind, and nothing that belongs to others."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler import App, NotOpen, Scheduler, SyncScheduler
from scheduler.scheduling import Scheduling
from tests import leaks
from tests.conftest import ACCOUNT, until
from tests.leaks import Account
from tests.worker.processes import wait_until
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings


def test_a_file_that_is_left_is_named(tmp_path: Path) -> None:
    before, account = leaks.look(), Account()
    with (tmp_path / "left").open("w") as file:
        assert account.left(before) == [f"file {file.fileno()}: {tmp_path / 'left'}"]
    assert account.left(before) == []


def test_a_connection_that_is_left_is_named_with_its_server(url: str) -> None:
    before, account = leaks.look(), Account()
    port = int(url.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as one:
        assert account.left(before) == [f"connection {one.fileno()} to 127.0.0.1:{port}"]
        account.ports.add(port)
        assert account.left(before) == []


def test_a_thread_that_is_left_is_named() -> None:
    before, account, go = leaks.look(), Account(), threading.Event()
    thread = threading.Thread(target=go.wait, name="forgotten")
    thread.start()
    assert account.left(before) == ["thread forgotten"]
    go.set()
    thread.join()
    assert account.settle(before) == []


def test_a_child_that_is_left_is_named_and_one_that_nobody_waited_for() -> None:
    before, account = leaks.look(), Account()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    try:
        # Looked at again: the kernel may pass over a child while others come and go.
        wait_until(lambda: any(f"child process {child.pid}: {sys.executable}" in one for one in account.left(before)))
    finally:
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        wait_until(lambda: account.left(before) == [f"child process {child.pid}: (ended, not waited for)"])
        child.wait()
    assert account.left(before) == []


def test_a_task_that_is_left_is_named(request: pytest.FixtureRequest) -> None:
    account = request.config.stash[ACCOUNT]

    async def forget() -> None:
        forget.task = asyncio.create_task(asyncio.sleep(60), name="forgotten")  # type: ignore[attr-defined]

    asyncio.run(forget())
    assert [name.partition(":")[0] for name in account.tasks] == ["forgotten"]
    account.tasks.clear()


def test_what_a_wide_fixture_opens_is_its_own(tmp_path: Path) -> None:
    account = Account()
    before = leaks.look()
    with account.of_wide_fixture():
        file = (tmp_path / "wide").open("w")
    assert account.left(before) == []
    file.close()


# What the library leaves, and says, when it is not closed or used after that


async def test_a_scheduler_closed_twice_is_closed_once(app: App, url: str) -> None:
    client = await Scheduler(app, url=url).open()
    await client.close()
    await client.close()
    with pytest.raises(NotOpen, match=f"the Scheduler of app '{app.namespace}' is closed: use `async with"):
        await client.count()


async def test_a_scheduler_that_was_never_opened_says_so_and_may_be_closed(app: App) -> None:
    client = Scheduler(app)
    with pytest.raises(NotOpen, match="is not open"):
        await client.count()
    with pytest.raises(NotOpen, match="is not open"):
        await client.result("01JD6Q2M8XK0T9V4W5Y7Z3ABCD")
    await client.close()


async def test_twins_with_options_open_and_close_with_it(app: App, url: str) -> None:
    """A twin kept the connection that its original had closed, and used it."""
    client = Scheduler(app, url=url)
    twin = client.options(allow_unknown=True)
    async with client:
        assert await twin.cancel(await twin.run_after(60_000, "no:such")) == "canceled"
    with pytest.raises(NotOpen, match="is closed"):
        await twin.run_after(60_000, "no:such")


async def test_a_scheduler_may_be_opened_again(app: App, url: str) -> None:
    client = Scheduler(app, url=url)
    for _ in range(2):
        async with client:
            assert await client.count() == 0


def test_the_blocking_client_closes_the_same_way(app: App, url: str) -> None:
    client = SyncScheduler(app, url=url)
    with pytest.raises(NotOpen, match="is not open"):
        client.count()
    client.close()
    twin = client.open().options(queue="other")
    assert twin.count() == 0
    client.close()
    client.close()
    for one in (client, twin):
        with pytest.raises(NotOpen, match=f"the SyncScheduler of app '{app.namespace}' is closed: use `with"):
            one.count()


@pytest.mark.parametrize("kind", [Scheduler, SyncScheduler])
def test_one_that_is_collected_while_open_says_which(
    app: App, url: str, kind: Callable[..., Scheduling], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: said.append(str(unraisable.exc_value)))
    if kind is Scheduler:
        asyncio.run(_forget(app, url))
    else:
        SyncScheduler(app, url=url).open()
    gc.collect()
    assert any(text.startswith(f"unclosed {kind.__name__} of app '{app.namespace}'") for text in said), said


async def _forget(app: App, url: str) -> None:
    await Scheduler(app, url=url).open()

    def is_gone() -> bool:
        gc.collect()
        return len(asyncio.all_tasks()) == 1  # the reader of its connection has ended, too

    await until(is_gone)


async def test_a_worker_runs_once(app: App, url: str) -> None:
    worker = Worker(app, Connections(url), WorkerSettings(burst=True))
    await worker.run()
    with pytest.raises(RuntimeError, match="a Worker runs once"):
        await worker.run()
    worker.stop()

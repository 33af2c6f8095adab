"""`duestream dev`: its own server, reload, and a clean end of both."""

from __future__ import annotations

import builtins
import queue
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from scheduler import App, SyncScheduler
from scheduler.embedded import discover
from tests.cli_worker.conftest import Start
from tests.cli_worker.processes import JOBS, Running, until
from worker import dev

TARGET = "jobs:app"


def ready(running: Running, times: int = 1) -> None:
    running.until_said("started worker=", times=times)


def touching(path: Path, text: str) -> Callable[[], None]:
    """Write again and again until it is seen: the watcher may begin a little after the worker."""
    numbers = iter(range(1_000_000))
    return lambda: (path.write_text(f"{text}\n# {next(numbers)}\n"), None)[1]


def change_until(running: Running, path: Path, text: str, pattern: str) -> None:
    """Change the file once; once more if nothing was seen for a while."""
    import re
    import time

    write = touching(path, text)
    deadline, again = time.monotonic() + 20, 0.0
    while not re.search(pattern, running.said()):
        assert time.monotonic() < deadline, running.said()
        if time.monotonic() > again:
            write()
            again = time.monotonic() + 3
        time.sleep(0.02)


def test_dev_serves_reloads_bears_a_syntax_error_and_ends_with_its_server(start: Start, directory: Path) -> None:
    running = start("dev", TARGET)
    ready(running)
    url = discover(directory / ".duestream")
    assert url is not None
    assert f"{TARGET} on {url} (data in .duestream/), reloads on change" in running.said()
    assert "duestream enqueue NAME key=value" in running.said()

    change_until(running, directory / "jobs.py", JOBS + "\n\ndef broken(:\n", "waiting for the next change")
    assert "error: cannot import jobs: jobs.py:" in running.said()
    assert running.process.poll() is None

    changed = JOBS.replace("return text", "return text.upper()")
    starts = running.said().count("started worker=")
    (directory / "jobs.py").write_text(changed)
    ready(running, times=starts + 1)
    with SyncScheduler(App("jobs"), url=url) as scheduler:
        assert scheduler.result(scheduler.run_after(0, "jobs:note", text="new"), timeout=10) == "NEW"

    running.tell(signal.SIGTERM)
    assert running.code() == 0
    assert discover(directory / ".duestream") is None


def test_a_change_restarts_a_worker_that_runs(start: Start, directory: Path) -> None:
    running = start("dev", TARGET)
    ready(running)
    change_until(running, directory / "jobs.py", JOBS, "the code changed")
    ready(running, times=2)
    running.until_said("stopped worker=")


def test_data_survives_a_restart_of_dev(start: Start, directory: Path) -> None:
    first = start("dev", TARGET, "--no-reload")
    ready(first)
    url = discover(directory / ".duestream")
    with SyncScheduler(App("jobs"), url=url) as scheduler:
        job_id = scheduler.run_after(0, "jobs:note", text="kept")
        scheduler.result(job_id, timeout=10)
    first.tell()
    assert first.code() == 0
    ready(start("dev", TARGET, "--no-reload"))
    with SyncScheduler(App("jobs"), url=discover(directory / ".duestream")) as scheduler:
        assert scheduler.result(job_id, timeout=1) == "kept"


def test_a_second_signal_still_ends_the_server(start: Start, directory: Path) -> None:
    running = start("dev", TARGET)
    ready(running)
    url = discover(directory / ".duestream")
    with SyncScheduler(App("jobs"), url=url) as scheduler:
        scheduler.run_after(0, "jobs:block_the_loop", seconds=30)
    until("the loop is blocked", (directory / "blocked").exists)
    running.tell()
    running.tell(signal.SIGINT)
    assert running.code() == 1
    assert discover(directory / ".duestream") is None


def test_without_reload_the_end_of_the_worker_is_the_end(start: Start, directory: Path) -> None:
    (directory / "jobs.py").write_text("oops")
    running = start("dev", TARGET, "--no-reload")
    assert running.code() == 1
    assert "error: cannot import jobs: jobs.py:1: NameError" in running.said()
    assert discover(directory / ".duestream") is None


def test_without_watchfiles_there_is_no_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "watchfiles":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with ExitStack() as stack:
        works = dev._watch(queue.SimpleQueue(), stack)
    assert works is False
    assert dev._about_reload(True, works) == "; no reload: pip install watchfiles for it"

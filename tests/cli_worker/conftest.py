"""A server of its own and an app on disk for each test; no process outlives its test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scheduler import App, EmbeddedServer, SyncScheduler
from scheduler.embedded import discover
from tests.cli_worker.processes import JOBS, Running

Start = Callable[..., Running]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the processes run; holds jobs.py with the app."""
    (tmp_path / "jobs.py").write_text(JOBS)
    return tmp_path


@pytest.fixture
def started() -> list[Running]:
    """What the test has started."""
    return []


@pytest.fixture
def server(tmp_path: Path, started: list[Running]) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "redis", persistent=False) as embedded:
        yield embedded
        for one in started:  # before the server, which they would miss
            one.end()


@pytest.fixture
def start(directory: Path, started: list[Running]) -> Iterator[Start]:
    """Start `duestream ...` in the directory."""

    def begin(*arguments: str, url: str | None = None) -> Running:
        started.append(Running(directory, *arguments, url=url, number=len(started)))
        return started[-1]

    yield begin
    for one in started:
        one.end()
    if discover(directory / ".duestream") is not None:
        # The server of a `dev` that was killed is an orphan; its next user is its last one.
        with EmbeddedServer(directory / ".duestream"):
            pass


@pytest.fixture
def scheduler(server: EmbeddedServer) -> Iterator[SyncScheduler]:
    """A client that knows the functions by name alone."""
    with SyncScheduler(App("jobs"), url=server.url) as client:
        yield client


@pytest.fixture
def clean_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give back sys.path and sys.modules as they were."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [one for one in sys.modules if one.partition(".")[0] in ("shopfront", "jobs")]:
        monkeypatch.delitem(sys.modules, name)

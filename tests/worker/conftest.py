"""A real server, an app's client, and worker processes that end with the test."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler import App, EmbeddedServer, SyncScheduler
from tests.worker import faulty
from tests.worker.processes import WorkerProcess

Start = Callable[..., WorkerProcess]


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedServer(tmp_path_factory.mktemp("server"), persistent=False) as server:
        yield server.url


@pytest.fixture
def app() -> App:
    """The faulty app's functions under a namespace of the test's own."""
    app = App(f"t{secrets.token_hex(6)}")
    for function in faulty.app.functions.values():
        decorate = app.action if function.kind == "action" else app.mutation
        decorate(name=function.name)(function.handler)
    return app


@pytest.fixture
def scheduler(app: App, server_url: str) -> Iterator[SyncScheduler]:
    with SyncScheduler(app, url=server_url) as scheduler:
        yield scheduler


@pytest.fixture
def start_worker(app: App, server_url: str, tmp_path: Path) -> Iterator[Start]:
    started: list[WorkerProcess] = []
    torn: list[WorkerProcess] = []

    def start(url: str = server_url, *, is_torn: bool = False, **settings: Any) -> WorkerProcess:
        """`is_torn`: its event loop is ended under it, of which Python tells with a traceback."""
        log = tmp_path / f"worker{len(started)}.log"
        started.append(WorkerProcess(url, app.namespace, log, **settings))
        torn.extend(started[-1:] if is_torn else [])
        return started[-1].wait_started()

    yield start
    for process in started:
        process.end()
    for process in started:
        assert process in torn or "Traceback" not in process.log.read_text(), process.log.read_text()

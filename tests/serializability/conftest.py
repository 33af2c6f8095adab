"""Worker processes of the apps in this directory, seeds, and what the tests counted, told at the end of the run."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.processes import WorkerProcess

Tell = Callable[[str], None]
StartWorkers = Callable[..., None]

PROCESSES = 4
_TOLD = pytest.StashKey[list[str]]()


@pytest.fixture
def seed() -> int:
    """`DUESTREAM_SEED`, else another one each time; every message that a failure shows names it."""
    return int(os.environ.get("DUESTREAM_SEED") or secrets.randbits(32))


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Keeps a line for the end of the run."""
    return request.config.stash.setdefault(_TOLD, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if told := config.stash.get(_TOLD, []):
        terminalreporter.section("serializability")
        for line in told:
            terminalreporter.line(line)


@pytest.fixture
def start_workers(url: str, namespace: str, tmp_path: Path) -> Iterator[StartWorkers]:
    """Starts four worker processes of a module's app; they are stopped gently when the test is over."""
    started: list[WorkerProcess] = []

    def start(module: str, **settings: Any) -> None:
        started.extend(
            WorkerProcess(url, namespace, tmp_path / f"worker{n}.log", module, traced=False, **settings)
            for n in range(PROCESSES)
        )
        for process in started:
            process.wait_started()

    yield start
    for process in started:
        process.send(signal.SIGTERM)
    for process in started:
        code = process.process.wait(20)
        log = process.log.read_text()
        assert code == 0, log
        assert "Traceback" not in log, log

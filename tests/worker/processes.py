"""Worker processes that tests start, kill, pause and continue."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler import App
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
LEASE_MS = 2_000


def wait_until(true: Callable[[], bool], timeout_s: float = 20.0, what: str = "the condition") -> float:
    """Look every few ms until it is true; returns the seconds it took."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < timeout_s, f"{what} was not true after {timeout_s} s"
        time.sleep(0.005)
    return time.monotonic() - started


class WorkerProcess:
    """One worker process of an app, the faulty one where no other module is named.

    Its coverage is measured only if it is `traced`: that makes a worker three times slower.
    """

    def __init__(
        self,
        url: str,
        namespace: str,
        log: Path,
        module: str = "tests.worker.faulty",
        traced: bool = True,
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.log = log
        inherited = {name: value for name, value in os.environ.items() if traced or not name.startswith("COVERAGE_")}
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    module,
                    url,
                    json.dumps({"lease_ms": LEASE_MS, **settings}),
                ],
                cwd=ROOT,
                env={**inherited, "FAULTY_NAMESPACE": namespace, **(environment or {})},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def logged(self, text: str) -> int:
        """How often a text is in its log."""
        return self.log.read_text().count(text)

    def wait_started(self) -> WorkerProcess:
        wait_until(lambda: self.logged("started worker=") > 0, what="the worker's start")
        return self

    def end(self) -> None:
        """Whatever the test left it in."""
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.kill()


def keepers_of(*pids: int) -> list[int]:
    """The processes that keep the leases of workers with these pids."""
    told = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in told.stdout.splitlines()]
    return [int(pid) for pid, parent, args in rows if int(parent) in pids and args.endswith("-m worker.keeper")]


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    told = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip()[:1] not in ("", "Z")


async def run_worker(app: App, url: str, options: Sequence[str]) -> None:
    """What the process does: a worker, and a graceful stop on TERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    settings: dict[str, Any] = json.loads(options[0])
    worker = Worker(app, Connections(url), WorkerSettings(**settings))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()

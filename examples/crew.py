"""Worker processes that an example starts and kills, and what it reads from Redis."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import redis

from scheduler import Job, SyncScheduler
from scheduler.keys import GROUP, Keys

ROOT = Path(__file__).resolve().parent.parent


class Crew:
    """Worker processes of one app; they end with this one.

    Args:
        target: The app, as "module:app".
        url: The Redis server.
        log: Where all of them write.
        options: Further options of `duestream worker`.
        environment: Variables that the workers get besides this process' own.
    """

    def __init__(
        self, target: str, url: str, log: Path, *options: str, environment: Mapping[str, str] | None = None
    ) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DUESTREAM_")}
        self.environment = {**kept, **(environment or {}), "REDIS_URL": url}
        self._arguments = ["worker", target, *options, "--watch-stdin"]
        self._log = log
        self._workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start one more."""
        with self._log.open("ab") as log:
            worker = subprocess.Popen(  # noqa: S603  our own program
                command(*self._arguments),
                cwd=ROOT, env=self.environment, stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip
        self._workers.append(worker)
        return worker

    def stop(self) -> None:
        """Stop all of them gently."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            if worker.stdin is not None:
                worker.stdin.close()


def command(*arguments: str) -> list[str]:
    """The command line `duestream`, also where it is not on PATH."""
    return [sys.executable, "-m", "worker", *arguments]


def name_of(server: redis.Redis, keys: Keys, worker: subprocess.Popen[bytes]) -> str | None:
    """What a worker process is called in Redis, None until it is there."""
    found: Any = server.zrange(keys.workers, 0, -1)
    return next((one.decode() for one in found if f"-{worker.pid}-".encode() in one), None)


def held_by(server: redis.Redis, keys: Keys, worker: str) -> list[str]:
    """The jobs that Redis has handed to a worker and that it has not ended; `XPENDING` and `XRANGE` show them."""
    stream = keys.ready("default")
    entries: Any = server.xpending_range(stream, GROUP, "-", "+", 1_000, worker)
    found: Any = [server.xrange(stream, entry["message_id"], entry["message_id"]) for entry in entries]
    return [one[0][1][b"job"].decode() for one in found if one]


def all_jobs(scheduler: SyncScheduler) -> Iterator[Job]:
    """Every record, page by page."""
    cursor = None
    while True:
        page = scheduler.list(limit=500, cursor=cursor)
        yield from page.jobs
        cursor = page.cursor
        if cursor is None:
            return


def wait_until(what: str, condition: Callable[[], object], limit_s: float) -> None:
    """Poll until a condition holds.

    Raises:
        TimeoutError: It did not in time.
    """
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s:g} s in vain until {what}")
        time.sleep(0.05)

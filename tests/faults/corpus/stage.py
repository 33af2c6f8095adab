"""A living worker in a thread of its own, and clients of each kind that hand it bad input."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from click.testing import CliRunner, Result

from scheduler import App, EmbeddedServer, Job, Scheduler, SyncScheduler
from scheduler.cli import cli
from scheduler.clients import blocking_client
from scheduler.keys import GROUP, Keys
from scheduler.store import BlockingStore
from tests.leaks import Account
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings

T = TypeVar("T")

LEASE_MS: Final = 2_000
DEADLINE_S: Final = 30.0
_PASSING: Final = ("worker:", "workers", "wake", "promoter", "succession", "mail:", "functions:seen")
"""Keys that come and go with the worker itself."""


class LivingWorker:
    """A worker and an async client on an event loop in a thread."""

    def __init__(self, app: App, url: str, **settings: Any) -> None:
        self._app = app
        self._url = url
        self._settings = WorkerSettings(**{"lease_ms": LEASE_MS, "grace_s": 1.0, **settings})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="living worker")
        self.scheduler = Scheduler(app, url=url)

    def __enter__(self) -> LivingWorker:
        self._thread.start()
        self.call(self._start)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.call(self._stop)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(DEADLINE_S)
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    @property
    def alive(self) -> bool:
        return not self._running.done()

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await something on the worker's loop."""

        async def awaited() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(DEADLINE_S)

    async def _start(self) -> None:
        self._worker = Worker(self._app, Connections(self._url), self._settings)
        self._running = asyncio.create_task(self._worker.run())
        await self.scheduler.open()

    async def _stop(self) -> None:
        await self.scheduler.close()
        self._worker.stop()
        await self._running


@dataclass(frozen=True)
class Stage:
    """One app, its living worker, and all ways to it."""

    url: str
    app: App
    worker: LivingWorker
    store: BlockingStore
    blocking: SyncScheduler

    @property
    def keys(self) -> Keys:
        return self.store.keys

    def run_async(self, work: Callable[[Scheduler], Awaitable[T]]) -> T:
        """Do something with the async client."""
        return self.worker.call(lambda: work(self.worker.scheduler))

    def cli(self, *words: str, stdin: str | bytes = "") -> Result:
        """Run a command line that knows the app's server and namespace, not the app."""
        env = {"REDIS_URL": self.url, "DUESTREAM_NAMESPACE": self.app.namespace, "COLUMNS": "200"}
        return CliRunner().invoke(cli, list(words), input=stdin, env=env, prog_name="duestream")

    def names(self) -> set[bytes]:
        """All keys of the app but those that come and go with the worker."""
        prefix = self.keys.prefix.encode()
        names = {key.removeprefix(prefix) for key in self.store.execute("KEYS", "*")}
        return {name for name in names if not name.startswith(tuple(one.encode() for one in _PASSING))}

    def end_of(self, job_id: str) -> Job:
        """Wait for a job's end; its record."""
        with contextlib.suppress(Exception):  # how it ended, the record tells
            self.blocking.result(job_id, timeout=DEADLINE_S)
        found = self.blocking.get(job_id)
        assert found is not None
        assert found.state.final, found
        return found

    def check_alive(self) -> None:
        """The worker lives, and does the next job, whatever came before."""
        for name in ("corpus:probe", "corpus:probe_action"):
            assert self.blocking.result(self.blocking.run_after(0, name), timeout=DEADLINE_S) == "alive"
        assert self.worker.alive

    def check_idle(self) -> None:
        """Nothing is stuck: no entry pending, nothing ready, nothing due, nothing running."""
        deadline = time.monotonic() + DEADLINE_S
        while left := self.left():
            assert time.monotonic() < deadline, left
            time.sleep(0.005)

    def left(self) -> dict[str, Any]:
        """What waits or is held, by key."""
        found = {}
        queues = [name.decode(errors="replace") for name in self.store.execute("SMEMBERS", self.keys.queues)]
        for queue in queues:
            if self.store.execute("XLEN", self.keys.ready(queue)):
                found[f"ready {queue}"] = self.store.execute("XRANGE", self.keys.ready(queue), "-", "+", "COUNT", 3)
                if self.store.execute("XINFO", "GROUPS", self.keys.ready(queue)):
                    found[f"held {queue}"] = self.store.execute("XPENDING", self.keys.ready(queue), GROUP)
            if self.store.execute("ZCARD", self.keys.due(queue)):
                found[f"due {queue}"] = self.store.execute("ZRANGE", self.keys.due(queue), 0, 3, "WITHSCORES")
        if self.store.execute("ZCARD", self.keys.running):
            found["running"] = self.store.execute("ZRANGE", self.keys.running, 0, 3)
        return found


@contextlib.contextmanager
def raised(app: App, folder: Path, account: Account, **settings: Any) -> Iterator[Stage]:
    """A stage for an app, on a server of its own."""
    with (
        EmbeddedServer(folder, persistent=False) as server,
        account.of_living_worker(server.url),
        LivingWorker(app, server.url, **settings) as worker,
        SyncScheduler(app, url=server.url) as blocking,
        contextlib.closing(BlockingStore(Keys(app.namespace), blocking_client(server.url))) as store,
    ):
        yield Stage(server.url, app, worker, store, blocking)

"""What one crash point plays on: a namespace, a folder, a proxy, processes, and the invariants that hold afterwards."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from scheduler import Job, JobState, SyncScheduler, keys, transitions
from scheduler.clients import blocking_client
from scheduler.keys import GROUP, Keys
from scheduler.script_call import Transition
from scheduler.store import BlockingStore
from scheduler.transitions import Delivery
from tests.acl import limited
from tests.faults.deeds import make_app, marks
from tests.faults.proxy import Proxy
from tests.faults.zygote import Zygote, is_alive
from tests.worker.processes import wait_until

T = TypeVar("T")

LEASE_MS = 1_000
DRAIN_S = 2 * LEASE_MS / 1000 + 10 + 30
"""After the last fault all work is done within two leases and 10 s (faults.md); the rest is for busy cores."""

PATIENCE_S = 60.0
"""What takes ms where nothing else runs."""

DAY_MS = 24 * 3600 * 1000
KEYS = re.compile(
    "|".join(re.sub(r"<\w+( key)?>", ".+", name) for name in re.findall(r"^``(\S.*?)`` ", keys.__doc__ or "", re.M))
)
"""What keys.py knows, after the prefix."""


class Stage:
    """Everything of one case; nothing of it is left behind.

    Args:
        zygote: Starts its processes.
        url: The server.
        folder: For marks, logs and answers.
        namespace: Of the case's own.

    Attributes:
        store: Straight to the server; it may do what no client of the product does.
    """

    def __init__(self, zygote: Zygote, url: str, folder: Path, namespace: str) -> None:
        self._zygote = zygote
        self._url = url
        self._pids: list[int] = []
        self.folder = folder
        self.app = make_app(namespace, folder)
        self.proxy = Proxy(url)
        self.scheduler = SyncScheduler(self.app, url=url)
        self.store = BlockingStore(Keys(namespace), blocking_client(url))
        self.jobs: dict[str, str] = {}
        self._victim: Future[int] = Future()

    def __enter__(self) -> Self:
        self.proxy.start()
        self.scheduler.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.proxy.close()
        found = self.found_keys()
        if found:
            self.store.command("DEL", *found)
        self.store.close()
        self.scheduler.close()

    # Processes

    @property
    def victim(self) -> int:
        """The pid of the process that the fault is for; waits for its birth."""
        return self._victim.result(10)

    @victim.setter
    def victim(self, pid: int) -> None:
        self._victim.set_result(pid)

    def worker(self, name: str, *, direct: bool = False, **settings: Any) -> int:
        """Start a worker, through the proxy or straight to the server."""
        url = self._url if direct else self.proxy.url
        pid = self._zygote.start(
            name,
            url,
            self.app.namespace,
            self.folder,
            name=name,
            lease_ms=LEASE_MS,
            grace_s=5.0,
            **{"keeper": False, **settings},
        )
        self._pids.append(pid)
        return pid

    def producer(self, operation: str, job_id: str = "") -> int:
        """Start a producer that makes one call through the proxy."""
        pid = self._zygote.start(
            "producer", self.proxy.url, self.app.namespace, self.folder, operation=operation, job_id=job_id
        )
        self._pids.append(pid)
        return pid

    def log(self, name: str) -> str:
        """What a process has printed."""
        file = self.folder / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def wait_gone(self, pid: int) -> None:
        wait_until(lambda: not is_alive(pid), PATIENCE_S, f"the end of process {pid}")

    # Work

    def run(self, transition: Transition[T]) -> T:
        """Run one straight on the server, with the rights of who does so."""
        return limited(self.store, transition.script).run(transition)

    def schedule(self, function: str, *args: Any, delay_ms: int = 0) -> str:
        """Schedule a job that the case keeps its eye on."""
        job_id = self.scheduler.run_after(delay_ms, self.app.functions[function], *args)
        self.jobs[job_id] = function
        return job_id

    def release(self) -> None:
        """Let handlers go on that wait."""
        (self.folder / "release").touch()

    def wait_marked(self, name: str) -> None:
        wait_until(lambda: marks(self.folder, name) > 0, PATIENCE_S, f"the start of {name}")

    def wait_state(self, job_id: str, *states: JobState) -> None:
        wait_until(lambda: self.job(job_id).state in states, PATIENCE_S, f"{states} of {job_id}")

    def ghost(self, function: str) -> Delivery:
        """A job that was handed to a worker that is dead now."""
        ready = self.store.keys.ready("default")
        self.store.command("XGROUP", "CREATE", ready, GROUP, "0", "MKSTREAM")
        self.schedule(function)
        reply = self.store.command("XREADGROUP", "GROUP", GROUP, "ghost", "COUNT", 1, "STREAMS", ready, ">")
        (entry, pairs) = reply[0][1][0]
        fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
        return Delivery(fields[b"job"].decode(), "default", entry.decode(), fields[b"token"].decode(), 1)

    def old_record(self) -> str:
        """The id of a job that was canceled eight days ago."""
        seconds, _ = self.store.command("TIME")
        then_ms = int(seconds) * 1000 - 8 * DAY_MS
        job_id = self.scheduler.run_after(60_000, self.app.functions["add"])
        self.run(transitions.cancel([job_id], then_ms))
        return job_id

    # What holds

    def job(self, job_id: str) -> Job:
        job = self.scheduler.get(job_id)
        assert job is not None, f"no record of {job_id}"
        return job

    def all_jobs(self) -> dict[str, Job]:
        page = self.scheduler.list(limit=1_000)
        assert page.cursor is None
        return {job.id: job for job in page.jobs}

    def found_keys(self) -> list[bytes]:
        found, cursor = [], b"0"
        while True:
            cursor, some = self.store.command("SCAN", cursor, "MATCH", f"{self.store.keys.prefix}*", "COUNT", 5_000)
            found += some
            if cursor == b"0":
                return found

    def counter(self, name: str) -> int:
        value = self.scheduler.db.get(f"counters:{name}")
        return 0 if value is None else int(value["n"])

    def is_idle(self) -> bool:
        return self.scheduler.count(state="pending") + self.scheduler.count(state="inProgress") == 0

    def wait_idle(self) -> None:
        started = time.monotonic()
        while not self.is_idle():
            if time.monotonic() - started > DRAIN_S:
                left = [(job.name, job.state, job.attempts) for job in self.all_jobs().values() if not job.state.final]
                raise AssertionError(f"not done after {DRAIN_S} s: {left}")
            time.sleep(0.03)

    def check(self) -> dict[str, Job]:
        """Every invariant; returns all jobs. (faults.md, "What must hold", 1 to 6)"""
        jobs = self.all_jobs()
        assert set(self.jobs) <= set(jobs), "an accepted job is lost"
        assert all(job.state.final for job in jobs.values())
        self._check_effects(jobs)
        self._check_actions(jobs)
        self._check_rest()
        return jobs

    def _check_effects(self, jobs: dict[str, Job]) -> None:
        done = [job for job in jobs.values() if job.state is JobState.SUCCESS]
        adders = [job for job in done if job.name in ("add", "parent", "again", "look_twice", "hold_back")]
        assert self.counter("one") + self.counter("two") == len(adders), "an effect is lost or doubled"
        children = {job.id: sum(child.parent_id == job.id for child in jobs.values()) for job in jobs.values()}
        for job in jobs.values():
            if job.name == "parent":
                assert children[job.id] == (3 if job.state is JobState.SUCCESS else 0)
            if job.name == "break_off":
                assert (job.state, children[job.id]) == (JobState.FAILED, 0)
            if job.name == "act":
                assert children[job.id] <= 1
                assert children[job.id] == 1 or job.state is not JobState.SUCCESS

    def _check_actions(self, jobs: dict[str, Job]) -> None:
        for job in jobs.values():
            if job.kind == "action":
                starts = marks(self.folder, f"{job.name}-{job.id}")
                assert starts <= 1, "an action was started twice"
                assert starts == 1 or job.state is not JobState.SUCCESS
                if job.state is JobState.FAILED:
                    assert job.error is not None
                    assert "transient error while executing action" in job.error.message

    def _check_rest(self) -> None:
        names = self.store.keys
        assert self.store.command("ZCARD", names.due("default")) == 0
        assert self.store.command("XLEN", names.ready("default")) == 0
        if self.store.command("EXISTS", names.ready("default")):
            assert self.store.command("XPENDING", names.ready("default"), GROUP)[0] == 0
        assert self.store.command("ZCARD", names.running) == 0
        prefix = len(names.prefix)
        strange = [key for key in self.found_keys() if not KEYS.fullmatch(key.decode()[prefix:])]
        assert strange == []

"""What a test has left behind: tasks, threads, open files, connections, child processes. Looked at after every test.

What fixtures of a wider scope open belongs to them: whatever such a fixture has opened while it was set up is taken out
of the account, and so are connections to servers that it declares (a worker that lives through many tests connects when
it needs to).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_S = 5.0
"""A connection is closed and a child has ended a moment after they were told to."""

_THREADS = ("duestream-job", "duestream-nested", "asyncio_")
_CHILD = "worker.keeper"
"""What a worker starts when it needs it, and starts again."""

_FILES = Path("/proc/self/fd")


@dataclass(frozen=True)
class Belongings:
    """What this process holds at one moment."""

    files: frozenset[tuple[int, str]]
    threads: frozenset[threading.Thread]
    children: frozenset[int]

    def beyond(self, *others: Belongings) -> Belongings:
        """What is in none of the others."""
        files, threads, children = self.files, self.threads, self.children
        for other in others:
            files, threads, children = files - other.files, threads - other.threads, children - other.children
        return Belongings(files, threads, children)

    def __or__(self, other: Belongings) -> Belongings:
        return Belongings(self.files | other.files, self.threads | other.threads, self.children | other.children)


NOTHING = Belongings(frozenset(), frozenset(), frozenset())


@dataclass
class Account:
    """What belongs to whom.

    Attributes:
        wide: What fixtures of a wider scope than one test have opened.
        ports: Ports of servers to which such fixtures connect as they need.
        busy: How many such fixtures work on in the background.
        living: How many workers such fixtures have: they start threads and children as they need them.
        tasks: Tasks that were still there when their event loop was closed, as text.
    """

    wide: Belongings = NOTHING
    ports: set[int] = field(default_factory=set)
    tasks: list[str] = field(default_factory=list)
    living: int = 0
    busy: int = 0

    @contextlib.contextmanager
    def of_wide_fixture(self) -> Iterator[None]:
        """A fixture of a wider scope is set up."""
        before = look()
        yield
        self.wide |= look().beyond(before)

    @contextlib.contextmanager
    def of_living_worker(self, url: str) -> Iterator[None]:
        """A worker of a wider fixture: meanwhile it connects and starts threads for its jobs as it needs them."""
        port = int(url.rpartition(":")[2].partition("/")[0])
        self.ports.add(port)
        self.living += 1
        try:
            yield
        finally:
            self.ports.discard(port)
            self.living -= 1

    @contextlib.contextmanager
    def of_background_work(self) -> Iterator[None]:
        """A wider fixture works on in threads while its tests look at what came of it: it is judged at its end."""
        before = look()
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1
        assert self.settle(before) == []

    def left(self, before: Belongings) -> list[str]:
        """What is held now and was not before, in words that say which."""
        after = NOTHING if self.busy else look().beyond(before, self.wide)
        found = [f"task {name}" for name in self.tasks]
        threads = [thread.name for thread in after.threads if thread.is_alive()]
        found += [f"thread {name}" for name in threads if not (self.living and name.startswith(_THREADS))]
        children = {pid: _command(pid) for pid in sorted(after.children)}
        known = [pid for pid, command in children.items() if self.living and _CHILD in command]
        found += [f"child process {pid}: {command}" for pid, command in children.items() if pid not in known]
        for number, target in sorted(after.files):
            peer = _peer(number) if target.startswith("socket:") else None
            if known and target.startswith("pipe:"):
                continue  # to the child
            if peer is None or peer[1] not in self.ports:
                found.append(
                    f"file {number}: {target}" if peer is None else f"connection {number} to {peer[0]}:{peer[1]}"
                )
        return found

    def settle(self, before: Belongings) -> list[str]:
        """The same, once what is on its way has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.left(before)) and not self.tasks and time.monotonic() < deadline:
            time.sleep(0.005)
        return found


def look() -> Belongings:
    """What this process holds now."""
    files = set()
    for file in _FILES.iterdir():
        with contextlib.suppress(OSError):  # the file by which the folder is read, and what another thread has closed
            target = str(file.readlink())
            if target != f"/proc/{os.getpid()}/fd":
                files.add((int(file.name), target))
    return Belongings(frozenset(files), frozenset(threading.enumerate()), frozenset(_children()))


def _children() -> Iterator[int]:
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended
            yield from map(int, (task / "children").read_text().split())


def _command(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
            or "(ended, not waited for)"
        )
    except OSError:
        return "(ended)"


def _peer(number: int) -> tuple[str, int] | None:
    """Where a socket is connected to, None for one of another kind."""
    try:
        with socket.socket(fileno=os.dup(number)) as one:
            peer: Any = one.getpeername()
    except OSError:
        return None
    return (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None


@contextlib.contextmanager
def tasks_watched(account: Account) -> Iterator[None]:
    """Take note of the tasks that an event loop still has when it is closed: they were forgotten, not ended."""
    runners: Any = asyncio.runners
    cancel_all = runners._cancel_all_tasks

    def noted(loop: asyncio.AbstractEventLoop) -> None:
        account.tasks += [f"{task.get_name()}: {task.get_coro()!r:.200}" for task in asyncio.all_tasks(loop)]
        cancel_all(loop)

    runners._cancel_all_tasks = noted
    try:
        yield
    finally:
        runners._cancel_all_tasks = cancel_all

"""Forks worker processes from one that has imported all they need: hundreds of them start in one run.

`python -m tests.faults.chaos.nursery`, started by `crew.py`. It reads a JSON object a line, with the log, the url and
the settings of a worker to start, and writes "born <pid>"; of each that ended, "gone <pid> <exit code>" (-9: SIGKILL).
When its input ends it kills those that are left, and ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import selectors
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from scheduler.errors import ConfigurationError
from tests.faults.chaos import workload
from worker import logs, process
from worker.serving import serve
from worker.settings import WorkerSettings


def main() -> None:
    """Serve until the input ends."""
    alive: set[int] = set()
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # meant for whoever holds the other end of the input
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(wake, selectors.EVENT_READ)
    gc.freeze()
    pending = b""
    while True:
        ready = {key.fd for key, _ in selector.select()}
        if wake in ready:
            os.read(wake, 4096)
            _bury(alive)
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                alive.add(_bear(json.loads(line)))
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _bear(wanted: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _live(wanted)
    _tell(f"born {pid}")
    return pid


def _bury(alive: set[int]) -> None:
    while alive:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        alive.discard(pid)
        _tell(f"gone {pid} {os.waitstatus_to_exitcode(status)}")


def _tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def _live(wanted: dict[str, Any]) -> NoReturn:
    """What `duestream worker` does, without the command line."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(wanted["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for old, new in ((null, 0), (out, 1), (out, 2)):
        os.dup2(old, new)
    os.closerange(3, 256)
    logs.configure(0, as_json=False)
    signal.signal(signal.SIGUSR1, lambda *_: _list_tasks(Path(wanted["tasks"])))
    settings = WorkerSettings(**wanted["settings"])
    try:
        process.run(lambda stop: serve(workload.app, wanted["url"], settings, stop))
    except ConfigurationError as refusal:  # said in one line, as the command line does
        sys.stderr.write(f"error: {refusal}\n")
        process.leave(workload.REFUSED)
    process.leave(0)


def _list_tasks(path: Path) -> None:
    """Write what the worker's tasks run, one a line."""
    running = [task.get_coro() for task in asyncio.all_tasks()]
    new = path.with_suffix(".new")
    new.write_text("".join(f"{getattr(one, '__qualname__', one)}\n" for one in running))
    new.replace(path)


if __name__ == "__main__":
    main()

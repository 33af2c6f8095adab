"""A process that has imported everything and forks: a worker costs some ms instead of half a second of CPU.

It has no event loop and no client when it forks. What it starts is ended with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.faults.deeds import make_app
from tests.faults.producing import OPERATIONS, produce
from tests.worker.processes import ROOT, run_worker


class Zygote:
    """Starts workers and producers; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(self, role: str, url: str, namespace: str, folder: Path, **options: Any) -> int:
        """Fork a process that does what its role says; returns its pid. It prints to `<folder>/<role>.log`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"role": role, "url": url, "namespace": namespace, "folder": str(folder), "options": options}
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate(timeout=10)


def is_alive(pid: int) -> bool:
    """Whether a process of the zygote still runs; the zygote leaves no zombies."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _be_born(order: dict[str, Any]) -> None:
    """The child's life, from the fork to its end."""
    folder, code = Path(order["folder"]), 1
    output = os.open(folder / f"{order['role']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        app = make_app(order["namespace"], folder)
        if order["options"].get("operation") in OPERATIONS:
            produce(app, order["url"], folder, **order["options"])
        else:
            asyncio.run(run_worker(app, order["url"], [json.dumps(order["options"])]))
        code = 0
    except BaseException:
        logging.getLogger("zygote").exception("the child failed")
    finally:
        os._exit(code)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _be_born(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""The keeper as its worker sees it: started, told of each renewal, started again when it ends, ended with the lease."""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO

from scheduler.leases import renewed_every_ms
from worker.keeper_hello import PLACE_BYTES, Hello
from worker.restarts import Restarts
from worker.settings import WorkerSettings

_log = logging.getLogger("duestream.keeper")

_END_S = 0.1
_FIRST_BACKOFF_S, _MOST_BACKOFF_S, _HEALTHY_S = 1.0, 60.0, 60.0


class Keeping:
    """Has a keeper's process (see `keeper.py`).

    Args:
        url: The server.
        namespace: The app's.
        settings: Of the worker.
        patience_s: Asked for the seconds of silence for which the worker is renewed for.
    """

    def __init__(self, url: str, namespace: str, settings: WorkerSettings, patience_s: Callable[[], float]) -> None:
        self._url = url
        self._namespace = namespace
        self._settings = settings
        self._patience_s = patience_s
        self._places = {queue: place for place, queue in enumerate(settings.queues)}
        self._lock = threading.Lock()
        self._closed = False
        self._file = _shared_file()
        self._file.truncate(PLACE_BYTES * len(self._places))
        self._map = mmap.mmap(self._file.fileno(), PLACE_BYTES * len(self._places))
        self._seen = memoryview(self._map).cast("Q")
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts = Restarts(_FIRST_BACKOFF_S, _MOST_BACKOFF_S, _HEALTHY_S)
        self._started = self._start_at = float("-inf")

    @property
    def pid(self) -> int | None:
        """The process, None where there is none now."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def see(self, last: Mapping[str, str]) -> None:
        """The ids of the last entries that the worker has taken notice of, by queue.

        No call and no message: one store into memory that the keeper reads when it has to.
        """
        for queue, entry in last.items():
            self._seen[self._places[queue]] = int(entry.partition("-")[0])

    def renewed(self) -> None:
        """The worker has renewed by itself; a keeper that ended is started again."""
        with self._lock:
            if self._closed:
                return
            if self.pid is None:
                self._start()
            elif self._process is not None and self._process.stdin is not None:
                # A keeper that is stopped does not read, and is not waited for; one that has ended is seen next time.
                with contextlib.suppress(OSError):
                    os.write(self._process.stdin.fileno(), f"{self._patience_s():.3f}\n".encode())

    def close(self) -> None:
        """End the keeper; it renews no more when this returns."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._end(self._process)
                self._process = None
            self._seen.release()
            self._map.close()
            self._file.close()

    def _start(self) -> None:
        now = time.monotonic()
        if self._process is not None:
            self._end(self._process)
            code, self._process = self._process.returncode, None
            wait_s = self._restarts.wait_s(now - self._started)
            self._start_at = now + wait_s
            _log.warning("the keeper ended with code %s, and is started again in %g s", code, wait_s)
        if now >= self._start_at:
            self._started = now
            try:
                self._process = self._spawn()
            except OSError as error:
                self._start_at = now + _MOST_BACKOFF_S
                _log.warning("no keeper can be started, a handler that blocks everything loses its lease: %s", error)

    def _spawn(self) -> subprocess.Popen[bytes]:
        seen_fd = self._file.fileno()
        # What could be imported here can be imported there, and nothing of the current directory comes before it.
        paths = [path for path in sys.path if path]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            pass_fds=[seen_fd],
            process_group=0,  # a signal to the worker's group is the worker's
        )
        assert process.stdin is not None
        settings = self._settings
        hello = Hello(
            url=self._url, namespace=self._namespace, worker=settings.name, pid=os.getpid(),
            lease_ms=settings.lease_ms, every_ms=renewed_every_ms(settings.lease_ms), most_s=self._patience_s(),
            seen_fd=seen_fd, queues=settings.queues,
        )  # fmt: skip
        process.stdin.write(hello.encode())
        os.set_blocking(process.stdin.fileno(), False)
        return process

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:  # it starts yet, or is stopped; it has nothing to save
            process.kill()
            process.wait()


def _shared_file() -> IO[bytes]:
    """Without a name, and without a disk where the system can do that: a container may have none to write to."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("duestream-keeper"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)

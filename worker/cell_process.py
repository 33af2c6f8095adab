"""The process of a cell, seen from the worker: started, killed for sure, and waited for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading

_LINGER_S = 1.0
"""How long a process of the cell that left its group may keep the socket open once the cell is dead."""


class CellProcess:
    """One `python -m worker.cell` in a process group of its own, and the socket to it.

    Whatever it has started in its group dies with it. It dies with the worker, too: see `cell.py`.

    Attributes:
        ended: Its exit code, negative for a signal, once it has ended.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        ours, theirs = socket.socketpair()
        with theirs:
            # -P: a directory `worker` where the worker was started is not this package.
            self._process = subprocess.Popen(  # noqa: S603  our own program
                [sys.executable, "-P", "-m", "worker.cell", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        self._socket = ours
        self._lock = threading.Lock()
        self._reaped = False
        threading.Thread(target=self._wait, name="cell-wait", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The two ends of the socket; it is closed soon after the process has ended."""
        reader, writer = await asyncio.open_unix_connection(sock=self._socket)
        abort = writer.transport.abort
        self.ended.add_done_callback(lambda _: self._loop.call_later(_LINGER_S, abort))
        return reader, writer

    def kill(self) -> None:
        """End it now, with all that it has started in its group."""
        with self._lock:
            if not self._reaped:
                self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a zombie's group
            os.killpg(self._process.pid, signal.SIGKILL)

    def _wait(self) -> None:
        # Not reaped yet, so the number of its group is nobody else's.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._kill_group()
            code = self._process.wait()
            self._reaped = True
        with contextlib.suppress(RuntimeError):  # the loop has ended, and so does the worker
            self._loop.call_soon_threadsafe(self._set, code)

    def _set(self, code: int) -> None:
        if not self.ended.done():
            self.ended.set_result(code)

"""A child process with this command line, for the supervisor and for `dev`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from scheduler.settings import URL_VARIABLE


class Child:
    """A `duestream` process that ends when this one does.

    Its standard input is a pipe that nobody writes to: the kernel closes it when this process dies, however it does,
    and the child stops gently. It is in a process group of its own, so that Ctrl-C reaches it once, through us.

    Args:
        arguments: After `duestream`.
        ended: Called with the child, from a thread, when it has ended.
        url: The server, in the child's environment: everybody can read a command line, and urls hold passwords.
    """

    def __init__(self, arguments: Sequence[str], ended: Callable[[Child], None], *, url: str) -> None:
        command = [sys.executable, "-m", "worker", *arguments]
        environment = {**os.environ, URL_VARIABLE: url}
        # Popen closes all other descriptors, so no child holds the pipe of another one open.
        self._process = subprocess.Popen(  # noqa: S603  our own program
            command, stdin=subprocess.PIPE, process_group=0, env=environment
        )
        threading.Thread(target=self._wait, args=(ended,), daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.returncode

    def stop(self) -> None:
        """Ask for a graceful stop."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # send_signal does nothing after the process was waited for: its pid may be another's then.
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _wait(self, ended: Callable[[Child], None]) -> None:
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        ended(self)


def describe_end(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"

"""The line from a cell to its worker: one socket, one reader, any number of speakers."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from worker import frames
from worker.frames import Frame, Say


class Line:
    """The cell's end. Whoever speaks waits until the worker has room for it.

    A process that is forked from here has no line: it must not speak for the cell.

    Args:
        descriptor: The socket's, inherited from the worker.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._stream = self._socket.makefile("rb")
        self._speaking = threading.Lock()
        os.register_at_fork(after_in_child=self._hang_up)

    def say(self, word: Say, *rest: Any) -> None:
        """Send a frame, from any thread.

        Raises:
            OSError: The worker is gone.
            InvalidValue: It cannot be packed.
        """
        frame = frames.pack(word, *rest)
        with self._speaking:
            self._socket.sendall(frame)

    def _hang_up(self) -> None:
        os.close(self._socket.detach())  # not close(): the stream keeps that from closing it

    def hear(self) -> tuple[Say, Frame] | None:
        """The next frame, None when the worker is gone; from one thread."""
        return frames.read_blocking(self._stream)

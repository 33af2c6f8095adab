"""The guard of a cell: a fork that waits for the end of the line, and then kills the whole group."""

from __future__ import annotations

import os
import select
import signal


def end_group() -> None:
    """End this process now, and all that handlers have started in its group."""
    os.killpg(0, signal.SIGKILL)


def post_guard(descriptor: int) -> None:
    """Fork the guard of this process; `descriptor` is the line's."""
    if os.fork():
        return
    line = select.poll()
    line.register(descriptor, 0)  # only that the other side is gone; what it says is not for the guard
    line.poll()
    end_group()

"""A cell: a process that runs the handlers of functions with `isolate=True` (`python -m worker.cell`).

It ends when the worker does, however that dies. A fork of it, the guard, waits for nothing but the end of the line, and
then kills the whole group: what a handler has started, too, and be it that a handler holds the interpreter. On Linux
the kernel kills the cell itself, should somebody have killed the guard.
"""

from __future__ import annotations

import os
import select
import signal
import sys


def end_group() -> None:
    """End this process now, and all that handlers have started in its group."""
    os.killpg(0, signal.SIGKILL)


def main(descriptor: int) -> None:
    """Post the guard, and only then import the rest: the guard stays small."""
    # Whoever stops a whole group or container means the worker, which ends its cells. Not SIG_IGN: that is inherited.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    _post_guard(descriptor)
    from worker.cell_jobs import serve

    serve(descriptor)


def _post_guard(descriptor: int) -> None:
    if os.fork():
        return
    line = select.poll()
    line.register(descriptor, 0)  # only that the other side is gone; what it says is not for the guard
    line.poll()
    end_group()


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""A cell: a process that runs the handlers of functions with `isolate=True` (`python -m worker.cell`).

It ends when the worker does, however that dies. A fork of it, the guard, waits for nothing but the end of the line, and
then kills the whole group: what a handler has started, too, and be it that a handler holds the interpreter. On Linux
the kernel kills the cell itself, should somebody have killed the guard.
"""

from __future__ import annotations

import signal
import sys

from worker.guard import post_guard


def main(descriptor: int) -> None:
    """Post the guard, and only then import the rest: the guard stays small."""
    # Whoever stops a whole group or container means the worker, which ends its cells. Not SIG_IGN: that is inherited.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    post_guard(descriptor)
    from worker.cell_jobs import serve

    serve(descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""The shell of a process that works until it is told to stop: event loop, signals, a parent that may die, the exit."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import NoReturn

_log = logging.getLogger("duestream.process")

_THREADS_S = 0.5
"""How long job threads that have just been told to end may take to do so."""

_HELPERS = "duestream-helper"
_HANDLERS = ("duestream-job", "duestream-nested", "duestream-sql", _HELPERS)
"""How the names of threads begin that run code of handlers; `executor.py` and `unit.py` name theirs so."""

_COLLECT_AFTER = 50_000
"""Objects that are made and not freed before Python looks for cycles among them; 700 or 2,000 where nobody says more.

The objects of a job end by themselves, but hundreds of jobs are alive at any moment: with Python's own number they were
looked at again and again, for a fifth of a worker's time.
"""

HARD_EXIT = 1
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(body: Callable[[asyncio.Event], Awaitable[None]], *, watch_parent_s: float | None = None) -> None:
    """Run `body` on an event loop of its own, uvloop where it exists, until it returns.

    The first TERM or INT sets the event it is given, a second one ends the process at once with exit code 1. A plain
    `def` handler that does not return cannot keep the process: then it exits here, with code 0.

    Args:
        body: Works until the event is set.
        watch_parent_s: Standard input ends when the parent dies, which counts as a first TERM, and as a second one so
            many seconds later; None to leave standard input alone.
    """
    _collect_less()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        loop = runner.get_loop()
        # Our own, for the loop's would be waited for without end when it closes (`asyncio.to_thread` in a handler).
        threads = ThreadPoolExecutor(thread_name_prefix=_HELPERS)
        loop.set_default_executor(threads)
        stop = asyncio.Event()

        def ask() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and so does the process
                loop.call_soon_threadsafe(stop.set)

        _handle_signals(ask)
        if watch_parent_s is not None:
            threading.Thread(target=_watch_parent, args=(ask, watch_parent_s), daemon=True).start()
        runner.run(_await(body(stop)))
        threads.shutdown(wait=False, cancel_futures=True)
        if _threads_remain():
            _log.warning("exits although handlers still run in threads")
            leave(0)


def leave(code: int) -> NoReturn:
    """End the process without waiting for threads; what was logged and printed is out."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it any more
            stream.flush()
    os._exit(code)


async def _await(work: Awaitable[None]) -> None:
    await work


def _collect_less() -> None:
    gc.freeze()  # what was imported stays to the end
    first, *rest = gc.get_threshold()
    gc.set_threshold(max(first, _COLLECT_AFTER), *rest)


def _handle_signals(ask: Callable[[], None]) -> None:
    # signal.signal, not the loop's own handlers: a second signal must work while a handler blocks the loop.
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(HARD_EXIT)
        asked = True
        ask()

    for number in STOPPING_SIGNALS:
        signal.signal(number, handle)


def _watch_parent(ask: Callable[[], None], patience_s: float) -> None:
    with contextlib.suppress(OSError):  # no standard input is an ended one
        while os.read(0, 1024):
            pass
    _log.warning("the parent process is gone, stopping")
    ask()
    time.sleep(patience_s)
    os._exit(HARD_EXIT)


def _threads_remain() -> bool:
    deadline = time.monotonic() + _THREADS_S
    while jobs := [one for one in threading.enumerate() if one.name.startswith(_HANDLERS)]:
        if time.monotonic() > deadline:
            return True
        jobs[0].join(0.01)
    return False


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop

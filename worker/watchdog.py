"""The watchdog of a worker's own process: ends it when its event loop was blocked for longer than any handler may run.

Such a worker is of no use any more, and its leases are not renewed either: whoever supervises it starts another one.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

_EVERY_S = 5.0
_log = logging.getLogger("duestream.watchdog")


async def watch(patience_s: Callable[[], float]) -> None:
    """Until cancelled: if the event loop is blocked for `patience_s`, write all stacks and end with exit code 1.

    The clock is one in C: it runs though a handler holds the interpreter.
    """
    with _errors() as errors:
        try:
            while True:
                most_s = patience_s()
                faulthandler.dump_traceback_later(most_s, exit=True, file=errors)
                await asyncio.sleep(min(_EVERY_S, most_s / 4))
        finally:
            faulthandler.cancel_dump_traceback_later()


async def show_life(file: Path, started: asyncio.Event) -> None:
    """Until cancelled: write a file again and again, for probes that look at its age; it goes with the worker."""
    await started.wait()
    try:
        while True:
            try:
                _write(file)
            except OSError as error:  # a full disk stops no work; the probe sees that the file is old
                _log.error("the life file cannot be written: %s", error)
            await asyncio.sleep(_EVERY_S)
    finally:
        _remove(file)


def _write(file: Path) -> None:
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.write_text(f"{os.getpid()}\n", encoding="ascii")
    new.replace(file)  # nobody reads half of it


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)


def _errors() -> IO[str]:
    """Standard error by a descriptor of its own: the clock in C knows no other, and may outlive Python's file."""
    return Path(os.devnull).open("w") if sys.stderr is None else os.fdopen(os.dup(sys.stderr.fileno()), "w")

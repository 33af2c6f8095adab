"""Rooms: loops that run as long as their process works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

_AGAIN_S = 1.0
_log = logging.getLogger("duestream.worker")


async def keep(room: str, run: Callable[[], Awaitable[None]]) -> None:
    """A room that fails for a reason nobody foresaw is told of and started again: a process does not die of it."""
    while True:
        try:
            await run()
        except Exception:  # noqa: BLE001  the edge of a loop
            _log.exception("the %s failed, and is started again", room)
            await asyncio.sleep(_AGAIN_S)
        else:
            return

"""Futures of one event loop that all have the same time to be done: one timer for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any


class Deadlines:
    """Gives each future a TimeoutError that is not done in its time.

    Args:
        within_s: Seconds that each has.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._look: asyncio.TimerHandle | None = None

    def add(self, future: asyncio.Future[Any]) -> None:
        """Bound a future from now on."""
        waiting = self._waiting
        while waiting and waiting[0][1].done():
            waiting.popleft()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._within_s
        waiting.append((deadline, future))
        if self._look is None:
            self._look = loop.call_at(deadline, self._end_those_due)

    def _end_those_due(self) -> None:
        """Those that were added first are due first."""
        loop, self._look = asyncio.get_running_loop(), None
        while self._waiting:
            deadline, future = self._waiting[0]
            if not future.done() and deadline > loop.time():
                self._look = loop.call_at(deadline, self._end_those_due)
                return
            if not future.done():
                future.set_exception(TimeoutError())
            self._waiting.popleft()

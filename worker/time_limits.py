"""Time limits of handlers that run: one timer for all of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from worker.delivery import Held, Interruption


class TimeLimits:
    """Interrupts each handler that still runs when its time is over (C3.2).

    A timer of its own for each would cost more than many a handler. Of those with the same limit the one that began
    first is over first, so they are kept in that order, and nothing has to be sorted.

    Args:
        loop: Where they run.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ends: defaultdict[float, dict[Held, float]] = defaultdict(dict)
        self._timer: asyncio.TimerHandle | None = None

    def start(self, held: Held, limit_s: float) -> None:
        """A handler begins, and has so many seconds."""
        end = self._loop.time() + limit_s
        self._ends[limit_s][held] = end
        if self._timer is None:
            self._timer = self._loop.call_at(end, self._interrupt)
        elif end < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(end, self._interrupt)

    def end(self, held: Held, limit_s: float) -> None:
        """It has ended."""
        self._ends[limit_s].pop(held, None)

    def close(self) -> None:
        """No handler runs any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _interrupt(self) -> None:
        now, upcoming = self._loop.time(), list[float]()
        for ends in self._ends.values():
            while ends:
                held, end = next(iter(ends.items()))
                if end > now:
                    upcoming.append(end)
                    break
                del ends[held]
                held.interrupt(Interruption.TIME_LIMIT)
        self._timer = self._loop.call_at(min(upcoming), self._interrupt) if upcoming else None

"""The pace of a worker: how many deliveries more than it has places for would be started at once."""

from __future__ import annotations

import time

_WINDOW_S = 0.05
_SOON_S = 0.01
"""So long what was claimed ahead may wait: much less than another worker would need to be woken for it twice."""


class Pace:
    """Counts ends of handlers.

    While no-op handlers end by the ten thousand, a worker that claims only what has a place waits for Redis as long as
    Redis has waited for it. One with slow handlers claims nothing ahead: that would wait here while others are idle.

    Args:
        most: The most to claim ahead.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._since = time.monotonic()
        self._ends = 0
        self._ahead = 0

    def ended(self) -> None:
        """A handler has ended, and its place is free."""
        self._ends += 1

    def ahead(self) -> int:
        """How many would find a place within a few ms, at the pace of the last moment."""
        passed_s = time.monotonic() - self._since
        if passed_s >= _WINDOW_S:
            self._ahead = min(self._most, round(self._ends * _SOON_S / passed_s))
            self._since, self._ends = self._since + passed_s, 0
        return self._ahead

"""Waiting before the next try: exponential, with full jitter, so that a crowd does not come back in step."""

from __future__ import annotations

import asyncio
import logging
import random
import time

from scheduler.errors import QueueFull

_log = logging.getLogger("duestream.outage")


def jittered_ms(attempt: int, base_ms: int, cap_ms: int) -> int:
    """A wait before the next try, from 0 to base * 2^(attempt - 1) or the cap, in ms; `attempt` counts from 1."""
    ceiling = min(cap_ms, base_ms << min(attempt - 1, 40))
    return random.randint(0, ceiling)  # noqa: S311  spread, not secrecy


class Outage:
    """Redis being away or full, told once however many rooms notice it."""

    def __init__(self) -> None:
        self._tries = 0
        self._since: float | None = None
        self._full = False
        self.contact_since = time.monotonic()
        """Monotonic seconds at which the present time of contact began."""

    async def wait(self, error: Exception) -> None:
        """Log the first of a series of failures, and wait before the next try: up to a second."""
        if isinstance(error, QueueFull):
            # It answers, so it is in contact; only what writes has to wait.
            if not self._full:
                _log.error("%s; trying again until there is room", error)
            self._full = True
        elif self._since is None:
            self._since = time.monotonic()
            _log.warning("redis is away, trying again until it is back: %s", error)
        self._tries += 1
        await asyncio.sleep(0.02 + jittered_ms(self._tries, 50, 1_000) / 1000)

    def over(self, *, wrote: bool = False) -> None:
        """Redis has answered; `wrote` if it took what a full one would have refused."""
        if wrote and self._full:
            self._full = False
            _log.warning("redis has room again")
        if self._since is not None:
            self.contact_since = time.monotonic()
            _log.warning("redis is back after %.1f s", self.contact_since - self._since)
            self._since = None
        if not self._full:
            self._tries = 0

"""Redis time, seen from here.

Redis time is the only clock. Between two looks at it this process counts on with its monotonic clock; its wall clock is
never asked.
"""

from __future__ import annotations

import time


class RedisClock:
    """Redis time in epoch ms, from the answers that carried it.

    Each answer was made between the call and its arrival, so it bounds Redis time from both sides. The clock keeps what
    it knows as long as that lies between, and otherwise moves to the nearer bound: a slow answer does not set it back.
    """

    def __init__(self) -> None:
        self._offset_ms: float | None = None
        self._most_ms = 0.0

    @property
    def known(self) -> bool:
        """Whether Redis has told the time yet."""
        return self._offset_ms is not None

    def observe(self, redis_ms: int, asked_s: float) -> None:
        """Take over the time that Redis has just told, in epoch ms, asked for at the monotonic time `asked_s`."""
        least_ms = redis_ms - time.monotonic() * 1000
        self._most_ms = redis_ms - asked_s * 1000
        known_ms = least_ms if self._offset_ms is None else self._offset_ms
        self._offset_ms = min(max(known_ms, least_ms), self._most_ms)

    def advance(self, redis_ms: int) -> None:
        """Redis time was `redis_ms` a while ago, as far as that agrees with the last answer."""
        if self._offset_ms is not None:
            least_ms = redis_ms - time.monotonic() * 1000
            self._offset_ms = max(self._offset_ms, min(least_ms, self._most_ms))

    def now_ms(self) -> int:
        """Redis time in epoch ms.

        Raises:
            RuntimeError: Redis has not told the time yet.
        """
        if self._offset_ms is None:
            raise RuntimeError("the clock was read before Redis told the time")
        return int(time.monotonic() * 1000 + self._offset_ms)

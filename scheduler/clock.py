"""Redis time, seen from here.

Redis time is the only clock. Between two looks at it this process counts on with its monotonic clock; its wall clock is
never asked.
"""

from __future__ import annotations

import time


class RedisClock:
    """Redis time in epoch ms, from the last answer that carried it.

    Each answer is at least as old as it took to arrive, so the clock runs behind Redis by at most that.
    """

    def __init__(self) -> None:
        self._offset_ms: float | None = None

    @property
    def known(self) -> bool:
        """Whether Redis has told the time yet."""
        return self._offset_ms is not None

    def observe(self, redis_ms: int) -> None:
        """Take over the time that Redis has just told, in epoch ms."""
        self._offset_ms = redis_ms - time.monotonic() * 1000

    def now_ms(self) -> int:
        """Redis time in epoch ms.

        Raises:
            RuntimeError: Redis has not told the time yet.
        """
        if self._offset_ms is None:
            raise RuntimeError("the clock was read before Redis told the time")
        return int(time.monotonic() * 1000 + self._offset_ms)

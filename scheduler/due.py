"""When a job is due: what `run_after` and `run_at` take, and what they refuse (C2.1, C2.3, C2.5)."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from scheduler.errors import InvalidDelay, InvalidTimestamp

LIMIT_MS = 5 * 366 * 24 * 3600 * 1000
"""Nothing is scheduled further away than this, in either direction."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Delay = int | float | timedelta
"""Milliseconds, or a timedelta."""

Timestamp = int | float | datetime
"""Epoch milliseconds, or an aware datetime."""


class Due(NamedTuple):
    """A due time as the schedule script takes it: `after` so many ms from now, or `at` an epoch time in ms."""

    mode: Literal["after", "at"]
    ms: int


def after(delay: Delay) -> Due:
    """Check a delay.

    Args:
        delay: Milliseconds or a timedelta, 0 to five years. Fractions of a ms are rounded up: nothing is early.

    Raises:
        InvalidDelay: Naming `delay` and what is wrong with it.
    """
    if type(delay) is int and 0 <= delay <= LIMIT_MS:
        return Due("after", delay)
    if isinstance(delay, timedelta):
        whole, rest = divmod(delay, timedelta(milliseconds=1))
        ms: int | float = whole + 1 if rest and whole >= 0 else whole
    elif isinstance(delay, bool) or not isinstance(delay, int | float):
        raise InvalidDelay(f"delay: expected milliseconds or a timedelta, got {_what(delay)}")
    else:
        ms = delay
    if isinstance(ms, float) and not math.isfinite(ms):
        raise InvalidDelay(f"delay: expected a finite number of milliseconds, got {ms}")
    if ms < 0:
        raise InvalidDelay(f"delay: must not be negative, got {_what(delay)}")
    if ms > LIMIT_MS:
        raise InvalidDelay(f"delay: more than five years ahead, got {_what(delay)}{_unit(delay)} (most: {LIMIT_MS} ms)")
    return Due("after", math.ceil(ms))


def at(timestamp: Timestamp, now_ms: int) -> Due:
    """Check a timestamp.

    Args:
        timestamp: Epoch milliseconds or an aware datetime, within five years of now. In the past means at once.
        now_ms: Redis time in epoch ms.

    Raises:
        InvalidTimestamp: Naming `timestamp` and what is wrong with it.
    """
    ms = check_timestamp(timestamp)
    if abs(ms - now_ms) > LIMIT_MS:
        where = "ahead" if ms > now_ms else "ago"
        got = f"{_what(timestamp)}{_unit(timestamp, ' ms since 1970')}{_hint(ms, now_ms)}"
        raise InvalidTimestamp(f"timestamp: more than five years {where}, got {got}")
    return Due("at", math.ceil(ms))


def check_timestamp(timestamp: Timestamp) -> int | float:
    """Check all of a timestamp but its distance from now, and return it in epoch ms.

    Raises:
        InvalidTimestamp: Naming `timestamp` and what is wrong with it.
    """
    if isinstance(timestamp, datetime):
        if timestamp.tzinfo is None or timestamp.utcoffset() is None:
            raise InvalidTimestamp(f"timestamp: a datetime needs a time zone, got the naive {timestamp.isoformat()}")
        return -((_EPOCH - timestamp) // timedelta(milliseconds=1))
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float):
        raise InvalidTimestamp(f"timestamp: expected epoch milliseconds or an aware datetime, got {_what(timestamp)}")
    if isinstance(timestamp, float) and not math.isfinite(timestamp):
        raise InvalidTimestamp(f"timestamp: expected a finite number of milliseconds, got {timestamp}")
    return timestamp


def _hint(ms: int | float, now_ms: int) -> str:
    """Seconds where milliseconds are meant is the commonest slip."""
    return " (epoch seconds? milliseconds are meant)" if abs(ms * 1000 - now_ms) <= LIMIT_MS else ""


def _unit(value: object, unit: str = " ms") -> str:
    """The unit of a number that is shown as such."""
    return unit if isinstance(value, int | float) and abs(value) < 10**18 else ""


def _what(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an int of {value.bit_length()} bits"
    text = repr(value) if isinstance(value, str | int | float | bytes | timedelta | None) else ""
    return text if 0 < len(text) <= 60 else f"a {type(value).__name__}"

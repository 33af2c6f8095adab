"""Job ids: ULIDs, 26 characters of Crockford's base 32, in order of creation."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import NewType

from scheduler.errors import InvalidJobId

JobId = NewType("JobId", str)
"""The id of a job: a str of 26 characters that sorts by time of creation."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FORM = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_RANDOM_BITS = 80
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)


class JobIds:
    """Makes ids; those of one maker are strictly increasing, so ties of due time keep the order of scheduling (C3.7).

    Args:
        now_ms: The clock, epoch milliseconds. A client hands in Redis time, so that the clocks of producers decide
        nothing.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._last = 0
        self._high, self._beginning = 0, ""
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def new(self) -> JobId:
        if os.getpid() != self._pid:
            # Forked within a ms, parent and child would count on from the same number.
            self._last, self._lock, self._pid = 0, threading.Lock(), os.getpid()
        now_ms = self._now_ms()
        with self._lock:
            if now_ms <= self._last >> _RANDOM_BITS:
                number = self._last + 1
            else:
                number = (now_ms << _RANDOM_BITS) | int.from_bytes(os.urandom(10), "big")
            self._last = number
            high = number >> 10
            if high != self._high:  # of many made in a ms hardly any
                self._high, self._beginning = high, _encode(high)
            return JobId(self._beginning + _PAIRS[number & 0x3FF])


def _encode(high: int) -> str:
    """The first 24 characters, of the number without its last ten bits."""
    return "".join([_PAIRS[(high >> shift) & 0x3FF] for shift in range(110, -1, -10)])


def parse_job_id(value: object) -> JobId:
    """Check that a value has the form of a job id.

    Raises:
        InvalidJobId: It has not (C4: a malformed id is an error).
    """
    if not isinstance(value, str) or not _FORM.fullmatch(value):
        raise InvalidJobId(
            f"job_id: not a job id: {_shorten(value)} (an id has 26 characters, like 01JD6Q2M8XK0T9V4W5Y7Z3ABCD)"
        )
    return JobId(value)


def _shorten(value: object) -> str:
    text = repr(value) if isinstance(value, str | int | float | bytes | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."

"""The time limit of a function that another one calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from scheduler.errors import TimeLimitExceeded
from scheduler.function import AnyFunction

T = TypeVar("T")


async def in_time(function: AnyFunction, call: Awaitable[T]) -> T:
    """Wait for a call of `function`, for as long as that may run.

    Raises:
        TimeLimitExceeded: It was cancelled. A plain `def` goes on in its thread, and nothing of it counts any more.
    """
    try:
        async with asyncio.timeout(function.timeout_s) as limit:
            return await call
    except TimeoutError as error:
        if not limit.expired():
            raise  # the handler's own
        raise TimeLimitExceeded(
            f"{function.name}: ran longer than its time limit of {function.timeout_s:g} s"
        ) from error

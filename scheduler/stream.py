"""Batches in order, several on the wire: the next is made ready while the server works on those before it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final, TypeVar

from scheduler.ending import end

T = TypeVar("T")
R = TypeVar("R")

MOST_IN_FLIGHT: Final = 3
"""One at work, one that waits for the server, one on its way: more would only fill memory."""


async def stream(batches: AsyncGenerator[T, None], send: Callable[[T], Awaitable[list[R]]]) -> list[R]:
    """Send batches as they come, and return all replies in order.

    Raises:
        What `send` raises for the first batch that failed; those behind it may have been applied. Else what `batches`
        raises; those before have been applied then.
    """
    flying: deque[asyncio.Task[list[R]]] = deque()
    replies: list[R] = []
    try:
        while (batch := await _next(batches, flying)) is not None:
            if len(flying) == MOST_IN_FLIGHT:
                replies += await flying.popleft()
            flying.append(asyncio.create_task(_sent(send, batch)))
            await asyncio.sleep(0)  # it leaves now, not when the next is ready
        while flying:
            replies += await flying.popleft()
    except Exception:
        await _answered(flying)
        raise
    finally:
        await end(*flying)
        await batches.aclose()
    return replies


async def _next(coming: AsyncGenerator[T, None], flying: deque[asyncio.Task[Any]]) -> T | None:
    try:
        return await anext(coming, None)
    except Exception:
        while flying:
            await flying.popleft()
        raise


async def _answered(flying: deque[asyncio.Task[Any]]) -> None:
    """They are on the wire; what becomes of them is not told, as something before them has failed."""
    if flying:
        await asyncio.wait(flying)
        for task in flying:
            task.exception()


async def _sent(send: Callable[[T], Awaitable[list[R]]], batch: T) -> list[R]:
    return await send(batch)

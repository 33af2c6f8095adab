"""Waiting for what runs in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")


async def run_in(threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    """Run a call in one of `threads`. A thread cannot be cancelled: when this is, the call goes on."""
    returned, raised = await asyncio.get_running_loop().run_in_executor(threads, _quietly, call)
    if raised is not None:
        raise raised
    return cast("T", returned)


def _quietly(call: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """Some exceptions (StopIteration) cannot pass through a future; so they return."""
    try:
        return call(), None
    except BaseException as error:  # noqa: BLE001  raised again on the event loop
        return None, error

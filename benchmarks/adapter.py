"""What an adapter in `benchmarks.peers` offers, by its types.

Its module has `Client`, `noop` and `sleep1` jobs that record themselves, and `worker()` where the system's workers are
no commands of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

Item = tuple[int, float | None]
"""A job's number and when it is due, in unix seconds; None: now."""


class Client(Protocol):
    """Schedules jobs; all methods are blocking, or all are coroutines."""

    def open(self) -> Awaitable[None] | None: ...
    def one(self, number: int) -> Awaitable[Any] | Any:
        """Schedule `noop` for now."""

    def many(self, items: Sequence[Item], function: str, payload: str | None) -> Awaitable[None] | None:
        """Schedule jobs of `noop` or `sleep1` by the best call for many there is; `payload` is passed along."""

    def close(self) -> Awaitable[None] | None: ...


class Burst(Protocol):
    """A client that can be asked for many single calls at the same time."""

    async def burst(self, numbers: range) -> None: ...


async def awaited(value: Any) -> Any:
    """The value, awaited where that is needed."""
    return await value if inspect.isawaitable(value) else value

"""Sending until answered: a call whose answer was lost goes again byte for byte, however long Redis is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from scheduler.backoff import Outage
from scheduler.errors import Unavailable
from scheduler.runner import AsyncRunner
from scheduler.script_call import Transition

T = TypeVar("T")


class Persistence:
    """Runs transitions that must be answered, and never another payload under the same token."""

    def __init__(self, store: AsyncRunner, outage: Outage) -> None:
        self._store = store
        self._outage = outage

    async def run(self, transition: Transition[T]) -> T:
        """Run a transition until Redis has answered it; only cancelling ends it before."""
        reply = await self._until_answered(lambda: self._store.run(transition))
        self._outage.over(wrote=not transition.script.source.startswith("#!"))
        return reply

    async def until_answered(self, send: Callable[[], Awaitable[T]]) -> T:
        """Send what may be sent again and again, until Redis has answered it."""
        reply = await self._until_answered(send)
        self._outage.over()
        return reply

    async def command(self, *command: Any) -> Any:
        """Run a plain command that may be sent again, until Redis has answered it."""
        reply = await self._until_answered(lambda: self._store.command(*command))
        self._outage.over()
        return reply

    async def _until_answered(self, send: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await send()
            except Unavailable as error:
                await self._outage.wait(error)

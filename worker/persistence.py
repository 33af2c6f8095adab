"""Sending until answered: a call whose answer was lost goes again byte for byte, however long Redis is away."""

from __future__ import annotations

from typing import TypeVar

from scheduler.backoff import Outage
from scheduler.errors import Unavailable
from scheduler.store import AsyncStore
from scheduler.transitions import Transition

T = TypeVar("T")


class Persistence:
    """Runs transitions that must be answered, and never another payload under the same token."""

    def __init__(self, store: AsyncStore, outage: Outage) -> None:
        self._store = store
        self._outage = outage

    async def run(self, transition: Transition[T]) -> T:
        """Run a transition until Redis has answered it; only cancelling ends it before."""
        while True:
            try:
                reply = await self._store.run(transition)
            except Unavailable as error:
                await self._outage.wait(error)
            else:
                self._outage.over()
                return reply

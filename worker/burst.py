"""Burst: whether there is nothing left to do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from scheduler.clock import RedisClock
from scheduler.promoter import Promoter
from scheduler.store import AsyncStore

_LOOK_S = 0.05


class Burst:
    """Looks whether anything is due.

    Args:
        store: Asks for the due sets.
        promoter: Moves what is due, None where others do.
        queues: The worker's.
        clock: Redis time.
    """

    def __init__(self, store: AsyncStore, promoter: Promoter | None, queues: Sequence[str], clock: RedisClock) -> None:
        self._store = store
        self._promoter = promoter
        self._queues = queues
        self._clock = clock

    async def exhausted(self, held: int, room: asyncio.Event) -> bool:
        """Whether nothing is due and nothing runs; waits a little where something does.

        Args:
            held: Deliveries in this worker's hands.
            room: Set when one of them has gone.

        Raises:
            Unavailable: Redis does not answer.
        """
        if held > 0:
            room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2 * _LOOK_S):
                    await room.wait()
            return False
        lead = await self._promoter.step() if self._promoter is not None else None
        if lead is not None and lead.leads:
            return lead.moved == 0 and (lead.next_due_ms is None or lead.next_due_ms > lead.now_ms)
        now_ms = self._clock.now_ms()
        due = [await self._store.command("ZCOUNT", self._store.keys.due(queue), "-inf", now_ms)
               for queue in self._queues]  # fmt: skip
        await asyncio.sleep(_LOOK_S if any(due) else 0)
        return not any(due)

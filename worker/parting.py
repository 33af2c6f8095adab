"""The parting of a worker from Redis: the blocking read ended, the name off the list, the connections closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from scheduler.errors import Unavailable
from scheduler.store import AsyncStore
from worker.connections import Connections
from worker.isolation import Isolation
from worker.lease import Lease
from worker.presence import Presence

_RELEASE_S, _LEAVE_S = 2.0, 2.0
"""How long each waits for Redis at most. What is left then comes back by its lease."""

_log = logging.getLogger("duestream.worker")


class Parting:
    """The last steps of a stop, in their order.

    Args:
        connections: Ended at last.
        store: Of the worker.
        lease: Renews no more before the worker leaves.
        presence: Takes the worker off the list.
        isolation: Ends the processes of handlers.
    """

    def __init__(
        self, connections: Connections, store: AsyncStore, lease: Lease, presence: Presence, isolation: Isolation
    ) -> None:
        self._connections = connections
        self._store = store
        self._lease = lease
        self._presence = presence
        self._isolation = isolation

    async def release_reader(self, claiming: asyncio.Task[None]) -> None:
        """End the blocking read, and wait for what it has brought.

        By the server, never by cancelling it: entries in a reply nobody reads would wait for the lease.
        """
        deadline = time.monotonic() + _RELEASE_S
        while not claiming.done() and time.monotonic() < deadline:
            with contextlib.suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(_RELEASE_S / 2):
                    await self._connections.release_reader(self._store)
            await asyncio.wait([claiming], timeout=0.05)

    async def leave(self) -> None:
        """Go, with a word where Redis hears it."""
        await self._lease.stop()  # a renewal after it would bring the heartbeat back
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._presence.leave()
        except TimeoutError:
            _log.warning("redis is away: what is held comes back when the lease is over")
        finally:
            await self.close()

    async def close(self) -> None:
        """End the connections, the keeper, and the processes of handlers."""
        await self._isolation.close()
        await self._lease.stop()
        await self._store.contact.close()
        await self._connections.close()

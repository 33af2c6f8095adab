"""The connections of one worker process: commands, the blocking reader, the promoter's listener, the lease's thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any, cast

import redis.asyncio

from scheduler.clients import async_client, blocking_client, reader_client
from scheduler.ending import end
from scheduler.keys import Keys
from scheduler.refusals import CONNECTION_LOST, ServerError
from scheduler.store import AsyncStore, BlockingStore

_OPEN_S = 2.0


class Connections:
    """Opened lazily by the clients; made in the process and event loop that use them.

    Args:
        url: The server.
    """

    def __init__(self, url: str) -> None:
        self._reader_id: int | None = None
        self.url = url
        self.commands: redis.asyncio.Redis = async_client(url)
        self.reader: redis.asyncio.Redis = reader_client(url, self._remember)
        self.listener: redis.asyncio.Redis = async_client(url)

    def lease_store(self, keys: Keys) -> BlockingStore:
        """A blocking store for one thread."""
        return BlockingStore(keys, blocking_client(self.url))

    def reader_store(self, beside: AsyncStore, block_s: float) -> AsyncStore:
        """The store of the blocking reader; shares with another what is known of the connections."""
        return AsyncStore(beside.keys, self.reader, block_s=block_s, contact=beside.contact)

    def listener_store(self, beside: AsyncStore, block_s: float) -> AsyncStore:
        """The same for the promoter's listener."""
        return AsyncStore(beside.keys, self.listener, block_s=block_s, contact=beside.contact)

    def reader_id(self) -> int | None:
        """The connection id of the blocking reader, None before it is connected."""
        return self._reader_id

    async def open_reader(self) -> None:
        """Connect the blocking reader, so that its id is known from the start; later if Redis is away.

        A refusal is left to those who ask next: they say what this user lacks.
        """
        opening = asyncio.ensure_future(cast("Awaitable[Any]", self.reader.ping()))
        await asyncio.wait([opening], timeout=_OPEN_S)
        await end(opening)
        with contextlib.suppress(*CONNECTION_LOST, ServerError, asyncio.CancelledError):
            opening.result()

    async def release_reader(self, store: AsyncStore) -> None:
        """End the blocking read, by the server's hand."""
        if self._reader_id is not None:
            await store.command("CLIENT", "UNBLOCK", self._reader_id)

    async def close(self) -> None:
        for client in (self.commands, self.reader, self.listener):
            await client.aclose()

    def _remember(self, client_id: int) -> None:
        self._reader_id = client_id

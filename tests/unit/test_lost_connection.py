"""A connection that serves one large command is closed at the very moment of a write."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import pytest
import uvloop

from scheduler import Unavailable
from scheduler.clients import async_client
from scheduler.keys import Keys
from scheduler.store import AsyncStore
from scheduler.wire import MOST_BYTES

LARGE = ("ECHO", "x" * MOST_BYTES)
REPLY = b"x" * MOST_BYTES


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_write_to_a_closed_connection_is_a_lost_connection(
    url: str, monkeypatch: pytest.MonkeyPatch, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    # C3.3: uvloop raises a RuntimeError, which ended a worker, and failed mutations for good that were reading.

    async def cut() -> None:
        client = async_client(url)
        store = AsyncStore(Keys("_"), client)
        try:
            assert [*await asyncio.gather(store.command(*LARGE), store.command(*LARGE))] == [REPLY, REPLY]
            (connection,) = client.connection_pool._available_connections

            async def looks_well() -> bool:
                assert connection._writer is not None
                connection._writer.transport.abort()
                return False

            monkeypatch.setattr(connection, "can_read_destructive", looks_well)
            monkeypatch.setattr(connection, "can_read", looks_well, raising=False)
            try:
                assert await store.command(*LARGE) == REPLY
            except Unavailable:
                monkeypatch.undo()
            assert await store.command(*LARGE) == REPLY
        finally:
            await client.aclose()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(cut())


async def test_a_connection_that_another_task_closes_is_a_lost_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # C3.3: when Redis is back, no connection of before is trusted; who was about to write to one failed for good.
    client = async_client(url)
    store = AsyncStore(Keys("_"), client)
    try:
        assert [*await asyncio.gather(store.command(*LARGE), store.command(*LARGE))] == [REPLY, REPLY]
        (connection,) = client.connection_pool._available_connections
        send = connection._send_packed_command

        async def closed(command: Iterable[bytes]) -> None:
            monkeypatch.undo()
            await connection.disconnect(nowait=True)
            await send(command)

        monkeypatch.setattr(connection, "_send_packed_command", closed)
        with contextlib.suppress(Unavailable):
            assert await store.command(*LARGE) == REPLY
        assert await store.command(*LARGE) == REPLY
    finally:
        await client.aclose()

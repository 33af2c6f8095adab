"""The connection that commands share: order, loss, and what goes beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
import uvloop
from hiredis import pack_command

from scheduler import Unavailable
from scheduler.clients import async_client
from scheduler.keys import Keys
from scheduler.store import AsyncStore
from scheduler.wire import MOST_BYTES, Wire
from tests.acl import administer
from tests.conftest import DEADLINE_S
from tests.faults.proxy import Proxy


@pytest.fixture
async def store(url: str) -> AsyncIterator[AsyncStore]:
    store = AsyncStore(Keys("_"), async_client(url))
    assert await store.command("PING") == b"PONG"
    yield store
    await store.close()


def connections(url: str) -> set[str]:
    listed = administer(url, "CLIENT", "LIST", "TYPE", "normal").decode()
    return {
        line.partition("addr=")[2].partition(" ")[0] for line in listed.splitlines() if "cmd=client|list" not in line
    }


async def test_commands_of_a_moment_share_a_connection_and_get_their_own_replies(store: AsyncStore, url: str) -> None:
    before = connections(url)
    echoes = await asyncio.gather(*(store.command("ECHO", str(number)) for number in range(60)))
    assert echoes == [str(number).encode() for number in range(60)]
    assert connections(url) == before


async def test_who_is_cancelled_does_not_shift_the_replies_of_others(store: AsyncStore) -> None:
    tasks = [asyncio.create_task(store.command("ECHO", str(number))) for number in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[3], asyncio.CancelledError)
    assert [one for one in done if isinstance(one, bytes)] == [b"%d" % n for n in range(10) if n != 3]


async def test_a_refusal_is_that_of_its_own_command(store: AsyncStore) -> None:
    found = await asyncio.gather(
        store.command("ECHO", "a"), store.command("NOSUCH"), store.command("ECHO", "b"), return_exceptions=True
    )
    assert (found[0], found[2]) == (b"a", b"b")
    assert isinstance(found[1], redis.ResponseError)


async def test_what_waits_when_the_connection_is_cut_is_sent_again(store: AsyncStore, url: str) -> None:
    # C2.10
    for _ in range(5):
        waiting = [asyncio.create_task(store.command("ECHO", str(number))) for number in range(20)]
        await asyncio.sleep(0)
        administer(url, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await asyncio.gather(*waiting) == [str(number).encode() for number in range(20)]


async def test_a_large_command_does_not_hold_up_small_ones(store: AsyncStore, url: str) -> None:
    before = connections(url)
    large, small = await asyncio.gather(store.command("ECHO", "x" * MOST_BYTES), store.command("ECHO", "y"))
    assert (len(large), small) == (MOST_BYTES, b"y")
    assert len(connections(url) - before) == 1


async def test_more_than_may_wait_goes_by_the_pool(store: AsyncStore, url: str) -> None:
    # While the server is away, what piles up is bounded by the pool.
    echoes = await asyncio.gather(*(store.command("ECHO", str(number)) for number in range(300)))
    assert echoes == [str(number).encode() for number in range(300)]
    assert len(connections(url)) > 1


async def test_a_store_that_is_closed_leaves_no_connection_and_no_task(url: str) -> None:
    before, tasks = connections(url), asyncio.all_tasks()
    store = AsyncStore(Keys("_"), async_client(url))
    assert await store.command("PING") == b"PONG"
    await store.close()
    assert asyncio.all_tasks() == tasks
    assert connections(url) <= before


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_write_to_a_closed_connection_is_a_lost_connection(
    url: str, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    # C3.3: uvloop raises a RuntimeError, which ended a worker, and failed mutations for good that were reading.
    async def cut() -> None:
        store = AsyncStore(Keys("_"), async_client(url))
        try:
            assert await store.command("PING") == b"PONG"
            wire = store._wire
            assert wire is not None
            wire._connection._writer.transport.abort()  # type: ignore[union-attr]
            with contextlib.suppress(Unavailable):
                assert await store.command("PING") == b"PONG"
            assert await store.command("PING") == b"PONG"
        finally:
            await store.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(cut())


def packed(*command: Any) -> bytes:
    return bytes(pack_command(command))


def wire_of(store: AsyncStore) -> Wire:
    assert store._wire is not None
    return store._wire


@pytest.mark.parametrize("first", [False, True], ids=["before", "after"])
async def test_a_retired_connection_closes_when_nobody_waits_for_it_any_more(store: AsyncStore, first: bool) -> None:
    # A server that never came back kept one connection and one task a time that it went away.
    wire = wire_of(store)
    silent = wire.send(packed("BLPOP", store.keys.wake, 0))
    if first:
        wire.retire()
    silent.cancel()
    if not first:
        wire.retire()
    async with asyncio.timeout(DEADLINE_S):
        await wire.closed()


async def test_a_retired_connection_answers_those_who_wait(store: AsyncStore) -> None:
    wire = wire_of(store)
    replies = [wire.send(packed("ECHO", str(number))) for number in range(3)]
    replies[1].cancel()
    wire.retire()
    assert [await replies[0], await replies[2]] == [b"0", b"2"]
    await wire.closed()


async def test_a_connection_that_is_closed_before_it_is_read_is_given_back(store: AsyncStore) -> None:
    pool = store._client.connection_pool
    wire = Wire(pool, await pool.get_connection())  # type: ignore[no-untyped-call]
    sent = wire.send(packed("PING"))
    wire.close()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(redis.ConnectionError):
            await sent
        await wire.closed()
    assert pool._in_use_connections == {wire_of(store)._connection}


async def test_a_connection_that_is_closed_twice_is_given_back(store: AsyncStore) -> None:
    wire, pool = wire_of(store), store._client.connection_pool
    assert isinstance(pool, redis.asyncio.BlockingConnectionPool)
    async with pool._condition:  # as when many wait for a connection
        wire.close()
        for _ in range(5):
            await asyncio.sleep(0)
        wire.close()
        await asyncio.sleep(0)
    await wire.closed()
    assert not pool._in_use_connections


def test_commands_of_the_moment_in_which_it_breaks_leave_no_complaint(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    # asyncio took what was written, dropped it, and warned with each.
    async def cut() -> None:
        store = AsyncStore(Keys("_"), async_client(url))
        try:
            assert await store.command("PING") == b"PONG"
            commands = [asyncio.ensure_future(store.command("PING")) for _ in range(20)]
            wire_of(store)._connection._writer.transport.abort()  # type: ignore[union-attr]
            assert await asyncio.gather(*commands) == [b"PONG"] * 20
        finally:
            await store.close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(cut())
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_a_reply_that_takes_its_time_on_the_way_is_not_taken_for_lost(url: str, namespace: str) -> None:
    # What was sent behind a large reply closed the connection, and the reply never came.
    key = Keys(namespace).wake
    administer(url, "SET", key, "x" * 1_500_000)
    with Proxy(url) as proxy:
        store = AsyncStore(Keys(namespace), async_client(proxy.url), timeout_s=DEADLINE_S)
        try:
            assert await store.command("PING") == b"PONG"
            proxy.throttle(1_000_000)
            large = asyncio.ensure_future(store.command("GET", key))
            while not large.done():
                assert await store.command("ECHO", "y") == b"y"
            assert len(await large) == 1_500_000
            assert proxy.steps["get"] < 3
        finally:
            proxy.throttle(None)
            await store.close()

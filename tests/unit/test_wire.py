"""The connection that commands share: order, loss, and what goes beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import redis
import uvloop

from scheduler import Unavailable
from scheduler.clients import async_client
from scheduler.keys import Keys
from scheduler.store import AsyncStore
from scheduler.wire import MOST_BYTES
from tests.acl import administer


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

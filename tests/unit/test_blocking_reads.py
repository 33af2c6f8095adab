"""A blocking read lasts as long as it says, whatever bound the client library or the url has for replies."""

from __future__ import annotations

import pytest

from scheduler.clients import async_client, reader_client
from scheduler.keys import Keys
from scheduler.store import AsyncStore


@pytest.mark.parametrize("bound", ["", "?socket_timeout=0.2"], ids=["the library's", "the url's"])
async def test_no_connection_bounds_its_reads_by_itself(url: str, bound: str) -> None:
    # C3.3: an idle worker lost its reader every five seconds, and said that Redis was away.
    for client in (async_client(url + bound), reader_client(url + bound, lambda _: None)):
        async with client:
            assert client.connection_pool.connection_kwargs["socket_timeout"] is None


async def test_a_blocking_read_outlasts_the_bound_of_the_url(url: str, namespace: str) -> None:
    # C3.3
    async with async_client(f"{url}?socket_timeout=0.2") as client:
        store = AsyncStore(Keys(namespace), client, block_s=0.5)
        assert await store.execute("BLPOP", store.keys.wake, 0.5) is None

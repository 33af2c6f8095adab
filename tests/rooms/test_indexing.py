"""The room that builds indexes, with documents that cannot be indexed (C6.1)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from scheduler import App, Scheduler, values, versions
from scheduler.backoff import Outage
from scheduler.catalog import IndexCatalog
from scheduler.clients import async_client
from scheduler.indexer import Indexer
from scheduler.keys import Keys
from scheduler.store import AsyncStore

BAD, GOOD = "a_bad:n", "b_good:n"


@pytest.fixture
async def store(namespace: str, url: str) -> AsyncIterator[AsyncStore]:
    store = AsyncStore(Keys(namespace), async_client(url))
    yield store
    await store.close()


async def put(store: AsyncStore, document_id: str, number: int, data: bytes) -> None:
    await store.command("HSET", store.keys.document(document_id), "version", "1-x", "created", number, "data", data)
    await store.command("ZADD", store.keys.table(document_id.partition(":")[0]), number, document_id)


async def learnt(store: AsyncStore, catalog: IndexCatalog) -> None:
    catalog.learn(await store.run(versions.declare()))


@pytest.mark.parametrize("damage", ["its data is no value", "its key is of another type", "it has no number"])
async def test_a_damaged_document_keeps_no_other_index_from_being_built(
    store: AsyncStore, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The first index raised, and no later one was ever built."""
    await put(store, "a_bad:1", 1, b"\xc1" if damage == "its data is no value" else values.pack({"n": 1}, "document"))
    await put(store, "b_good:1", 2, values.pack({"n": 1}, "document"))
    if damage == "its key is of another type":
        await store.command("SET", store.keys.document("a_bad:1"), "damaged")
    elif damage == "it has no number":
        await store.command("HDEL", store.keys.document("a_bad:1"), "created")
    await store.run(versions.declare([BAD, GOOD]))
    catalog = IndexCatalog()
    indexer = Indexer(store, catalog, lambda: learnt(store, catalog), Outage())
    await learnt(store, catalog)
    with caplog.at_level(logging.ERROR):
        assert [await indexer.step() for _ in range(3)] == [True, False, False]
    assert list(catalog.building) == [BAD]
    assert len([one for one in caplog.records if BAD in one.getMessage()]) == 1
    assert await store.command("ZCARD", f"{store.keys.prefix}index:{GOOD}") == 1


async def test_what_was_mended_is_built(app: App, scheduler: Scheduler, store: AsyncStore) -> None:
    await put(store, "a_bad:1", 1, b"\xc1")
    await store.run(versions.declare([BAD]))
    catalog = IndexCatalog()
    indexer = Indexer(store, catalog, lambda: learnt(store, catalog), Outage())
    await learnt(store, catalog)
    assert await indexer.step() is False
    await put(store, "a_bad:1", 1, values.pack({"n": 1}, "document"))
    assert await indexer.step() is True
    assert catalog.building == {}

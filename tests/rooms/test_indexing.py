"""The room that builds indexes, with documents that cannot be indexed (C6.1)."""

from __future__ import annotations

import logging

import pytest

from scheduler import App, Scheduler, values, versions
from scheduler.backoff import Outage
from scheduler.catalog import IndexCatalog
from scheduler.indexer import Indexer
from scheduler.role import Role
from scheduler.store import AsyncStore
from tests.conftest import StoreOf

BAD, GOOD = "a_bad:n", "b_good:n"


@pytest.fixture
def store(store_of: StoreOf) -> AsyncStore:
    return store_of(Role.WORKER)


async def put(look: AsyncStore, document_id: str, number: int, data: bytes) -> None:
    await look.command("HSET", look.keys.document(document_id), "version", "1-x", "created", number, "data", data)
    await look.command("ZADD", look.keys.table(document_id.partition(":")[0]), number, document_id)


async def learnt(store: AsyncStore, catalog: IndexCatalog) -> None:
    catalog.learn(await store.run(versions.declare()))


@pytest.mark.parametrize("damage", ["its data is no value", "its key is of another type", "it has no number"])
async def test_a_damaged_document_keeps_no_other_index_from_being_built(
    store: AsyncStore, look: AsyncStore, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The first index raised, and no later one was ever built."""
    await put(look, "a_bad:1", 1, b"\xc1" if damage == "its data is no value" else values.pack({"n": 1}, "document"))
    await put(look, "b_good:1", 2, values.pack({"n": 1}, "document"))
    if damage == "its key is of another type":
        await look.command("SET", look.keys.document("a_bad:1"), "damaged")
    elif damage == "it has no number":
        await look.command("HDEL", look.keys.document("a_bad:1"), "created")
    await store.run(versions.declare([BAD, GOOD]))
    catalog = IndexCatalog()
    indexer = Indexer(store, catalog, lambda: learnt(store, catalog), Outage())
    await learnt(store, catalog)
    with caplog.at_level(logging.ERROR):
        assert [await indexer.step() for _ in range(3)] == [True, False, False]
    assert list(catalog.building) == [BAD]
    assert len([one for one in caplog.records if BAD in one.getMessage()]) == 1
    assert await look.command("ZCARD", f"{look.keys.prefix}index:{GOOD}") == 1


async def test_what_was_mended_is_built(app: App, scheduler: Scheduler, store: AsyncStore, look: AsyncStore) -> None:
    await put(look, "a_bad:1", 1, b"\xc1")
    await store.run(versions.declare([BAD]))
    catalog = IndexCatalog()
    indexer = Indexer(store, catalog, lambda: learnt(store, catalog), Outage())
    await learnt(store, catalog)
    assert await indexer.step() is False
    await put(look, "a_bad:1", 1, values.pack({"n": 1}, "document"))
    assert await indexer.step() is True
    assert catalog.building == {}

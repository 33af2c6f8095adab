"""Queries: the documents of a table in order of creation, or of an index (C6.1, C6.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from scheduler import (
    App,
    BlockingMutationContext,
    Document,
    IndexBuilding,
    InvalidDocument,
    InvalidOption,
    JobFailed,
    Limits,
    MutationContext,
    NotUnique,
    Scheduler,
    SyncScheduler,
    Table,
)
from tests.conftest import StartWorker, until


class Shop:
    """A table of orders with two indexes, and mutations that fill it."""

    def __init__(self, app: App, scheduler: Scheduler) -> None:
        self.orders = app.table(
            "orders", indexes={"by_owner": ["owner", "amount"], "by_city": ["address.city", "amount"]}
        )
        self._scheduler = scheduler

        @app.mutation(name="shop:put")
        async def put(ctx: MutationContext, rows: list[dict[str, Any]], keys: list[str] | None = None) -> list[str]:
            named: Sequence[str | None] = keys or [None] * len(rows)
            return [await ctx.db.insert("orders", row, key=key) for row, key in zip(rows, named, strict=True)]

        @app.mutation(name="shop:patch")
        async def patch(ctx: MutationContext, document_id: str, fields: dict[str, Any]) -> None:
            await ctx.db.patch(document_id, fields)

        @app.mutation(name="shop:drop")
        async def drop(ctx: MutationContext, document_id: str) -> None:
            await ctx.db.delete(document_id)

    async def run(self, function: Any, *args: Any) -> Any:
        """Run a function as a job and wait for its result."""
        return await self._scheduler.result(await self._scheduler.run_after(0, function, *args), timeout=10)

    async def put(self, *rows: dict[str, Any], keys: list[str] | None = None) -> list[str]:
        """Insert orders in one mutation."""
        ids: list[str] = await self.run("shop:put", list(rows), keys)
        return ids

    async def amounts(self, *amounts: int, owner: str = "ada") -> list[str]:
        return await self.put(*({"owner": owner, "amount": amount} for amount in amounts))


@pytest.fixture
def shop(app: App, scheduler: Scheduler) -> Shop:
    return Shop(app, scheduler)


def amounts(documents: list[Any]) -> list[Any]:
    return [document["amount"] for document in documents]


# Orders and pages


async def test_documents_come_in_the_order_of_their_creation(
    shop: Shop, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.1: those of one mutation in the order in which it inserted them, whatever their keys are
    await start_worker()
    await shop.put({"amount": 5}, {"amount": 1}, {"amount": 3}, keys=["z", "a", "m"])
    await shop.put({"amount": 4}, {"amount": 2})
    query = scheduler.db.query(shop.orders)
    assert amounts(await query.collect()) == [5, 1, 3, 4, 2]
    assert amounts(await query.order("desc").collect()) == [2, 4, 3, 1, 5]
    assert amounts(await scheduler.db.query("orders").collect()) == [5, 1, 3, 4, 2]


async def test_a_change_keeps_the_place_and_a_new_document_of_an_old_name_gets_a_new_one(
    shop: Shop, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.1
    await start_worker()
    await shop.put({"amount": 1}, {"amount": 2}, {"amount": 3}, keys=["a", "b", "c"])
    await shop.run("shop:patch", "orders:a", {"amount": 10})
    await shop.run("shop:drop", "orders:b")
    await shop.put({"amount": 20}, keys=["b"])
    assert amounts(await scheduler.db.query("orders").collect()) == [10, 3, 20]


async def test_documents_know_their_ids(shop: Shop, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C6.1
    await start_worker()
    ids = await shop.amounts(1, 2)
    found = await scheduler.db.query(shop.orders).collect()
    assert [document.id for document in found] == ids
    assert isinstance(found[0], Document)
    assert found[0] == {"owner": "ada", "amount": 1}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("index", [None, "by_owner"])
async def test_pages_go_on_while_others_insert_and_delete(
    shop: Shop, scheduler: Scheduler, start_worker: StartWorker, order: str, index: str | None
) -> None:
    # C6.1: what was there all the time is seen once
    await start_worker()
    ids = await shop.amounts(*range(10))
    query = scheduler.db.query(shop.orders).order(order)
    query = query if index is None else query.index(index)
    page = await query.take(3)
    seen = amounts(page)
    assert page.cursor is not None
    await shop.run("shop:drop", page[-1].id)
    await shop.run("shop:drop", ids[5])
    behind, ahead = (-1, 100) if order == "asc" else (100, -1)
    await shop.amounts(behind, ahead)
    while page.cursor is not None:
        page = await query.after(page.cursor).take(3)
        seen += amounts(page)
    there = [amount for amount in range(10) if amount != 5]
    assert [amount for amount in seen if amount in there] == (there if order == "asc" else there[::-1])
    assert len(seen) == len(set(seen))
    if index is not None:
        assert set(seen) == {*there, ahead}


async def test_the_last_page_says_so(shop: Shop, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C6.1
    await start_worker()
    query = scheduler.db.query(shop.orders)
    empty = await query.take(5)
    assert (empty, empty.cursor) == ([], None)
    await shop.amounts(1, 2, 3)
    page = await query.take(5)
    assert (amounts(page), page.cursor) == ([1, 2, 3], None)


@pytest.mark.parametrize("most", [0, -1, 10_001, 1.5, True, None, "5"])
async def test_a_page_has_1_to_10000_documents(shop: Shop, scheduler: Scheduler, most: Any) -> None:
    # C6.1
    with pytest.raises(InvalidOption, match=r"^take: expected a whole number from 1 to 10,000"):
        await scheduler.db.query(shop.orders).take(most)


async def test_first_unique_collect_and_async_for(shop: Shop, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C6.1
    await start_worker()
    query = scheduler.db.query(shop.orders).index("by_owner", owner="ada")
    assert await query.first() is None
    assert await query.unique() is None
    assert await query.collect() == []
    await shop.amounts(7)
    assert await query.unique() == {"owner": "ada", "amount": 7}
    await shop.amounts(*range(300))
    assert await query.first() == {"owner": "ada", "amount": 0}
    assert await query.order("desc").first() == {"owner": "ada", "amount": 299}
    with pytest.raises(NotUnique, match="orders"):
        await query.unique()
    expected = sorted([7, *range(300)])
    assert amounts(await query.collect()) == expected
    assert amounts([order async for order in query]) == expected
    assert amounts(await query.take(303)) == expected


# Indexes


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_equalities_and_ranges(shop: Shop, scheduler: Scheduler, start_worker: StartWorker, order: str) -> None:
    # C6.1
    await start_worker()
    await shop.amounts(3, 1, 2)
    await shop.amounts(2, 5, owner="bob")
    await shop.put({"owner": "ada"}, {"amount": 9}, {"owner": "ada", "amount": "2"})
    ada = scheduler.db.query(shop.orders).index("by_owner", owner="ada").order(order)

    async def found(query: Any) -> list[Any]:
        documents = [document.get("amount") for document in await query.collect()]
        return documents if order == "asc" else documents[::-1]

    assert await found(ada) == [None, 1, 2, 3, "2"]
    assert await found(ada.gt("amount", 1)) == [2, 3]
    assert await found(ada.gte("amount", 1).lt("amount", 3)) == [1, 2]
    assert await found(ada.lte("amount", 2)) == [1, 2]
    assert await found(ada.gte("amount", "")) == ["2"]
    assert await found(scheduler.db.query(shop.orders).index("by_owner", owner="ada", amount=2)) == [2]
    every = scheduler.db.query(shop.orders).index("by_owner").order(order)
    assert await found(every) == [9, None, 1, 2, 3, "2", 2, 5]
    assert await found(every.gt("owner", "ada")) == [2, 5]


async def test_documents_with_equal_fields_come_in_order_of_creation(
    shop: Shop, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.1
    await start_worker()
    rows = [{"owner": "ada", "amount": 1, "n": number} for number in range(12)]
    await shop.put(*rows, keys=[f"{17 * number % 12:x}" for number in range(12)])
    query = scheduler.db.query(shop.orders).index("by_owner", owner="ada", amount=1)
    assert [order["n"] for order in await query.collect()] == list(range(12))
    assert [order["n"] for order in await query.order("desc").collect()] == list(range(11, -1, -1))


async def test_an_index_on_nested_fields(shop: Shop, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C6.1
    await start_worker()
    bern, basel = {"city": "Bern", "zip": 3000}, {"city": "Basel"}
    await shop.put(
        {"address": bern, "amount": 2}, {"address": basel, "amount": 1}, {"address": bern, "amount": 1}, {"amount": 8},
        {"address": "Bern", "amount": 7},
    )  # fmt: skip
    query = scheduler.db.query(shop.orders)
    assert amounts(await query.index("by_city", **{"address.city": "Bern"}).collect()) == [1, 2]
    assert amounts(await query.index("by_city").gte("address.city", "B").collect()) == [1, 1, 2]
    assert amounts(await query.index("by_city").collect()) == [7, 8, 1, 1, 2]


async def test_queries_that_make_no_sense_are_refused(shop: Shop, scheduler: Scheduler) -> None:
    # C6.1
    query = scheduler.db.query(shop.orders)
    wrong: list[Any] = [
        lambda: query.index("by_colour"),
        lambda: query.index("by_owner", amount=5),
        lambda: query.index("by_owner").index("by_city"),
        lambda: query.gt("amount", 5),
        lambda: query.index("by_owner", owner="ada").gt("owner", 5),
        lambda: query.index("by_owner", owner="ada").gt("amount", 5).gte("amount", 6),
        lambda: scheduler.db.query("a:b"),
        lambda: scheduler.db.query(App("other").table("orders")),
    ]
    for one in wrong:
        with pytest.raises(InvalidDocument):
            one()
    with pytest.raises(InvalidOption):
        query.order("up")
    with pytest.raises(InvalidOption):
        query.after("here")


# Inside a mutation


async def test_a_mutation_finds_what_it_wrote_itself(app: App, shop: Shop, start_worker: StartWorker) -> None:
    # C6.2
    @app.mutation
    async def write(ctx: MutationContext, ids: list[str]) -> list[list[int]]:
        query = ctx.db.query(shop.orders)
        ada = query.index("by_owner", owner="ada")
        await ctx.db.insert("orders", {"owner": "ada", "amount": 25})
        await ctx.db.patch(ids[0], {"amount": 35})
        await ctx.db.patch(ids[1], {"owner": "bob"})
        await ctx.db.delete(ids[2])
        page = await ada.take(1)
        paged = list(page)
        while page.cursor is not None:
            page = await ada.after(page.cursor).take(1)
            paged += page
        return [
            amounts(one)
            for one in (
                await ada.collect(), paged, await ada.order("desc").collect(), await query.collect(),
                await query.index("by_owner", owner="bob").collect(),
                await ada.gt("amount", 30).lt("amount", 40).collect(),
            )
        ]  # fmt: skip

    await start_worker()
    ids = await shop.amounts(10, 20, 30, 40)
    assert await shop.run(write, ids) == [
        [25, 35, 40], [25, 35, 40], [40, 35, 25], [35, 20, 40, 25], [20], [35],
    ]  # fmt: skip


async def test_a_mutation_can_delete_what_it_goes_through(app: App, shop: Shop, start_worker: StartWorker) -> None:
    # C6.2: what it inserted itself, too
    @app.mutation
    async def clear(ctx: MutationContext) -> list[int]:
        for amount in range(200, 400):
            await ctx.db.insert("orders", {"owner": "ada", "amount": amount})
        seen = []
        async for order in ctx.db.query(shop.orders):
            seen.append(order["amount"])
            await ctx.db.delete(order.id)
        assert await ctx.db.query(shop.orders).first() is None
        return seen

    await start_worker()
    await shop.amounts(*range(200))
    assert await shop.run(clear) == list(range(400))


async def test_a_page_that_ends_in_the_mutations_own_document_is_of_that_mutation_only(
    app: App, shop: Shop, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.2
    @app.mutation
    async def half(ctx: MutationContext) -> str | None:
        for amount in (1, 2):
            await ctx.db.insert("orders", {"owner": "ada", "amount": amount})
        return (await ctx.db.query(shop.orders).take(1)).cursor

    await start_worker()
    cursor = await shop.run(half)
    with pytest.raises(InvalidOption, match="had not committed"):
        await scheduler.db.query(shop.orders).after(cursor).first()


@pytest.mark.parametrize(
    ("change", "starts"),
    [
        (("shop:put", [{"owner": "ada", "amount": 15}]), 2), (("shop:put", [{"owner": "ada", "amount": 99}]), 1),
        (("shop:put", [{"owner": "bob", "amount": 15}]), 1), (("shop:patch", "orders:a", {"colour": "red"}), 2),
        (("shop:patch", "orders:out", {"colour": "red"}), 1), (("shop:patch", "orders:out", {"amount": 15}), 2),
        (("shop:drop", "orders:b"), 2), (("shop:drop", "orders:out"), 1),
    ],
)  # fmt: skip
async def test_a_scan_conflicts_with_what_changes_its_part_and_with_nothing_else(
    app: App, shop: Shop, start_worker: StartWorker, change: tuple[Any, ...], starts: int
) -> None:
    # C6.2, C3.3
    seen: list[list[int]] = []

    @app.mutation
    async def total(ctx: MutationContext) -> int:
        query = ctx.db.query(shop.orders).index("by_owner", owner="ada").gte("amount", 10).lt("amount", 50)
        seen.append(amounts(await query.collect()))
        if len(seen) == 1:
            await shop.run(*change)
        await ctx.db.insert("totals", {"sum": sum(seen[-1])})
        return sum(seen[-1])

    await start_worker()
    rows = [{"owner": "ada", "amount": 10}, {"owner": "ada", "amount": 20}, {"owner": "ada", "amount": 60}]
    await shop.put(*rows, keys=["a", "b", "out"])
    assert await shop.run(total) == sum(seen[-1])
    assert len(seen) == starts


async def test_first_conflicts_only_with_what_comes_before_it(app: App, shop: Shop, start_worker: StartWorker) -> None:
    # C6.2: a page is read as far as it goes
    starts: list[int] = []

    @app.mutation
    async def lowest(ctx: MutationContext, other: int) -> int:
        starts.append(other)
        found = await ctx.db.query(shop.orders).index("by_owner", owner="ada").first()
        assert found is not None
        if starts.count(other) == 1:
            await shop.amounts(other)
        await ctx.db.insert("marks", {})
        return int(found["amount"])

    await start_worker()
    await shop.amounts(10, 30)
    assert await shop.run(lowest, 20) == 10
    assert await shop.run(lowest, 5) == 5
    assert starts == [20, 5, 5]


async def test_two_who_count_and_insert_do_not_miss_each_other(
    app: App, shop: Shop, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.2
    @app.mutation
    async def join(ctx: MutationContext) -> bool:
        if len(await ctx.db.query(shop.orders).index("by_owner", owner="ada").collect()) >= 3:
            return False
        await ctx.db.insert("orders", {"owner": "ada", "amount": 1})
        return True

    await start_worker()
    ids = [await scheduler.run_after(0, join) for _ in range(12)]
    joined = await asyncio.gather(*(scheduler.result(one, timeout=20) for one in ids))
    assert sorted(joined) == [False] * 9 + [True] * 3
    assert len(await scheduler.db.query(shop.orders).collect()) == 3


async def test_a_mutation_that_reads_too_much_fails(namespace: str, url: str, start_worker: StartWorker) -> None:
    # C2.9
    app = App(namespace, url=url, limits=Limits(documents_read=5))

    @app.mutation
    async def count(ctx: MutationContext, most: int) -> int:
        return len(await ctx.db.query("orders").take(most))

    async with Scheduler(app, url=url) as scheduler:
        shop = Shop(app, scheduler)
        await start_worker(app)
        await shop.amounts(*range(6))
        assert await shop.run(count, 5) == 5
        with pytest.raises(JobFailed) as caught:
            await shop.run(count, 6)
        assert "LimitExceeded: one mutation may read 5 documents" in str(caught.value)
        assert len(await scheduler.db.query("orders").collect()) == 6


# Plain handlers and clients


async def test_a_plain_handler_queries_without_await(app: App, shop: Shop, start_worker: StartWorker) -> None:
    # C1.1, C6.1
    @app.mutation
    def plain(ctx: BlockingMutationContext) -> list[Any]:
        query = ctx.db.query(shop.orders).index("by_owner", owner="ada")
        ctx.db.insert("orders", {"owner": "ada", "amount": 250})
        page = query.take(2)
        assert page.cursor is not None
        one, first = query.gt("amount", 250).unique(), query.order("desc").first()
        assert one is not None
        assert first is not None
        with pytest.raises(NotUnique):
            query.unique()
        assert query.lt("amount", 0).first() is query.lt("amount", 0).unique() is None
        return [
            amounts(page), amounts(query.after(page.cursor).take(1)), one["amount"], first["amount"],
            amounts(query.collect()) == amounts(list(query)) == sorted([*range(200), 250, 251]),
        ]  # fmt: skip

    await start_worker()
    await shop.amounts(*range(200), 251)
    assert await shop.run(plain) == [[0, 1], [2], 251, 251, True]


async def test_clients_read_documents_too(
    app: App, shop: Shop, scheduler: Scheduler, url: str, start_worker: StartWorker
) -> None:
    # C6.1
    await start_worker()
    (first, *_) = await shop.amounts(*range(150))
    assert await scheduler.db.get(first) == {"owner": "ada", "amount": 0}
    assert await scheduler.db.get("orders:gone") is None
    assert await scheduler.db.get(first, shop.orders) == {"owner": "ada", "amount": 0}

    def blocking() -> list[Any]:
        with SyncScheduler(app, url=url) as client:
            query = client.db.query(shop.orders)
            page = query.order("desc").take(2)
            assert page.cursor is not None
            return [
                client.db.get(first), amounts(page), amounts(query.order("desc").after(page.cursor).take(1)),
                amounts(list(query)), amounts(query.index("by_owner", owner="ada").lt("amount", 2).collect()),
            ]  # fmt: skip

    assert await asyncio.to_thread(blocking) == [
        {"owner": "ada", "amount": 0}, [149, 148], [147], list(range(150)), [0, 1],
    ]  # fmt: skip


async def test_a_client_finds_jobs_by_their_records(
    shop: Shop, app: App, scheduler: Scheduler, url: str, start_worker: StartWorker
) -> None:
    # C5.4
    await start_worker()
    job_id = await scheduler.run_after(0, "shop:put", [])
    await scheduler.result(job_id, timeout=5)
    job = await scheduler.db.system.get(job_id)
    assert job is not None
    assert job.state == "success"

    def blocking() -> Any:
        with SyncScheduler(app, url=url) as client:
            return client.db.system.get(job_id)

    assert await asyncio.to_thread(blocking) == job


# Indexes that are declared later


def newer(app: App, url: str) -> tuple[App, Table[Document]]:
    """The next deployment: the same, with an index more."""
    later = App(app.namespace, url=url)
    return later, later.table("orders", indexes={"by_amount": ["amount"], "by_owner": ["owner", "amount"]})


async def test_an_index_that_is_declared_later_is_built_by_the_workers(
    shop: Shop, app: App, url: str, start_worker: StartWorker
) -> None:
    # C6.1
    await start_worker()
    await shop.amounts(*range(250))
    later, orders = newer(app, url)
    async with Scheduler(later, url=url) as scheduler:
        query = scheduler.db.query(orders).index("by_amount")
        with pytest.raises(IndexBuilding, match="orders:amount is not built yet"):
            await query.first()
        await start_worker(later, queues=("other",))
        await until(lambda: is_built(query))
        assert amounts(await query.collect()) == list(range(250))


async def is_built(query: Any) -> bool:
    try:
        await query.first()
    except IndexBuilding:
        return False
    return True


async def test_an_index_that_is_built_while_others_write_is_complete(
    shop: Shop, app: App, url: str, start_worker: StartWorker
) -> None:
    # C6.1: also by workers that do not declare it
    await start_worker()
    ids = await shop.amounts(*range(400))
    later, orders = newer(app, url)
    ended = asyncio.Event()

    async def write() -> int:
        rounds = 0
        while not ended.is_set() or rounds < 5:
            await shop.run("shop:patch", ids[37 * rounds % 400], {"amount": 1_000 + rounds})
            await shop.amounts(2_000 + rounds)
            await shop.run("shop:drop", (await shop.amounts(5_000))[0])
            rounds += 1
        return rounds

    writing = asyncio.create_task(write())
    async with Scheduler(later, url=url) as scheduler:
        query = scheduler.db.query(orders).index("by_amount")
        await start_worker(later, queues=("other",))
        await until(lambda: is_built(query))
        ended.set()
        rounds = await writing
        assert rounds >= 5
        everything = amounts(await scheduler.db.query(orders).collect())
        assert len(everything) == 400 + rounds
        assert amounts(await query.collect()) == sorted(everything)

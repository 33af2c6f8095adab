"""Tables with a schema: what is written fits it, what is read comes back as it (C6.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from scheduler import (
    UNSET,
    App,
    BlockingMutationContext,
    InvalidDocument,
    InvalidOption,
    JobFailed,
    MutationContext,
    Scheduler,
)
from tests.conftest import StartWorker


class Address(BaseModel):
    city: str
    zip: int = 0


class Person(BaseModel):
    id: str = ""
    name: str
    born: int = Field(ge=0)
    address: Address | None = None


@dataclass
class Order:
    owner: str
    lines: list[str] = field(default_factory=list)
    id: str = ""


class Note(TypedDict):
    text: str


async def run(scheduler: Scheduler, function: Any, *args: Any) -> Any:
    """Run a function as a job and wait for its result."""
    return await scheduler.result(await scheduler.run_after(0, function, *args), timeout=5)


async def test_documents_come_back_as_the_schema(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C6.1
    people = app.table("people", schema=Person, indexes={"by_city": ["address.city", "born"]})
    orders = app.table("orders", schema=Order)
    notes = app.table("notes", schema=Note)

    @app.mutation
    async def write(ctx: MutationContext) -> None:
        ada = Person(name="Ada", born=1815, address=Address(city="London"))
        assert await ctx.db.insert(people, ada, key="ada") == "people:ada"
        await ctx.db.insert(people, {"name": "Alan", "born": "1912", "address": {"city": "London"}}, key="alan")
        await ctx.db.insert(orders, Order("ada", ["engine"]), key="1")
        await ctx.db.insert(notes, {"text": "hello"}, key="1")
        assert await ctx.db.get("people:ada", people) == Person(id="people:ada", **ada.model_dump(exclude={"id"}))

    await start_worker()
    await run(scheduler, write)
    alan = await scheduler.db.get("people:alan", people)
    assert alan == Person(id="people:alan", name="Alan", born=1912, address=Address(city="London"))
    assert await scheduler.db.get("people:alan") == alan
    assert await scheduler.db.query(people).index("by_city", **{"address.city": "London"}).gt(
        "born", 1900
    ).collect() == [alan]
    assert await scheduler.db.query(orders).unique() == Order("ada", ["engine"], "orders:1")
    assert await scheduler.db.query("notes").collect() == [{"text": "hello"}]


async def test_whatever_writes_a_document_keeps_to_the_schema(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.1
    people = app.table("people", schema=Person)

    @app.mutation
    async def wrong(ctx: MutationContext) -> Any:
        db = ctx.db
        await db.insert(people, {"name": "Ada", "born": 1815}, key="ada")
        attempts: list[tuple[Any, str]] = [
            (lambda: db.insert(people, {"name": "Eve"}), r"document\.born"),
            (lambda: db.insert("people", {"name": "Eve", "born": -1}), r"document\.born"),
            (lambda: db.insert("people", "Eve"), "expected a Person, got a str"),
            (lambda: db.insert(people, {"id": "people:eve", "name": "Eve", "born": 1}, key="adam"), "its id is"),
            (lambda: db.patch("people:ada", {"born": "long ago"}), r"people:ada: document\.born"),
            (lambda: db.patch("people:ada", {"name": UNSET}), r"document\.name"),
            (lambda: db.replace("people:ada", {}), r"document\.name"),
            (lambda: db.get("people:ada", orders), "expected one of table 'orders', got 'people:ada'"),
        ]
        for attempt, message in attempts:
            with pytest.raises(InvalidDocument, match=message):
                await attempt()
        return await db.get("people:ada")

    orders = app.table("orders", schema=Order)
    await start_worker()
    assert await run(scheduler, wrong) == {"id": "people:ada", "name": "Ada", "born": 1815, "address": None}


async def test_a_patch_sets_fields_and_unset_removes_one(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.1
    people = app.table("people", schema=Person)

    @app.mutation
    async def patch(ctx: MutationContext) -> list[Any]:
        person = await ctx.db.insert(people, Person(name="Ada", born=1815, address=Address(city="London")))
        await ctx.db.patch(person, {"born": 1816, "address": UNSET})
        plain = await ctx.db.insert("plain", {"a": 1, "b": 2})
        await ctx.db.patch(plain, {"a": UNSET, "never": UNSET, "c": None})
        found = await ctx.db.get(person, people)
        assert found is not None
        return [found.born, found.address, await ctx.db.get(plain)]

    await start_worker()
    assert await run(scheduler, patch) == [1816, None, {"b": 2, "c": None}]


async def test_a_document_can_be_changed_and_written_back(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.1: what was read carries its id
    orders = app.table("orders", schema=Order)

    @app.mutation
    def add_line(ctx: BlockingMutationContext, document_id: str, line: str) -> None:
        order = ctx.db.get(document_id, orders) or Order("ada")
        order.lines.append(line)
        if order.id:
            ctx.db.replace(order.id, order)
        else:
            ctx.db.insert(orders, order, key=document_id.partition(":")[2])

    await start_worker()
    for line in ("a", "b", "c"):
        await run(scheduler, add_line, "orders:1", line)
    assert await scheduler.db.get("orders:1", orders) == Order("ada", ["a", "b", "c"], "orders:1")


async def test_a_document_that_no_longer_fits_says_so_and_can_be_mended(
    app: App, scheduler: Scheduler, url: str, start_worker: StartWorker
) -> None:
    # C6.1: the schema of a later deployment
    @app.mutation
    async def write(ctx: MutationContext) -> None:
        await ctx.db.insert("people", {"name": "Ada"}, key="ada")

    later = App(app.namespace, url=url)
    people = later.table("people", schema=Person)

    @later.mutation(queue="later")
    async def read(ctx: MutationContext) -> None:
        await ctx.db.get("people:ada", people)

    @later.mutation(queue="later")
    async def mend(ctx: MutationContext) -> None:
        await ctx.db.patch("people:ada", {"born": 1815})

    await start_worker()
    await start_worker(later, queues=("later",))
    await run(scheduler, write)
    async with Scheduler(later, url=url) as client:
        with pytest.raises(InvalidDocument, match=r"^people:ada: document\.born"):
            await client.db.query(people).collect()
        with pytest.raises(JobFailed, match=r"InvalidDocument: people:ada: document\.born"):
            await run(client, read)
        await run(client, mend)
        assert await client.db.get("people:ada", people) == Person(id="people:ada", name="Ada", born=1815)


def test_declarations_are_checked(app: App) -> None:
    # C6.1
    app.table("people", schema=Person)
    with pytest.raises(InvalidOption, match="declared already"):
        app.table("people")
    with pytest.raises(InvalidOption, match="indexes"):
        app.table("orders", indexes={"by_owner": "owner"})
    with pytest.raises(InvalidDocument, match="table"):
        app.table("a:b")
    with pytest.raises(TypeError, match="schema: expected a pydantic model, a dataclass or a TypedDict"):
        app.table("numbers", schema=int)

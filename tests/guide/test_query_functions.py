"""Query functions: they read on one consistent state, and are called by other functions (C6.1, C6.2)."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import (
    ActionContext,
    App,
    BlockingActionContext,
    BlockingMutationContext,
    BlockingQueryContext,
    DuplicateFunction,
    InvalidArguments,
    InvalidCall,
    JobFailed,
    MutationContext,
    QueryContext,
    Scheduler,
    UnknownFunction,
)
from tests.conftest import StartWorker


class Bank:
    """Accounts, a query that sums them, a mutation that moves money between them."""

    def __init__(self, app: App, scheduler: Scheduler) -> None:
        self.accounts = app.table("accounts", indexes={"by_owner": ["owner"]})
        self._scheduler = scheduler

        @app.query
        async def total(ctx: QueryContext, owner: str = "ada") -> int:
            found = ctx.db.query(self.accounts).index("by_owner", owner=owner)
            return sum([account["cents"] async for account in found])

        @app.query
        def plain_total(ctx: BlockingQueryContext, owner: str = "ada") -> int:
            return sum(account["cents"] for account in ctx.db.query(self.accounts).index("by_owner", owner=owner))

        @app.mutation(name="bank:move")
        async def move(ctx: MutationContext, source: str, target: str, cents: int) -> None:
            for key, change in ((source, -cents), (target, cents)):
                account = await ctx.db.get(f"accounts:{key}")
                await ctx.db.patch(f"accounts:{key}", {"cents": account["cents"] + change})

        @app.mutation(name="bank:open")
        async def open_account(ctx: MutationContext, key: str, cents: int) -> None:
            await ctx.db.insert(self.accounts, {"owner": "ada", "cents": cents}, key=key)

        self.total, self.plain_total = total, plain_total

    async def run(self, function: Any, *args: Any) -> Any:
        """Run a function as a job and wait for its result."""
        return await self._scheduler.result(await self._scheduler.run_after(0, function, *args), timeout=10)


@pytest.fixture
def bank(app: App, scheduler: Scheduler) -> Bank:
    return Bank(app, scheduler)


async def test_mutations_and_actions_call_queries(app: App, bank: Bank, start_worker: StartWorker) -> None:
    # C3.9
    @app.mutation
    async def in_mutation(ctx: MutationContext) -> list[int]:
        await ctx.db.insert(bank.accounts, {"owner": "ada", "cents": 100})
        return [await ctx.run_query(bank.total), await ctx.run_query(bank.plain_total, owner="bob")]

    @app.mutation
    def in_plain_mutation(ctx: BlockingMutationContext) -> list[int]:
        ctx.db.insert(bank.accounts, {"owner": "ada", "cents": 1000})
        return [ctx.run_query(bank.total), ctx.run_query(bank.plain_total, "bob")]

    @app.action
    async def in_action(ctx: ActionContext) -> list[int]:
        return [await ctx.run_query(bank.total, "ada"), await ctx.run_query(bank.plain_total)]

    @app.action
    def in_plain_action(ctx: BlockingActionContext) -> list[int]:
        return [ctx.run_query(bank.total, "ada"), ctx.run_query(bank.plain_total)]

    await start_worker()
    await bank.run("bank:open", "a", 5)
    assert await bank.run(in_mutation) == [105, 0]  # with what the mutation wrote itself
    assert await bank.run(in_plain_mutation) == [1105, 0]
    assert await bank.run(in_action) == [1105, 1105]
    assert await bank.run(in_plain_action) == [1105, 1105]


async def test_queries_call_queries(app: App, bank: Bank, start_worker: StartWorker) -> None:
    # C3.9
    @app.query
    async def twice(ctx: QueryContext) -> int:
        return await ctx.run_query(bank.total) + await ctx.run_query(bank.plain_total)

    @app.query
    def plain_twice(ctx: BlockingQueryContext) -> int:
        return ctx.run_query(bank.total) + ctx.run_query(bank.plain_total)

    @app.action
    async def ask(ctx: ActionContext) -> list[int]:
        return [await ctx.run_query(twice), await ctx.run_query(plain_twice)]

    await start_worker()
    await bank.run("bank:open", "a", 5)
    assert await bank.run(ask) == [10, 10]


async def test_a_query_of_an_action_is_run_again_rather_than_see_half_of_a_commit(
    app: App, bank: Bank, start_worker: StartWorker
) -> None:
    # C6.2
    seen: list[int] = []

    @app.query
    async def both(ctx: QueryContext) -> int:
        first = await ctx.db.get("accounts:a")
        seen.append(first["cents"])
        if len(seen) == 1:
            await bank.run("bank:move", "a", "b", 30)
        second = await ctx.db.get("accounts:b")
        return int(first["cents"] + second["cents"])

    @app.action
    async def ask(ctx: ActionContext) -> int:
        return await ctx.run_query(both)

    await start_worker()
    await bank.run("bank:open", "a", 100)
    await bank.run("bank:open", "b", 0)
    assert await bank.run(ask) == 100
    assert seen == [100, 70]


async def test_a_query_that_swallows_everything_is_run_again_too(
    app: App, bank: Bank, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C6.2: it cannot make a result of what it half saw
    seen: list[int] = []

    @app.query
    async def both(ctx: QueryContext) -> object:
        first = await ctx.db.get("accounts:a")
        seen.append(first["cents"])
        if len(seen) == 1:
            await bank.run("bank:move", "a", "b", 30)
        try:
            return [first["cents"], (await ctx.db.get("accounts:b"))["cents"]]
        except BaseException:
            if len(seen) == 2:
                raise
            return "swallowed"

    @app.action
    async def ask(ctx: ActionContext) -> object:
        return await ctx.run_query(both)

    await start_worker()
    await bank.run("bank:open", "a", 100)
    await bank.run("bank:open", "b", 0)
    assert await bank.run(ask) == [70, 30]
    assert seen == [100, 70]


async def test_what_a_query_read_is_part_of_what_the_mutation_read(
    app: App, bank: Bank, start_worker: StartWorker
) -> None:
    # C6.2
    seen: list[int] = []

    @app.mutation
    async def note(ctx: MutationContext) -> int:
        seen.append(await ctx.run_query(bank.total))
        if len(seen) == 1:
            await bank.run("bank:open", "b", 7)
        await ctx.db.insert("notes", {"total": seen[-1]})
        return seen[-1]

    await start_worker()
    await bank.run("bank:open", "a", 5)
    assert await bank.run(note) == 12
    assert seen == [5, 12]


async def test_a_query_can_only_read(app: App, bank: Bank, start_worker: StartWorker) -> None:
    # C6.1
    @app.query
    async def writes(ctx: QueryContext) -> list[bool]:
        return [hasattr(ctx.db, name) for name in ("insert", "patch", "replace", "delete")] + [
            hasattr(ctx, name) for name in ("scheduler", "run_mutation", "run_action")
        ]

    @app.query
    def plain_writes(ctx: BlockingQueryContext) -> list[bool]:
        return [hasattr(ctx.db, name) for name in ("insert", "patch", "replace", "delete")] + [
            hasattr(ctx, name) for name in ("scheduler", "run_mutation", "run_action")
        ]

    @app.action
    async def ask(ctx: ActionContext) -> list[bool]:
        return await ctx.run_query(writes) + await ctx.run_query(plain_writes)

    await start_worker()
    assert await bank.run(ask) == [False] * 14


async def test_a_query_reads_records_of_jobs(
    app: App, bank: Bank, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C5.4
    @app.query
    async def state(ctx: QueryContext, job_id: str) -> str | None:
        job = await ctx.db.system.get(job_id)
        return job.state if job else None

    @app.action
    async def ask(ctx: ActionContext, job_id: str) -> list[Any]:
        return [await ctx.run_query(state, job_id), await ctx.run_query(state, ctx.job_id)]

    await start_worker()
    waiting = await scheduler.run_after(60_000, "bank:open", "a", 1)
    assert await bank.run(ask, waiting) == ["pending", "inProgress"]


async def test_what_a_query_raises_its_caller_can_catch(app: App, bank: Bank, start_worker: StartWorker) -> None:
    # C3.9
    @app.query
    async def wrong(ctx: QueryContext, number: int) -> None:
        raise LookupError(f"no {number}")

    @app.mutation
    async def careful(ctx: MutationContext) -> str:
        with pytest.raises(LookupError, match="no 5"):
            await ctx.run_query(wrong, 5)
        with pytest.raises(InvalidArguments):
            await ctx.run_query(wrong, "five")  # type: ignore[arg-type]
        with pytest.raises(InvalidCall, match="run_query takes queries of this app"):
            await ctx.run_query(careful)
        return "caught"

    @app.action
    async def careless(ctx: ActionContext) -> None:
        await ctx.run_query(wrong, 7)

    await start_worker()
    assert await bank.run(careful) == "caught"
    with pytest.raises(JobFailed, match="LookupError: no 7"):
        await bank.run(careless)


async def test_a_query_cannot_be_scheduled(app: App, bank: Bank, scheduler: Scheduler) -> None:
    # C1.1
    with pytest.raises(InvalidCall, match="is a query and cannot be scheduled"):
        await scheduler.run_after(0, bank.total)
    with pytest.raises(InvalidCall, match="is a query and cannot be scheduled"):
        await scheduler.run_after(0, bank.total.name)
    async with Scheduler(App(app.namespace, url=app.url)) as stranger:
        with pytest.raises(UnknownFunction):
            await stranger.run_after(0, bank.total.name)
    assert bank.total.name not in app.functions


async def test_the_name_of_a_query_is_taken(app: App) -> None:
    # C1.2
    @app.query(name="shop:total")
    async def total(ctx: QueryContext) -> int:
        return 1

    async def again(ctx: Any) -> None: ...

    decorators: list[Any] = [app.mutation, app.action, app.query]
    for decorator in decorators:
        with pytest.raises(DuplicateFunction, match="shop:total"):
            decorator(name="shop:total")(again)

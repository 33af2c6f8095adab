"""What type checkers accept and what they reject (C1.3). Never run: `test_typing.py` gives it to mypy.

Each rejection is an error that mypy must report: warn_unused_ignores makes a call that is accepted by mistake an error.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import assert_type

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from scheduler import (
    ActionContext,
    App,
    BlockingActionContext,
    BlockingMutationContext,
    BlockingSqlContext,
    Call,
    JobId,
    MutationContext,
    Scheduler,
    SqlContext,
    SyncScheduler,
)
from scheduler.sql import SqlTransaction

app = App("shop")


@app.mutation
async def place(ctx: MutationContext, item: str, *, amount: int = 1) -> float:
    return 1.5


@app.mutation(queue="slow", transient=(KeyError,))
def place_plain(ctx: BlockingMutationContext, item: str, amount: int) -> list[str]:
    return []


@app.internal_action
async def send(ctx: ActionContext, to: str) -> bytes:
    return b""


@app.internal_action(timeout=5)
def send_plain(ctx: BlockingActionContext, to: str = "") -> None: ...


@app.action
async def act(ctx: ActionContext) -> int:
    return 5


@app.internal_mutation
async def tidy(ctx: MutationContext) -> None: ...


async def async_client(s: Scheduler) -> None:
    assert_type(await s.run_after(0, place, "a"), JobId)
    await s.run_after(1.5, place, "a", amount=2)
    await s.run_after(timedelta(seconds=1), place_plain, "a", 2)
    await s.run_after(0, send_plain)
    await s.run_at(datetime.now(UTC), send, to="ada")
    await s.run_at(5, "shop:place", 1, 2, anything=3)
    await s.options(queue="q", idempotency_key="k", allow_unknown=True).run_after(0, place, "a")
    await s.run_after(0, place)  # type: ignore[call-overload]  # missing
    await s.run_after(0, place, 5)  # type: ignore[call-overload]  # wrong type
    await s.run_after(0, place, "a", 2)  # type: ignore[call-overload]  # too many
    await s.run_after(0, place, "a", amount="2")  # type: ignore[arg-type]  # wrong type
    await s.run_after(0, place, "a", price=2)  # type: ignore[call-arg]  # extra
    await s.run_after(0, place_plain, "a")  # type: ignore[call-overload]  # missing
    await s.run_after(0, send_plain, 5)  # type: ignore[call-overload]  # wrong type
    await s.run_after("0", place, "a")  # type: ignore[call-overload]  # delay
    await s.run_after(datetime.now(UTC), place, "a")  # type: ignore[call-overload]  # delay
    await s.run_at(timedelta(seconds=1), place, "a")  # type: ignore[call-overload]  # timestamp
    await s.run_at(0, send)  # type: ignore[call-overload]  # missing
    await s.run_at(0, send, "a", cc="b")  # type: ignore[call-arg]  # extra
    await s.run_after(0, len, "a")  # type: ignore[call-overload]  # not a registered function
    await s.options(queue="q").run_after(0, place, 5)  # type: ignore[call-overload]  # wrong type
    s.options(priority=5)  # type: ignore[call-arg]  # extra


def blocking_client(s: SyncScheduler) -> None:
    assert_type(s.run_after(0, place, "a"), JobId)
    assert_type(s.options(queue="q"), SyncScheduler)
    s.run_at(0, send, "ada")
    s.run_after(0, place, 5)  # type: ignore[call-overload]  # wrong type
    s.run_at(0, send, "ada", cc="b")  # type: ignore[call-arg]  # extra
    s.run_at(0, send_plain, 1)  # type: ignore[call-overload]  # wrong type


def calls() -> None:
    assert_type(place.after(0, "a", amount=2), Call)
    assert_type(place_plain.at(0, "a", 2), Call)
    place.after(0)  # type: ignore[call-arg]  # missing
    place.after(0, 5)  # type: ignore[arg-type]  # wrong type
    place.after(0, "a", price=5)  # type: ignore[call-arg]  # extra
    place.after(None, "a")  # type: ignore[arg-type]  # delay
    place.at("now", "a")  # type: ignore[arg-type]  # timestamp
    place_plain.at(0, "a")  # type: ignore[call-arg]  # missing
    send.at(0, to=5)  # type: ignore[arg-type]  # wrong type
    send_plain.after(0, "a", "b")  # type: ignore[call-arg]  # too many


async def results(ctx: MutationContext, action: ActionContext) -> None:
    assert_type(await ctx.run_mutation(place, "a"), float)
    assert_type(await ctx.run_mutation(place_plain, "a", 2), list[str])
    assert_type(await action.run_mutation(place, "a", amount=2), float)
    assert_type(await action.run_action(send, "a"), bytes)
    assert_type(await place(ctx, "a", amount=2), float)
    assert_type(await ctx.scheduler.run_after(0, tidy), JobId)
    assert_type(await action.scheduler.run_after(0, act), JobId)
    await ctx.run_mutation(place)  # type: ignore[call-arg]  # missing
    await ctx.run_mutation(place, 5)  # type: ignore[arg-type]  # wrong type
    await action.run_action(send, "a", cc="b")  # type: ignore[call-arg]  # extra
    await ctx.scheduler.run_after(0, place, 5)  # type: ignore[call-overload]  # wrong type
    await place(action, "a")  # type: ignore[arg-type]  # the wrong context
    action.db.insert  # type: ignore[attr-defined]  # noqa: B018  documents belong to mutations


def blocking_results(ctx: BlockingMutationContext, action: BlockingActionContext) -> None:
    assert_type(place_plain(ctx, "a", 2), list[str])
    assert_type(ctx.run_mutation(place_plain, "a", 2), list[str])
    assert_type(ctx.run_mutation(place, "a"), float)
    assert_type(action.run_action(send, "a"), bytes)
    assert_type(ctx.scheduler.run_after(0, place, "a"), JobId)
    ctx.scheduler.run_after(0, place, 5)  # type: ignore[call-overload]  # wrong type
    ctx.run_mutation(place_plain, "a")  # type: ignore[call-arg]  # missing


def registration() -> None:
    @app.mutation  # type: ignore[arg-type]  # a mutation gets the context of a mutation
    async def wrong(ctx: ActionContext) -> None: ...

    @app.action(transient=(KeyError,))  # type: ignore[call-overload, untyped-decorator]  # an action is never tried again
    async def never(ctx: ActionContext) -> None: ...


def sql(engine: AsyncEngine, plain_engine: Engine) -> None:
    @app.mutation(transaction=SqlTransaction(engine))
    async def pay(ctx: SqlContext[AsyncSession], order: int) -> str:
        assert_type(ctx.sql, AsyncSession)
        return await ctx.run_mutation(pay, order)

    @app.internal_mutation(queue="q", transaction=SqlTransaction(plain_engine))
    def pay_plain(ctx: BlockingSqlContext[Session], order: int) -> str:
        assert_type(ctx.sql, Session)
        assert_type(ctx.run_mutation(pay_plain, order), str)
        return ""

    @app.mutation(transaction=SqlTransaction(engine))
    async def unnamed(ctx: MutationContext, order: int) -> None: ...

    assert_type(pay.after(0, 5), Call)
    unnamed.after(0, 5)
    pay.after(0, "5")  # type: ignore[arg-type]  # wrong type
    pay_plain.after(0)  # type: ignore[call-arg]  # missing

    @app.mutation(transaction=SqlTransaction(plain_engine))  # type: ignore[arg-type]  # a blocking one of an async def
    async def blocks(ctx: SqlContext[AsyncSession]) -> None: ...

    @app.mutation(transaction=SqlTransaction(engine))  # type: ignore[arg-type]  # the session of another kind
    async def other(ctx: SqlContext[Session]) -> None: ...

    @app.action(transaction=SqlTransaction(engine))  # type: ignore[call-overload, untyped-decorator]  # mutations only
    async def act(ctx: ActionContext) -> None: ...

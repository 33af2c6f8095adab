"""The app of the chaos: money, marks, a hot counter, lists, and actions that log their first line before anything else.

Every function called from outside has a `tag` that names the call: a call of which nobody knows whether it was accepted
is found again by it.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import redis

from examples.bank.app import BRANCHES, Account, Overdrawn
from scheduler import (
    ActionContext,
    App,
    BlockingActionContext,
    BlockingMutationContext,
    JobId,
    MutationContext,
    QueryContext,
)
from tests.serializability import lists

LOG, SERVER = "CHAOS_LOG", "CHAOS_SERVER"
"""The environment variables that name the file of the first lines, and the server's url."""

POISONED, REFUSED = 9, 10
"""The exit code of a worker that a poisoned job took down."""

app = App("chaos")
accounts = app.table("accounts", schema=Account, indexes={"by_branch": ["branch", "cents"]})
app.table("lists", indexes={"by_epoch": ["epoch"]})


class Flaky(ConnectionError):
    """A transient error: the mutation is run again (C3.3)."""


def log(job_id: str, word: str = "start", value: object = "") -> None:
    """One line in one write, so that it survives a kill: "<job> <process> <word> <value>"."""
    file = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, f"{job_id} {os.getpid()} {word} {value}\n".encode())
    finally:
        os.close(file)


async def mark(ctx: MutationContext) -> None:
    """Count, in a document of the job's own, how often the job was applied."""
    found = await ctx.db.get(f"marks:{ctx.job_id}")
    if found is None:
        await ctx.db.insert("marks", {"times": 1}, key=ctx.job_id)
    else:
        await ctx.db.patch(f"marks:{ctx.job_id}", {"times": found["times"] + 1})


def mark_blocking(ctx: BlockingMutationContext) -> None:
    """`mark` in a plain handler."""
    found = ctx.db.get(f"marks:{ctx.job_id}")
    if found is None:
        ctx.db.insert("marks", {"times": 1}, key=ctx.job_id)
    else:
        ctx.db.patch(f"marks:{ctx.job_id}", {"times": found["times"] + 1})


# Money


@app.mutation(name="chaos:open_accounts")
async def open_accounts(ctx: MutationContext, count: int, cents: int, tag: int = -1) -> None:
    for n in range(count):
        await ctx.db.insert(accounts, Account(BRANCHES[n % len(BRANCHES)], cents), key=f"a{n}")


@app.mutation(name="chaos:transfer")
async def transfer(ctx: MutationContext, source: str, target: str, cents: int, desk_s: float = 0, tag: int = -1) -> int:
    """Move money, and schedule a receipt and a letter: all of it or nothing."""
    left = await _move(ctx, source, target, cents, desk_s)
    await ctx.scheduler.run_after(0, receipt, ctx.job_id)
    await ctx.scheduler.run_after(0, notify, ctx.job_id)
    await mark(ctx)
    return left


@app.mutation(name="chaos:transfer_in_a_thread")
def transfer_in_a_thread(
    ctx: BlockingMutationContext, source: str, target: str, cents: int, desk_s: float = 0, tag: int = -1
) -> int:
    """`transfer` in a plain handler."""
    payer, payee = ctx.db.get(f"accounts:{source}", accounts), ctx.db.get(f"accounts:{target}", accounts)
    assert payer is not None
    assert payee is not None
    if payer.cents < cents:
        raise Overdrawn(f"{source} has {payer.cents} cents, not {cents}")
    ctx.db.patch(f"accounts:{source}", {"cents": payer.cents - cents, "moves": payer.moves + 1})
    ctx.db.patch(f"accounts:{target}", {"cents": payee.cents + cents, "moves": payee.moves + 1})
    ctx.scheduler.run_after(0, receipt, ctx.job_id)
    ctx.scheduler.run_after(0, notify_in_a_thread, ctx.job_id)
    mark_blocking(ctx)
    return payer.cents - cents


async def _move(ctx: MutationContext, source: str, target: str, cents: int, desk_s: float) -> int:
    payer = await ctx.db.get(f"accounts:{source}", accounts)
    payee = await ctx.db.get(f"accounts:{target}", accounts)
    assert payer is not None
    assert payee is not None
    if payer.cents < cents:
        raise Overdrawn(f"{source} has {payer.cents} cents, not {cents}")
    if desk_s:
        await asyncio.sleep(desk_s)
    await ctx.db.patch(f"accounts:{source}", {"cents": payer.cents - cents, "moves": payer.moves + 1})
    await ctx.db.patch(f"accounts:{target}", {"cents": payee.cents + cents, "moves": payee.moves + 1})
    return payer.cents - cents


@app.internal_mutation(name="chaos:receipt")
async def receipt(ctx: MutationContext, transfer_id: str) -> None:
    """A transfer's receipt: a second one for the same transfer would be an error."""
    await ctx.db.insert("receipts", {"job": ctx.job_id}, key=transfer_id)
    await mark(ctx)


@app.internal_action(name="chaos:notify")
async def notify(ctx: ActionContext, transfer_id: str) -> None:
    log(ctx.job_id)
    await asyncio.sleep(0.02)


@app.internal_action(name="chaos:notify_in_a_thread")
def notify_in_a_thread(ctx: BlockingActionContext, transfer_id: str) -> None:
    log(ctx.job_id)


@app.internal_mutation(name="chaos:move")
async def move(ctx: MutationContext, source: str, target: str, cents: int) -> int:
    """A transfer that an action runs at once; its document says that it was made."""
    left = await _move(ctx, source, target, cents, 0)
    await ctx.db.insert("moves", {"source": source, "target": target, "cents": cents}, key=ctx.job_id)
    await ctx.scheduler.run_after(0, notify, ctx.job_id)
    return left


@app.action(name="chaos:tell")
async def tell(ctx: ActionContext, source: str, target: str, cents: int, tag: int = -1) -> str:
    """A teller: moves money by a transaction of its own, and then has something counted."""
    log(ctx.job_id)
    await ctx.run_mutation(move, source, target, cents)
    return await ctx.scheduler.run_after(0, count)


@app.query(name="chaos:total")
async def total(ctx: QueryContext) -> int:
    return sum([account.cents async for account in ctx.db.query(accounts)])


@app.action(name="chaos:audit")
async def audit(ctx: ActionContext, tag: int = -1) -> int:
    """Count the money while others move it."""
    log(ctx.job_id)
    return await ctx.run_query(total)


# Counters, marks, cancels


@app.mutation(name="chaos:count")
async def count(ctx: MutationContext, tag: int = -1) -> int:
    """Everybody wants this counter."""
    await mark(ctx)
    found = await ctx.db.get("counters:hot")
    if found is None:
        await ctx.db.insert("counters", {"count": 1}, key="hot")
        return 1
    await ctx.db.patch("counters:hot", {"count": found["count"] + 1})
    return int(found["count"]) + 1


@app.mutation(name="chaos:flaky")
async def flaky(ctx: MutationContext, fails: int, tag: int = -1) -> None:
    """Marked before it fails: what a failed attempt wrote must not be there."""
    await mark(ctx)
    if ctx.attempt <= fails:
        raise Flaky(f"attempt {ctx.attempt} of {fails} in vain")


@app.mutation(name="chaos:withdraw")
async def withdraw(ctx: MutationContext, job_id: str, tag: int = -1) -> str:
    """Cancel a job in a transaction."""
    await mark(ctx)
    return await ctx.scheduler.cancel(JobId(job_id))


@app.mutation(name="chaos:forgotten", keep_s=0)
async def forgotten(ctx: MutationContext, tag: int = -1) -> None:
    """Leaves no record: its mark stands under the tag of the call."""
    found = await ctx.db.get(f"forgotten:{tag}")
    if found is None:
        await ctx.db.insert("forgotten", {"times": 1}, key=str(tag))
    else:
        await ctx.db.patch(f"forgotten:{tag}", {"times": found["times"] + 1})


# Time, lists, poison


@app.action(name="chaos:probe")
def probe(ctx: BlockingActionContext, tag: int = -1) -> None:
    """Ask the server itself what time it is."""
    log(ctx.job_id)
    with redis.Redis.from_url(os.environ[SERVER], socket_timeout=5) as server:
        seconds, micros = server.time()
    log(ctx.job_id, "time", seconds * 1000 + micros // 1000)


@app.mutation(name="chaos:transact")
async def transact(ctx: MutationContext, plan: list[list[Any]], raises: bool = False, tag: int = -1) -> lists.Told:
    return await lists.follow(ctx, plan, raises, transact)


@app.mutation(name="chaos:transact_in_a_thread")
def transact_in_a_thread(
    ctx: BlockingMutationContext, plan: list[list[Any]], raises: bool = False, tag: int = -1
) -> lists.Told:
    return lists.follow_blocking(ctx, plan, raises, transact_in_a_thread)


@app.mutation(name="chaos:poison")
async def poison(ctx: MutationContext, tag: int = -1) -> None:
    """Takes its worker down, whoever runs it (C3.4)."""
    await mark(ctx)
    os._exit(POISONED)


@app.action(name="chaos:poison_action")
async def poison_action(ctx: ActionContext, tag: int = -1) -> None:
    """Takes its worker down, once (C3.5)."""
    log(ctx.job_id)
    os._exit(POISONED)

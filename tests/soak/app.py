"""The load of the soak: functions that use each part of the product, none of which lets its data grow."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import Any

from scheduler import ActionContext, App, BlockingActionContext, BlockingMutationContext, MutationContext, QueryContext

app = App("soak", keep_s=5, keep_count=5_000)
accounts = app.table("accounts", indexes={"by_cents": ["cents"]})


@app.mutation(name="soak:deposit")
async def deposit(ctx: MutationContext, account: int, cents: int) -> int:
    """Reads, writes, schedules: conflicts with others over the same account are wanted."""
    key = f"a{account}"
    found = await ctx.db.get(f"accounts:{key}")
    balance = (0 if found is None else int(found["cents"])) + cents
    if found is None:
        await ctx.db.insert("accounts", {"cents": balance}, key=key)
    else:
        await ctx.db.patch(f"accounts:{key}", {"cents": balance})
    await ctx.scheduler.run_after(0, note, account)
    return balance


@app.internal_action(name="soak:note")
async def note(ctx: ActionContext, account: int) -> Any:
    ctx.log.debug("noted %d", account)
    return await ctx.run_query(richest)


@app.query(name="soak:richest")
async def richest(ctx: QueryContext) -> str | None:
    found = await ctx.db.query(accounts).index("by_cents").order("desc").first()
    return None if found is None else found.id


@app.mutation(name="soak:pass_through")
def pass_through(ctx: BlockingMutationContext, size: int) -> None:
    """A document that comes and goes, in a thread."""
    document = ctx.db.insert("parcels", {"bytes": b"x" * size})
    ctx.db.delete(document)


@app.action(name="soak:carry")
def carry(ctx: BlockingActionContext, parcel: bytes) -> bytes:
    return parcel[:1_000]


@app.mutation(name="soak:refuse")
async def refuse(ctx: MutationContext, reason: str) -> None:
    raise ValueError(reason)


@app.action(name="soak:linger", timeout=1)
async def linger(ctx: ActionContext, seconds: float) -> None:
    await asyncio.sleep(seconds)


@app.action(name="soak:census")
async def census(ctx: ActionContext) -> dict[str, int]:
    """What this worker process holds."""
    return {
        "pid": os.getpid(),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "objects": len(gc.get_objects()),
    }

"""A shop: orders that are charged exactly once, and receipts that are sent at most once.

Run it:  duestream dev examples.shop:app
Use it:  duestream enqueue shop:place_order order_id=o1 cents=1250 --after 2s --wait
"""

from __future__ import annotations

import asyncio

from scheduler import ActionContext, App, CancelOutcome, MutationContext

app = App("shop")


@app.mutation
async def place_order(
    ctx: MutationContext, order_id: str, cents: int, customer: str = "guest", wrap_s: float = 0
) -> str:
    """Store the order, charge the customer and schedule the receipt: all of it happens, once, or none of it."""
    if cents <= 0:
        raise ValueError(f"cents: expected more than 0, got {cents}")
    if wrap_s:
        await asyncio.sleep(wrap_s)  # a gift takes its time
    order = {"customer": customer, "cents": cents, "placed_at": ctx.now, "receipts": 0}
    await ctx.db.insert("orders", order, key=order_id)
    await charge(ctx, customer, cents)
    await ctx.scheduler.run_after(200, send_receipt, order_id)
    return f"placed {order_id}"


async def charge(ctx: MutationContext, customer: str, cents: int) -> None:
    """Add to what a customer owes. A plain function: its reads and writes belong to the mutation that calls it."""
    account = await ctx.db.get(f"accounts:{customer}")
    if account is None:
        await ctx.db.insert("accounts", {"balance": cents, "orders": 1}, key=customer)
    else:
        changed = {"balance": account["balance"] + cents, "orders": account["orders"] + 1}
        await ctx.db.patch(f"accounts:{customer}", changed)


@app.internal_action
async def send_receipt(ctx: ActionContext, order_id: str) -> None:
    """Send a receipt. A mail cannot be taken back, so this is an action: it never starts twice."""
    await asyncio.sleep(0.1)  # the mail server
    await ctx.run_mutation(record_receipt, order_id)
    ctx.log.debug("sent a receipt for %s", order_id)


@app.internal_mutation
async def record_receipt(ctx: MutationContext, order_id: str) -> None:
    """Count the receipts of an order, so that a second one would be seen."""
    order = await ctx.db.get(f"orders:{order_id}")
    if order is not None:
        await ctx.db.patch(f"orders:{order_id}", {"receipts": order["receipts"] + 1})


@app.mutation
async def withdraw_order(ctx: MutationContext, job_id: str) -> CancelOutcome:
    """Cancel an order that has not been placed yet; `finished` means it was too late."""
    return await ctx.scheduler.cancel(job_id)


@app.mutation
async def get_balance(ctx: MutationContext, customer: str) -> int:
    """What a customer owes, in cents."""
    account = await ctx.db.get(f"accounts:{customer}")
    return 0 if account is None else int(account["balance"])

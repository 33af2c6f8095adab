"""A bank: money moves between accounts exactly once, and each transfer's receipt is sent at most once.

Run it:  duestream dev examples.bank.app:app
Use it:  duestream enqueue bank:open_accounts count=2 cents=10000 --wait
         duestream enqueue bank:transfer source=a0 target=a1 cents=1250 --wait
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from examples.bank import mail
from scheduler import ActionContext, App, MutationContext, QueryContext

BRANCHES = ("Bern", "Basel", "Chur")


@dataclass
class Account:
    """One account; it never goes below 0.

    Attributes:
        branch: Where it is kept.
        cents: What is in it.
        moves: Transfers that it had a part in.
        id: The document's id, "accounts:<key>", which is not stored in it.
    """

    branch: str
    cents: int
    moves: int = 0
    id: str = ""


class Overdrawn(Exception):
    """There is less in the account than was to be taken out. The transfer fails for good, and nothing has happened."""


app = App("bank")
accounts = app.table("accounts", schema=Account, indexes={"by_branch": ["branch", "cents"]})


@app.mutation(name="bank:open_accounts")
async def open_accounts(ctx: MutationContext, count: int, cents: int) -> None:
    """Open the accounts a0, a1, ..., with so much in each."""
    for n in range(count):
        await ctx.db.insert(accounts, Account(BRANCHES[n % len(BRANCHES)], cents), key=f"a{n}")


@app.mutation(name="bank:transfer")
async def transfer(ctx: MutationContext, source: str, target: str, cents: int, desk_s: float = 0) -> int:
    """Move money and schedule the receipt: all of it happens, once, or none of it.

    Args:
        source: The account's key that it comes from.
        target: The one that it goes to, another.
        cents: More than 0.
        desk_s: How long the desk takes between reading and writing, in seconds.

    Returns:
        What is left in the source.
    """
    if cents <= 0 or source == target:
        raise ValueError("a transfer is of more than 0 cents, between two accounts")
    payer = await ctx.db.get(f"accounts:{source}", accounts)
    payee = await ctx.db.get(f"accounts:{target}", accounts)
    if payer is None or payee is None:
        raise LookupError(f"no such account: {source if payer is None else target}")
    if payer.cents < cents:
        raise Overdrawn(f"{source} has {payer.cents} cents, not {cents}")
    if desk_s:
        await asyncio.sleep(desk_s)
    await ctx.db.patch(f"accounts:{source}", {"cents": payer.cents - cents, "moves": payer.moves + 1})
    await ctx.db.patch(f"accounts:{target}", {"cents": payee.cents + cents, "moves": payee.moves + 1})
    await ctx.scheduler.run_after(0, send_receipt, ctx.job_id)
    return payer.cents - cents


@app.internal_action(name="bank:send_receipt")
async def send_receipt(ctx: ActionContext, transfer_id: str) -> None:
    """Send a receipt. A letter cannot be taken back, so this is an action: it never starts twice."""
    mail.send(ctx.job_id, transfer_id)
    await asyncio.sleep(0.02)  # the post office; workers die here too


@app.query(name="bank:total")
async def total(ctx: QueryContext) -> int:
    """What is in all accounts together, at one moment."""
    return sum([account.cents async for account in ctx.db.query(accounts)])


@app.query(name="bank:branch_total")
async def branch_total(ctx: QueryContext, branch: str) -> int:
    """What is in the accounts of one branch."""
    return sum([account.cents async for account in ctx.db.query(accounts).index("by_branch", branch=branch)])


@app.action(name="bank:audit")
async def audit(ctx: ActionContext) -> int:
    """Count the money while others move it."""
    return await ctx.run_query(total)

"""The bank with its accounts in SQL: the same promise, kept by a row of the same SQL transaction (docs/sql.md).

BANK_SQL names the database: sqlite:///bank.sqlite where it is not set, or postgresql+psycopg://...
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from sqlalchemy import create_engine, delete, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from examples.bank import mail
from examples.bank.app import BRANCHES, Overdrawn
from examples.bank.ledger import Ledger
from scheduler import ActionContext, App, BlockingActionContext, BlockingSqlContext, SyncScheduler
from scheduler.sql import SqlTransaction, create_inbox

DATABASE = "BANK_SQL"
"""The environment variable that names the database."""


class Base(DeclarativeBase):
    pass


class Account(Base):
    """One account; it never goes below 0."""

    __tablename__ = "bank_accounts"

    key: Mapped[str] = mapped_column(primary_key=True)
    branch: Mapped[str]
    cents: Mapped[int]
    moves: Mapped[int] = mapped_column(default=0)


create_inbox(Base.metadata)
app = App("bank")
engine = create_engine(os.environ.get(DATABASE, "sqlite:///bank.sqlite"))
in_sql = SqlTransaction(engine)


@event.listens_for(engine, "connect")
def _prepare_connection(connection: Any, _: object) -> None:
    """SQLite: readers beside the writer, and no fsync for each commit; what a killed process committed stays."""
    if engine.dialect.name == "sqlite":
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")


@app.mutation(name="bank:open_accounts", transaction=in_sql)
def open_accounts(ctx: BlockingSqlContext[Session], count: int, cents: int) -> None:
    """Open the accounts a0, a1, ..., with so much in each."""
    ctx.sql.add_all(Account(key=f"a{n}", branch=BRANCHES[n % len(BRANCHES)], cents=cents) for n in range(count))


@app.mutation(name="bank:transfer", transaction=in_sql)
def transfer(ctx: BlockingSqlContext[Session], source: str, target: str, cents: int, desk_s: float = 0) -> int:
    """Move money and schedule the receipt: all of it happens, once, or none of it. See `examples.bank.app.transfer`."""
    if cents <= 0 or source == target:
        raise ValueError("a transfer is of more than 0 cents, between two accounts")
    # In one order, so that two transfers never wait for each other.
    both = select(Account).where(Account.key.in_([source, target])).order_by(Account.key).with_for_update()
    found = {account.key: account for account in ctx.sql.scalars(both)}
    payer, payee = found.get(source), found.get(target)
    if payer is None or payee is None:
        raise LookupError(f"no such account: {source if payer is None else target}")
    if payer.cents < cents:
        raise Overdrawn(f"{source} has {payer.cents} cents, not {cents}")
    time.sleep(desk_s)
    payer.cents -= cents
    payee.cents += cents
    payer.moves += 1
    payee.moves += 1
    ctx.scheduler.run_after(0, send_receipt, ctx.job_id)
    return payer.cents


@app.internal_action(name="bank:send_receipt")
async def send_receipt(ctx: ActionContext, transfer_id: str) -> None:
    """Send a receipt. A letter cannot be taken back, so this is an action: it never starts twice."""
    mail.send(ctx.job_id, transfer_id)
    await asyncio.sleep(0.02)  # the post office; workers die here too


@app.action(name="bank:audit")
def audit(ctx: BlockingActionContext) -> int:
    """Count the money while others move it."""
    ctx.log.debug("counts the money in %s", engine.dialect.name)
    with Session(engine) as session:
        return session.scalars(select(func.sum(Account.cents))).one() or 0


def balances(_: SyncScheduler) -> dict[str, int]:
    """What is in each account, in cents, by key."""
    with Session(engine) as session:
        return {account.key: account.cents for account in session.scalars(select(Account))}


def prepare() -> Ledger:
    """Make the tables, and close the accounts of former runs."""
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(delete(Account))
    # SQLite has one writer at a time: transfers that take their time at the desk would stand in line.
    alone = engine.dialect.name == "sqlite"
    return Ledger(
        "examples.bank.sql:app", app, open_accounts, transfer, audit, balances,
        most_desk_s=0.001 if alone else 0.05,
        options=("--concurrency", "2" if alone else "10"),
        environment={DATABASE: engine.url.render_as_string(hide_password=False)},
    )  # fmt: skip

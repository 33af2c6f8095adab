"""Where the accounts of a run are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from examples.bank import app as bank
from scheduler import App, SyncScheduler
from scheduler.function import AnyFunction


@dataclass(frozen=True, slots=True)
class Ledger:
    """An app that keeps accounts, and how to look into it from outside.

    Attributes:
        target: The app, as workers are told: "module:app".
        app: The app itself.
        open_accounts, transfer, audit: Its functions.
        balances: What is in each account, in cents, by key; read without a job.
        most_desk_s: How long a transfer may take between reading and writing, in seconds.
        options: Further options of its workers.
        environment: Variables that its workers need.
    """

    target: str
    app: App
    open_accounts: AnyFunction
    transfer: AnyFunction
    audit: AnyFunction
    balances: Callable[[SyncScheduler], dict[str, int]]
    most_desk_s: float
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def in_documents() -> Ledger:
    """Accounts that are documents in Redis."""

    def balances(scheduler: SyncScheduler) -> dict[str, int]:
        return {account.id.partition(":")[2]: account.cents for account in scheduler.db.query(bank.accounts)}

    return Ledger(
        "examples.bank.app:app", bank.app, bank.open_accounts, bank.transfer, bank.audit, balances, most_desk_s=0.05
    )

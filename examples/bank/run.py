"""Transfers between accounts, while workers are killed at random; then the money is counted.

    python -m examples.bank.run [--transfers 2000] [--kills 20] [--seed N] [--sql | --sql-url URL]

Exits with 1 if the money does not add up, or another promise was broken.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import redis
from rich.console import Console
from rich.table import Table

from examples.bank import mail
from examples.bank.checks import AUDIT, RECEIPT, TRANSFER, Facts, broken
from examples.bank.ledger import Ledger, in_documents
from examples.crew import Crew, all_jobs, held_by, name_of, wait_until
from scheduler import Call, EmbeddedServer, Job, JobState, SyncScheduler
from scheduler.keys import Keys

WORKERS, ACCOUNTS, OPENING = 3, 40, 10_000
# A kill is not the job's fault here, and comes so often that one job may well see five of them.
OPTIONS = ("--lease", "2s", "--max-deliveries", "1000", "--quiet")
KILL_EVERY_S, TRANSFERS_A_S = 0.6, 250
MOST_CENTS = 3_000
START_S, END_S = 30.0, 120.0

console = Console(highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Run:
    """One run: a server, workers, and the dice.

    Attributes:
        transfers: How many are made.
        kills: How many workers are killed.
        dice: What is moved when, and who dies when.
        ledger: Where the accounts are.
        dead: The workers killed so far, by name, and how many jobs each had in its hands.
        alive: Worker processes that work, or will in a moment.
    """

    transfers: int
    kills: int
    dice: random.Random
    ledger: Ledger
    crew: Crew
    scheduler: SyncScheduler
    server: redis.Redis
    dead: dict[str, int] = field(default_factory=dict)
    alive: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def keys(self) -> Keys:
        return Keys(self.ledger.app.namespace)

    @property
    def span_s(self) -> float:
        """Over how long transfers become due."""
        return max(self.kills * KILL_EVERY_S, self.transfers / TRANSFERS_A_S)

    def play(self) -> list[str]:
        """Open, schedule, kill, wait. Returns the ids of the transfers."""
        self.alive = [self.crew.start() for _ in range(WORKERS)]
        wait_until("the workers are there", lambda: self.server.zcard(self.keys.workers) == WORKERS, START_S)
        opened = self.scheduler.run_after(0, self.ledger.open_accounts, ACCOUNTS, OPENING)
        self.scheduler.result(opened, timeout=START_S)
        asked = self.scheduler.schedule_many([self._transfer() for _ in range(self.transfers)])
        self.scheduler.schedule_many(
            self.ledger.audit.after(self.dice.uniform(0, self.span_s) * 1000) for _ in range(20)
        )
        started = time.monotonic()
        for at_s in sorted(self.dice.uniform(0, self.span_s) for _ in range(self.kills)):
            time.sleep(max(0.0, started + at_s - time.monotonic()))
            wait_until("a worker is in the middle of its work", self._kill_one, END_S)
        unfinished = (JobState.PENDING, JobState.IN_PROGRESS)
        wait_until("all has ended", lambda: not any(self.scheduler.count(state=one) for one in unfinished), END_S)
        return [*asked]

    def _transfer(self) -> Call:
        source, target = self.dice.sample(range(ACCOUNTS), 2)
        return self.ledger.transfer.after(
            self.dice.uniform(0, self.span_s) * 1000,
            source=f"a{source}",
            target=f"a{target}",
            cents=self.dice.randint(1, MOST_CENTS),
            desk_s=self.dice.uniform(0, self.ledger.most_desk_s),
        )

    def _kill_one(self) -> bool:
        """Kill one that has jobs in its hands, and start another. Returns whether there was one."""
        for worker in self.dice.sample(self.alive, len(self.alive)):
            name = name_of(self.server, self.keys, worker)
            held = held_by(self.server, self.keys, name) if name is not None else []
            if name is None or not held:
                continue
            worker.kill()
            worker.wait()
            self.dead[name] = len(held)
            self.alive.remove(worker)
            self.alive.append(self.crew.start())
            return True
        return False

    def read(self, asked: list[str], outbox: Path) -> Facts:
        """What came of it."""
        ended: dict[str, list[str]] = defaultdict(list)
        for state in (one for one in JobState if one.final):
            found: Any = self.server.zrange(self.keys.done(state), 0, -1)
            for job_id in found:
                ended[job_id.decode()].append(state)
        return Facts(
            opening={f"a{n}": OPENING for n in range(ACCOUNTS)},
            closing=self.ledger.balances(self.scheduler),
            asked=asked,
            jobs=list(all_jobs(self.scheduler)),
            ended=ended,
            mailed=mail.sent(outbox),
            killed=[*self.dead],
        )


@contextmanager
def opened(ledger: Ledger, transfers: int, kills: int, seed: int, folder: Path) -> Iterator[Run]:
    """A run with an embedded server of its own; all processes are stopped at the end."""
    with EmbeddedServer(folder / "redis") as server, SyncScheduler(ledger.app, url=server.url) as scheduler:
        environment = {**ledger.environment, mail.OUTBOX: str(folder / "receipts")}
        options = (*OPTIONS, *ledger.options)
        crew = Crew(ledger.target, server.url, folder / "workers.log", *options, environment=environment)
        try:
            with redis.Redis.from_url(server.url) as client:
                dice = random.Random(seed)  # noqa: S311  a game's dice
                yield Run(transfers, kills, dice, ledger, crew, scheduler, client)
        finally:
            crew.stop()


def ledger_of(sql: bool, url: str | None, folder: Path) -> Ledger:
    """Where the accounts are to be. The module for SQL makes its engine when it is imported, by the environment."""
    if not sql and url is None:
        return in_documents()
    os.environ["BANK_SQL"] = url or f"sqlite:///{folder / 'bank.sqlite'}"
    ledger: Ledger = import_module("examples.bank.sql").prepare()
    return ledger


def show(facts: Facts, run: Run, seconds: float) -> None:
    """Print the table."""
    moved = facts.of(TRANSFER, JobState.SUCCESS)
    refused = facts.of(TRANSFER, JobState.FAILED)
    receipts = facts.of(RECEIPT)
    lost = [job for job in receipts if job.state is JobState.FAILED]
    audits = facts.of(AUDIT, JobState.SUCCESS)
    table = Table("read at the end", "", title="the bank", title_justify="left")
    rows: list[tuple[str, object]] = [
        ("workers killed with SIGKILL", len(run.dead)),
        ("jobs in their hands", sum(run.dead.values())),
        ("transfers asked for", f"{len(facts.asked):,}"),
        ("  made", f"{len(moved):,}"),
        ("  refused, " + _reasons(refused), f"{len(refused):,}"),
        ("  run again (conflicts, kills)", sum(job.attempts > 1 for job in facts.of(TRANSFER))),
        ("receipts scheduled", f"{len(receipts):,}"),
        ("  sent", f"{sum(facts.mailed.values()):,}"),
        ("  died with their worker" + (f", {_reasons(lost)}" if lost else ""), len(lost)),
        ("  most for one transfer", max(facts.mailed.values(), default=0)),
        ("sum of balances before", _money(sum(facts.opening.values()))),
        ("sum of balances after", _money(sum(facts.closing.values()))),
        ("sums counted in between", f"{len(audits)}, {len({job.result for job in audits})} different"),
        ("time taken", f"{seconds:.1f} s"),
    ]
    for what, value in rows:
        table.add_row(what, str(value))
    console.print(table)


def _reasons(failed: list[Job]) -> str:
    return ", ".join(sorted(Counter(job.error.type for job in failed if job.error is not None))) or "for none"


def _money(cents: int) -> str:
    return f"{cents / 100:,.2f}"


@click.command()
@click.option("--transfers", type=click.IntRange(1, 100_000), default=2_000, show_default=True, help="How many.")
@click.option("--kills", type=click.IntRange(0, 1_000), default=20, show_default=True, help="Workers to kill.")
@click.option("--seed", type=int, help="Of the dice: what is moved when, and who is killed when.")
@click.option("--sql", is_flag=True, help="Keep the accounts in SQL, in a SQLite file.")
@click.option("--sql-url", help="In this database instead, as SQLAlchemy names it; its table bank_accounts is emptied.")
def main(transfers: int, kills: int, seed: int | None, sql: bool, sql_url: str | None) -> None:
    """Move money while workers are killed, and check that it adds up."""
    started = time.monotonic()
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    console.print(f"{transfers:,} transfers, {kills} kills, --seed {seed}")
    with tempfile.TemporaryDirectory(prefix="duestream-bank-") as name:
        folder = Path(name)
        try:
            with opened(ledger_of(sql, sql_url, folder), transfers, kills, seed, folder) as run:
                facts = run.read(run.play(), folder / "receipts")
        except TimeoutError as error:
            log = (folder / "workers.log").read_text(errors="replace")
            raise click.ClickException(f"{error}; the workers said:\n{log[-3000:]}") from error
    show(facts, run, time.monotonic() - started)
    problems = broken(facts)
    for problem in problems:
        console.print(f"[bold red]broken promise:[/] {problem}")
    if problems:
        raise click.exceptions.Exit(1)
    console.print("[green]the money adds up, and every promise was kept[/]")


if __name__ == "__main__":
    main()

"""A thousand orders, two workers, and one of them is killed in the middle.

    python -m examples.demo

Reads the outcome from Redis and exits with 1 if a promise was broken.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from examples.checks import PLACE, RECEIPT, UNFINISHED, Facts, broken
from examples.crew import ROOT, Crew, all_jobs, command, held_by, name_of, wait_until
from examples.shop import app, withdraw_order
from scheduler import CancelOutcome, EmbeddedServer, Job, JobState, SyncScheduler
from scheduler.keys import Keys
from scheduler.values import unpack

ORDERS = Path(__file__).with_name("orders.ndjson")
KEYS = Keys(app.namespace)
LEASE = "5s"
KILL_AFTER, HELD_AT_LEAST = 200, 5
WAIT_S = 50.0
FAR_MS = 600_000
_LINE = re.compile(r"\bline (\d+): (.*)")

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="duestream-demo-") as directory:
        log = Path(directory, "workers.log")
        with EmbeddedServer(Path(directory, "redis")) as server, SyncScheduler(app, url=server.url) as scheduler:
            crew = Crew("examples.shop:app", server.url, log, "--lease", LEASE)
            try:
                facts = play(crew, scheduler, redis.Redis.from_url(server.url))
            except TimeoutError as error:
                console.print(f"[red]{error}[/]; the workers said:\n{log.read_text(errors='replace')[-3000:]}")
                return 1
            finally:
                crew.stop()
    show(facts, time.monotonic() - started)
    problems = broken(facts)
    for problem in problems:
        console.print(f"[bold red]broken promise:[/] {problem}")
    if not problems:
        console.print("[green]every promise was kept[/]")
    return 1 if problems else 0


def play(crew: Crew, scheduler: SyncScheduler, server: redis.Redis) -> Facts:
    """The whole run: start, feed, cancel, kill, start another, wait, read."""
    victim, _ = crew.start(), crew.start()
    wait_until("two workers are there", lambda: server.zcard(KEYS.workers) == 2, 15)
    name = name_of(server, KEYS, victim)
    assert name is not None
    console.print(f"two workers run on {crew.environment['REDIS_URL']}; feeding {ORDERS.name} through the command line")
    refused = feed(crew)
    console.print(f"withdrew {withdraw(scheduler)} orders for later days")

    def in_the_middle() -> bool:
        held = held_by(server, KEYS, name)
        return len(held) >= HELD_AT_LEAST and scheduler.count(state=JobState.SUCCESS) >= KILL_AFTER

    wait_until("a worker is in the middle of its work", in_the_middle, 15)
    victim.kill()
    victim.wait()
    held = held_by(server, KEYS, name)
    console.print(f"killed worker {victim.pid} with SIGKILL: {len(held)} orders were in its hands; starting another")
    crew.start()
    wait_until("all jobs have ended", lambda: not any(scheduler.count(state=one) for one in UNFINISHED), WAIT_S)
    return Facts(
        lines=ORDERS.read_text(encoding="utf-8").splitlines(),
        refused=refused,
        jobs=list(all_jobs(scheduler)),
        orders=dict(documents(server, "orders")),
        accounts=dict(documents(server, "accounts")),
        held=held,
        killed=name,
    )


def feed(crew: Crew) -> dict[int, str]:
    """Enqueue the file; returns why lines were refused, by number."""
    done = subprocess.run(  # noqa: S603  our own program
        command("enqueue", "--from", str(ORDERS)),
        cwd=ROOT, env=crew.environment, capture_output=True, text=True, check=False, timeout=WAIT_S,
    )  # fmt: skip
    return {int(number): reason for number, reason in _LINE.findall(done.stderr)}


def withdraw(scheduler: SyncScheduler) -> int:
    """Cancel the orders for later days: half of them by a mutation, half directly."""
    page = scheduler.list(state=JobState.PENDING, function=PLACE, after=time.time() * 1000 + FAR_MS, limit=1_000)
    half = len(page.jobs) // 2
    asked = scheduler.schedule_many(withdraw_order.after(0, job.id) for job in page.jobs[:half])
    outcomes = [scheduler.result(job_id, timeout=10) for job_id in asked]
    outcomes += scheduler.cancel_many(job.id for job in page.jobs[half:])
    return outcomes.count(CancelOutcome.CANCELED)


def documents(server: redis.Redis, table: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A table as it lies in Redis, read without duestream's client."""
    ids: Any = server.zrange(f"{KEYS.prefix}table:{table}", 0, -1)
    for document_id in (one.decode() for one in ids):
        data: Any = server.hget(KEYS.document(document_id), "data")
        yield document_id.partition(":")[2], unpack(data)


def show(facts: Facts, seconds: float) -> None:
    """Print the table."""
    jobs = facts.of(PLACE)
    receipts = facts.of(RECEIPT)
    table = Table("read from Redis", "", title="a thousand orders", title_justify="left")
    rows: list[tuple[str, object]] = [
        ("lines read", f"{len(facts.lines):,}"),
        ("refused at once", _reasons(facts)),
        ("duplicates by idempotency key", len(facts.lines) - len(facts.refused) - len(jobs)),
        ("orders placed", len(facts.placed)),
        ("what they cost", _money(facts.cents)),
        ("what was charged", f"{_money(facts.charged)} in {len(facts.accounts)} accounts"),
        ("failed", _counted(facts.of(PLACE, JobState.FAILED))),
        ("cancelled", len(facts.of(PLACE, JobState.CANCELED))),
        ("receipts sent", sum(order["receipts"] for order in facts.orders.values())),
        ("most receipts for one order", max(order["receipts"] for order in facts.orders.values())),
        ("receipts failed", _counted([job for job in receipts if job.state is JobState.FAILED])),
        ("in the hands of the killed worker", len(facts.held)),
        (
            "  of these completed by another",
            sum(job.id in set(facts.held) and job.worker != facts.killed for job in jobs),
        ),
        ("orders run again (conflicts, the kill)", sum(job.attempts > 1 for job in jobs)),
        ("time taken", f"{seconds:.1f} s"),
    ]
    for what, value in rows:
        table.add_row(what, str(value))
    console.print(table)


def _reasons(facts: Facts) -> str:
    shown = [f"line {number}: {reason}" for number, reason in sorted(facts.refused.items())]
    return "\n".join([str(len(shown)), *shown])


def _counted(failed: list[Job]) -> str:
    reasons = Counter(f"{job.error.type}: {job.error.message}" for job in failed if job.error is not None)
    return "\n".join([str(len(failed)), *(f"{count} x {reason}" for reason, count in reasons.most_common())])


def _money(cents: int) -> str:
    return f"{cents / 100:,.2f}"


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        raise SystemExit(main())
    raise SystemExit(130)

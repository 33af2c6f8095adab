"""How long after SIGKILL a worker's mutation runs again and its action is failed.

The worker that is killed leads: promoter and janitor die with it. It is killed at a random moment between two renewals.

python -m benchmarks.recovery [--rounds 20] [--lease 2s]
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from scheduler import ActionContext, App, EmbeddedServer, JobFailed, MutationContext, SyncScheduler
from scheduler.cli.moments import Duration

app = App("recovery")


@app.mutation
async def held(ctx: MutationContext, folder: str) -> int:
    """Waits for ever at its first attempt."""
    (Path(folder) / f"mutation-{os.getpid()}").touch()
    if ctx.attempt == 1:
        await asyncio.Event().wait()
    return ctx.attempt


@app.action
async def held_action(ctx: ActionContext, folder: str) -> None:
    """Waits for ever."""
    (Path(folder) / f"action-{os.getpid()}").touch()
    await asyncio.Event().wait()


def start(url: str, lease_ms: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "worker", "worker", "benchmarks.recovery:app", "--url", url, "--quiet"]
    return subprocess.Popen([*command, "--lease", f"{lease_ms}ms"])


def wait_for(folder: Path, pattern: str) -> None:
    while not list(folder.glob(pattern)):
        time.sleep(0.01)


def one_round(url: str, lease_ms: int, phase_s: float) -> tuple[float, float]:
    """Seconds from the kill to the mutation's success, and to the action's failure."""
    with tempfile.TemporaryDirectory() as name, SyncScheduler(app, url=url) as scheduler:
        folder = Path(name)
        first = start(url, lease_ms)
        mutation = scheduler.run_after(0, held, name)
        action = scheduler.run_after(0, held_action, name)
        wait_for(folder, f"mutation-{first.pid}")
        wait_for(folder, f"action-{first.pid}")
        second = start(url, lease_ms)
        while len(_workers(scheduler)) < 2:
            time.sleep(0.01)
        time.sleep(phase_s)
        first.kill()
        killed = time.monotonic()
        try:
            scheduler.result(action, timeout=60)
        except JobFailed:
            failed = time.monotonic() - killed
        assert scheduler.result(mutation, timeout=60) == 2
        again = time.monotonic() - killed
        second.terminate()
        first.wait()
        second.wait()
        return again, failed


def _workers(scheduler: SyncScheduler) -> list[bytes]:
    store = scheduler._store  # noqa: SLF001  there is no public list of workers outside the command line
    found: list[bytes] = store.command("ZRANGE", store.keys.workers, 0, -1)
    return found


@click.command()
@click.option("--rounds", default=20, show_default=True)
@click.option("--lease", "lease_ms", type=Duration(), default="10s", show_default=True)
@click.option("--seed", type=int, default=lambda: random.randrange(2**32))
def main(rounds: int, lease_ms: int, seed: int) -> None:
    """Measure recovery on this machine."""
    chance = random.Random(seed)
    found = []
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory() as folder, EmbeddedServer(folder, persistent=False) as server:
            found.append(one_round(server.url, lease_ms, chance.uniform(0, lease_ms / 4_000)))
        click.echo(f"{number}: mutation {found[-1][0]:.2f} s, action {found[-1][1]:.2f} s", err=True)
    table = Table(
        "", "least", "median", "most", title=f"{rounds} kills of the leader, lease {lease_ms} ms, seed {seed}"
    )
    for name, times in zip(
        ("mutation done again", "action failed"), map(sorted, zip(*found, strict=True)), strict=True
    ):
        table.add_row(name, *(f"{times[place]:.2f} s" for place in (0, rounds // 2, -1)))
    Console().print(table)


if __name__ == "__main__":
    main()

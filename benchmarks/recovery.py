"""How long after a worker's SIGKILL its mutation runs again and its action is failed, with the default lease.

python -m benchmarks.recovery [--rounds 3]
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from scheduler import ActionContext, App, EmbeddedServer, JobFailed, MutationContext, SyncScheduler

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


def start(url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "worker", "worker", "benchmarks.recovery:app", "--url", url, "--quiet"]
    return subprocess.Popen(command)


def wait_for(folder: Path, pattern: str) -> None:
    while not list(folder.glob(pattern)):
        time.sleep(0.01)


def one_round(url: str) -> tuple[float, float]:
    """Seconds from the kill to the mutation's success, and to the action's failure."""
    with tempfile.TemporaryDirectory() as name, SyncScheduler(app, url=url) as scheduler:
        folder = Path(name)
        first = start(url)
        mutation = scheduler.run_after(0, held, name)
        action = scheduler.run_after(0, held_action, name)
        wait_for(folder, f"mutation-{first.pid}")
        wait_for(folder, f"action-{first.pid}")
        second = start(url)
        while len(_workers(scheduler)) < 2:
            time.sleep(0.01)
        first.kill()
        killed = time.monotonic()
        try:
            scheduler.result(action, timeout=30)
        except JobFailed:
            failed = time.monotonic() - killed
        assert scheduler.result(mutation, timeout=30) == 2
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
@click.option("--rounds", default=3, show_default=True)
def main(rounds: int) -> None:
    """Measure recovery on this machine."""
    table = Table("round", "mutation done again after", "action failed after", title="after SIGKILL, lease 10 s")
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory() as folder, EmbeddedServer(folder, persistent=False) as server:
            again, failed = one_round(server.url)
        table.add_row(str(number), f"{again:.2f} s", f"{failed:.2f} s")
    Console().print(table)


if __name__ == "__main__":
    main()

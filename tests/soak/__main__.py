"""Runs the soak and prints its table; exit code 1 if anything grew.

python -m tests.soak --minutes 60 --workers 2 --rate 100 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import redis

from scheduler import EmbeddedServer, Scheduler
from tests.soak.app import app, census
from tests.soak.load import drive
from tests.soak.samples import MOST_GROWTH, Series, open_files, rss_bytes, server_facts
from tests.worker.processes import WorkerProcess

WARM_UP_MINUTES = 12
"""A record that is removed leaves a tombstone for ten minutes after its job's end: only then as many go as come."""

LEAST_MINUTES = WARM_UP_MINUTES + 6
SAMPLE_S = 2.0


class Soak:
    """Worker processes, a server, and what they are measured by.

    Args:
        workers: The processes, each with a queue of its own besides the common one.
        server_pid: The server's.
        client: For the server's own numbers.
        scheduler: For those of the workers' event loops.
    """

    def __init__(
        self, workers: list[WorkerProcess], server_pid: int, client: redis.Redis, scheduler: Scheduler
    ) -> None:
        self._workers = workers
        self._server_pid = server_pid
        self._client = client
        self._scheduler = scheduler
        self.series: dict[str, Series] = {}

    async def sample(self, at_s: float) -> None:
        """Take one sample of everything."""
        for number, worker in enumerate(self._workers):
            self._add(f"worker {number} memory", "MB", 1.0, at_s, rss_bytes(worker.pid) / 1e6)
            self._add(f"worker {number} files", "", 3, at_s, open_files(worker.pid))
            job_id = await self._scheduler.options(queue=f"w{number}").run_after(0, census)
            counted = await self._scheduler.result(job_id, timeout=60)
            assert counted["pid"] == worker.pid
            self._add(f"worker {number} tasks", "", 30, at_s, counted["tasks"])
            self._add(f"worker {number} threads", "", 3, at_s, counted["threads"])
            self._add(f"worker {number} objects", "", 5_000, at_s, counted["objects"])
        facts = server_facts(self._client)
        self._add("server memory", "MB", 0.5, at_s, facts["memory"] / 1e6)
        # Its allocator keeps pages that are half used: what is lost for good shows in its memory, too.
        self._add("server resident", "MB", 6.0, at_s, rss_bytes(self._server_pid) / 1e6)
        self._add("server keys", "", 200, at_s, facts["keys"])
        # Two a worker: as many as answers that were late at the same time on a busy machine.
        self._add("server clients", "", 4, at_s, facts["clients"])

    def _add(self, name: str, unit: str, slack: float, at_s: float, value: float) -> None:
        self.series.setdefault(name, Series(name, unit, slack)).points.append((at_s, value))

    def report(self, from_s: float, say: Callable[[str], None]) -> bool:
        """Print the table; whether all of it is flat."""
        say(f"{'':<20}{'begin':>12}{'end':>12}{'growth':>9}  (fit of each minute's peak, after the warm-up)")
        for one in self.series.values():
            begin, end, share = one.growth(from_s)
            verdict = "" if one.is_flat(from_s) else f"  GREW by more than {MOST_GROWTH:.0%}"
            say(f"{one.name:<20}{begin:>12,.1f}{end:>12,.1f}{share:>+9.1%} {one.unit}{verdict}")
        return all(one.is_flat(from_s) for one in self.series.values())


async def run(minutes: float, count: int, rate: int, seed: int, folder: Path) -> bool:
    """The whole soak; whether nothing grew."""
    with contextlib.ExitStack() as ending:
        server = ending.enter_context(EmbeddedServer(folder / "server", persistent=False))
        workers = []
        for number in range(count):
            worker = WorkerProcess(
                server.url, app.namespace, folder / f"worker{number}.log", module="tests.soak.worker", traced=False,
                lease_ms=10_000, queues=["default", f"w{number}"],
            )  # fmt: skip
            ending.callback(worker.end)
            workers.append(worker.wait_started())
        client = ending.enter_context(redis.Redis.from_url(server.url))
        async with Scheduler(app, url=server.url) as scheduler:
            soak, counts = Soak(workers, server.pid, client, scheduler), Counter[str]()
            started = time.monotonic()
            load = asyncio.create_task(drive(scheduler, rate, started + minutes * 60, counts, seed))
            while not load.done():
                await soak.sample(time.monotonic() - started)
                await asyncio.wait([load], timeout=SAMPLE_S)
            load.result()
        sys.stdout.write(", ".join(f"{name} {number:,}" for name, number in sorted(counts.items())) + "\n")
        return soak.report(WARM_UP_MINUTES * 60, lambda line: print(line))  # noqa: T201  its output


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Load, and whether anything grows.")
    parser.add_argument("--minutes", type=float, default=60, help=f"at least {LEAST_MINUTES}")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=int, default=100, help="jobs a second, besides those they schedule")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.minutes < LEAST_MINUTES:
        parser.error(f"--minutes: at least {LEAST_MINUTES}: a line through fewer peaks says nothing")
    with tempfile.TemporaryDirectory() as folder:
        flat = asyncio.run(run(chosen.minutes, chosen.workers, chosen.rate, chosen.seed, Path(folder)))
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())

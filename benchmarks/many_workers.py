"""Workers of the benchmark's app, several in one process: what a fleet does to a server, without its memory.

python -m benchmarks.many_workers COUNT
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from benchmarks.peers.duestream import TOLD, app
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings


async def work(count: int) -> None:
    settings = (WorkerSettings(keeper=False) for _ in range(count))
    await asyncio.gather(*(Worker(app, Connections(TOLD.url), one).run() for one in settings))


if __name__ == "__main__":
    uvloop.run(work(int(sys.argv[1])))

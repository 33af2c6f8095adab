"""A stop in the first milliseconds: the client library swallows a cancel that comes while it connects. So a worker in
burst mode, started beside another on an empty queue, never ended (once in a few starts)."""

from __future__ import annotations

import asyncio

from scheduler import App
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings


async def test_bursts_on_an_empty_queue_always_end(app: App, server_url: str) -> None:
    for _ in range(20):
        workers = [Worker(app, Connections(server_url), WorkerSettings(burst=True)) for _ in range(2)]
        async with asyncio.timeout(10):
            await asyncio.gather(*(worker.run() for worker in workers))

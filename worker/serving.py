"""One worker from the first contact with Redis to its stop."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from scheduler.app import App
from scheduler.backoff import Outage
from scheduler.ending import end
from scheduler.errors import Unavailable
from scheduler.keys import Keys
from scheduler.store import AsyncStore, BlockingStore, async_client, blocking_client
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings
from worker.watchdog import show_life, watch


async def serve(app: App, url: str, settings: WorkerSettings, stop: asyncio.Event, *, life: Path | None = None) -> None:
    """Work until `stop` is set, or with `burst` until nothing is due. The process is the worker's own.

    Args:
        app: Whose functions it runs.
        url: The server.
        settings: How it runs.
        stop: Ends it.
        life: A file to write again and again while it works.

    Raises:
        ConfigurationError: The url cannot be read, or the server refused the credentials.
    """
    if not await _reach(url, stop):
        return
    worker = Worker(app, Connections(url), settings)
    beside = [asyncio.create_task(watch(worker.patience_s))]
    beside += [] if life is None else [asyncio.create_task(show_life(life, worker.started))]
    running = asyncio.ensure_future(worker.run())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        worker.stop()
        await running
    finally:
        await end(stopping, *beside)


async def _reach(url: str, stop: asyncio.Event) -> bool:
    """Wait for Redis, however long it is away; False if the stop came first."""
    outage, client = Outage(), async_client(url)
    store = AsyncStore(Keys("_"), client)
    try:
        while not stop.is_set():
            try:
                await store.command("PING")
            except Unavailable as error:
                waiting = asyncio.ensure_future(outage.wait(error))
                stopping = asyncio.ensure_future(stop.wait())
                _, pending = await asyncio.wait([waiting, stopping], return_when=asyncio.FIRST_COMPLETED)
                for task in pending:
                    task.cancel()
            else:
                outage.over()
                return True
        return False
    finally:
        await client.aclose()


def check(url: str) -> None:
    """Look once whether the server can be used; one that does not answer is waited for later.

    Raises:
        ConfigurationError: The url cannot be read, or the server refused the credentials.
    """
    client = blocking_client(url)
    try:
        with contextlib.suppress(Unavailable):
            BlockingStore(Keys("_"), client).command("PING")
    finally:
        client.close()

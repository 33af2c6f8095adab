"""One worker from the first contact with Redis to its stop."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from scheduler.admission import admit_worker
from scheduler.app import App
from scheduler.clients import async_client, blocking_client
from scheduler.ending import end
from scheduler.errors import Unavailable
from scheduler.keys import Keys
from scheduler.operations import Steps
from scheduler.store import AsyncStore, BlockingStore
from worker.connections import Connections
from worker.reaching import reach
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
        ConfigurationError: The url cannot be read, the server refused the credentials, is none that is supported, or
            does not give the durability that is asked for.
    """
    client = async_client(url)
    try:
        if not await reach(AsyncStore(Keys("_"), client), lambda: _admission(app, settings), stop):
            return
    finally:
        await client.aclose()
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


def check(app: App, url: str, settings: WorkerSettings) -> None:
    """Look once whether the server can be used; one that does not answer is waited for later.

    Raises:
        ConfigurationError: As `serve` does.
    """
    client = blocking_client(url)
    try:
        with contextlib.suppress(Unavailable):
            BlockingStore(Keys("_"), client).drive(_admission(app, settings))
    finally:
        client.close()


def _admission(app: App, settings: WorkerSettings) -> Steps[None]:
    safety = settings.safety(app)  # which may refuse, before anything is asked
    yield ("PING",)  # what refuses the credentials does so here
    yield from admit_worker(Keys(app.namespace).prefix, safety, settings.replica_wait_ms)

"""The first contact with Redis, which may be away for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from scheduler.backoff import Outage
from scheduler.errors import Unavailable
from scheduler.operations import Steps
from scheduler.store import AsyncStore


async def reach(store: AsyncStore, look: Callable[[], Steps[Any]], stop: asyncio.Event) -> bool:
    """Take a first look at the server, however long it is away; False if the stop came first.

    Raises:
        ConfigurationError: What `look` raises; or the server refused the credentials.
    """
    outage = Outage()
    while not stop.is_set():
        try:
            await store.drive(look())
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

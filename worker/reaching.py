"""The first contact with Redis, which may be away for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from scheduler.backoff import Outage
from scheduler.ending import end
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
            waiting = asyncio.create_task(outage.wait(error))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([waiting, stopping], return_when=asyncio.FIRST_COMPLETED)
            await end(waiting, stopping)
        else:
            outage.over()
            return True
    return False

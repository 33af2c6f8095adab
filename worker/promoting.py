"""Promoter and janitor alone, for deployments whose workers leave them out."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable

from scheduler import transitions
from scheduler.admission import admit_worker
from scheduler.backoff import Outage
from scheduler.clients import async_client
from scheduler.durability import Safety
from scheduler.ending import end
from scheduler.errors import Unavailable
from scheduler.keys import Keys
from scheduler.leases import DEFAULT_LEASE_MS, DEFAULT_MAX_DELIVERIES
from scheduler.operations import Steps
from scheduler.promoter import LISTEN_S
from scheduler.rights import check_rights
from scheduler.role import Role
from scheduler.store import AsyncStore
from worker.housekeeping import leaders
from worker.reaching import reach
from worker.rooms import keep

_log = logging.getLogger("duestream.promoter")
_LEAVE_S = 5.0


async def promote(
    namespace: str,
    url: str,
    stop: asyncio.Event,
    *,
    lease_ms: int = DEFAULT_LEASE_MS,
    max_deliveries: int = DEFAULT_MAX_DELIVERIES,
) -> None:
    """Promote and clean for one app until `stop` is set; Redis may be away at any time.

    Args:
        namespace: The app's.
        url: The server.
        stop: Ends it.
        lease_ms: The workers' lease: how soon the work of a dead one is taken up.
        max_deliveries: After so many deaths of workers a job fails.

    Raises:
        ConfigurationError: The url cannot be read, the server refused the credentials, lacks a right of its user, or is
            none that is supported.
    """
    keys, outage = Keys(namespace), Outage()
    commands, listener = async_client(url), async_client(url)
    store = AsyncStore(keys, commands)
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    listening = AsyncStore(keys, listener, block_s=LISTEN_S, contact=store.contact)
    promoter, janitor = leaders(store, listening, name, outage, lease_ms, max_deliveries)
    try:
        if not await reach(store, lambda: _admission(keys), stop):
            return
        _log.info("started promoter=%s app=%s", name, namespace)
        watch = keep("contact", lambda: store.contact.watch(store.pulse))
        await _until(stop, keep("promoter", promoter.run), keep("janitor", janitor.run), watch)
        await _leave(store, name)
        _log.info("stopped promoter=%s", name)
    finally:
        await store.contact.close()
        await commands.aclose()
        await listener.aclose()


def _admission(keys: Keys) -> Steps[None]:
    yield ("PING",)  # what refuses the credentials does so here
    yield from admit_worker(keys.prefix, Safety(), 0)
    yield check_rights(Role.WORKER, keys)


async def _until(stop: asyncio.Event, *rooms: Awaitable[None]) -> None:
    tasks = [asyncio.ensure_future(room) for room in rooms]
    try:
        await stop.wait()
    finally:
        await end(*tasks)


async def _leave(store: AsyncStore, name: str) -> None:
    """Give up the lease, so that another one leads at once."""
    try:
        async with asyncio.timeout(_LEAVE_S):
            await store.run(transitions.leave(name, name, ()))
    except (Unavailable, TimeoutError):
        _log.warning("redis is away: the lease of promoter=%s runs out by itself", name)

"""The promoter on a real server: what becomes of a token that was for somebody else."""

from __future__ import annotations

import asyncio
from typing import Any

from scheduler import App
from scheduler.backoff import Outage
from scheduler.clients import async_client
from scheduler.ending import end
from scheduler.errors import QueueFull
from scheduler.keys import Keys
from scheduler.promoter import LISTEN_S, Promoter
from scheduler.role import Role
from scheduler.store import AsyncStore
from tests.acl import as_role
from tests.conftest import until


class Full(AsyncStore):
    """A store whose server has no room for one command."""

    refused = 0

    async def command(self, *command: Any) -> Any:
        if not self.refused:
            self.refused += 1
            raise QueueFull("no room")
        return await super().command(*command)


async def test_a_token_that_could_not_be_given_back_is_given_back_later(app: App, url: str, look: AsyncStore) -> None:
    """While the server was full, the promoter ended with an error in the log, and the token was lost."""
    keys = Keys(app.namespace)
    store = Full(keys, async_client(as_role(url, Role.WORKER)))
    promoter = Promoter(store, store.blocking(LISTEN_S), "former", Outage())
    running = asyncio.create_task(promoter.run())
    try:
        await until(lambda: promoter.leads)
        await look.command("SET", keys.promoter, "another", "PX", 60_000)
        await look.command("RPUSH", keys.wake, "1")
        await until(lambda: store.refused > 0 or running.done())
        await look.command("DEL", keys.promoter)  # it leads again at its next step, and a token is for itself then
        await until(lambda: promoter.leads or running.done())
        assert not running.done()
    finally:
        await end(running)
        await store.close()

"""Presence: a worker arrives, keeps its functions known, and goes."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import socket
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from scheduler import transitions, versions
from scheduler.app import App
from scheduler.catalog import IndexCatalog
from scheduler.clock import RedisClock
from scheduler.keys import Keys
from scheduler.leases import heartbeat_ms
from scheduler.rights import check_rights
from scheduler.role import Role
from scheduler.script_call import Argument
from worker.persistence import Persistence
from worker.settings import WorkerSettings

_ANNOUNCE_EVERY_S = 60.0


class Presence:
    """Announces one worker process.

    Args:
        persistence: Sends each call until it is answered.
        app: Whose functions it runs.
        settings: How it runs.
        clock: Told Redis time at each announcement.
        reader_id: The connection id of the blocking reader, None where unknown.
        catalog: Told which indexes there are.
    """

    def __init__(
        self,
        persistence: Persistence,
        app: App,
        settings: WorkerSettings,
        clock: RedisClock,
        reader_id: Callable[[], int | None],
        catalog: IndexCatalog,
    ) -> None:
        self._persistence = persistence
        self._app = app
        self._settings = settings
        self._clock = clock
        self._reader_id = reader_id
        self._catalog = catalog

    async def arrive(self) -> None:
        """Join, if the server lets this worker do its work.

        Raises:
            ConfigurationError: Its user of the server lacks a right.
        """
        await self._persistence.run(check_rights(Role.WORKER, Keys(self._app.namespace)))
        await self.join()

    async def join(self) -> None:
        """Announce the worker, its functions and the retention its deployment wants; make its queues' groups.

        Its indexes come first: whoever sees the worker may query.
        """
        await self.declare()
        settings, asked_s = self._settings, time.monotonic()
        now_ms = await self._persistence.run(
            transitions.join(
                settings.name,
                heartbeat_ms(settings.lease_ms),
                {
                    "host": socket.gethostname(),
                    "pid": os.getpid(),
                    "queues": ",".join(settings.queues),
                    "concurrency": settings.concurrency,
                    "lease_ms": settings.lease_ms,
                    "python": platform.python_version(),
                    "version": _version(),
                    "reader": self._reader_id() or "",
                },
                self._retention(),
                {name: json.dumps(function.describe()) for name, function in self._app.functions.items()},
                settings.queues,
            )
        )
        self._clock.observe(now_ms, asked_s)

    async def declare(self) -> None:
        """Make the app's indexes known, and learn which there are."""
        self._catalog.learn(await self._persistence.run(versions.declare(self._catalog.declared)))

    async def run(self) -> None:
        """Announce again about once a minute, until cancelled."""
        while True:
            await asyncio.sleep(_ANNOUNCE_EVERY_S)
            await self.join()

    async def leave(self) -> None:
        """Give back what was handed out unseen, and the promoter's lease, and go."""
        name = self._settings.name
        await self._persistence.run(transitions.leave(name, name, self._settings.queues))

    def _retention(self) -> dict[str, Argument]:
        kept: dict[str, Argument] = {"keep_ms": int(self._app.keep_s * 1000), "keep_count": self._app.keep_count}
        for name, function in self._app.functions.items():
            kept[f"keep_ms:{name}"] = "" if function.keep_s is None else int(function.keep_s * 1000)
        return kept


def _version() -> str:
    try:
        return version("duestream")
    except PackageNotFoundError:
        return "unknown"

"""Housekeeping: what one of the workers does for all of them, the one that leads."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from scheduler.app import App
from scheduler.backoff import Outage
from scheduler.clock import RedisClock
from scheduler.janitor import Janitor
from scheduler.promoter import Promoter
from scheduler.store import AsyncStore
from worker.pruner import Pruner
from worker.rooms import keep
from worker.settings import WorkerSettings


def leaders(
    store: AsyncStore, listener: AsyncStore, name: str, outage: Outage, lease_ms: int, max_deliveries: int
) -> tuple[Promoter, Janitor]:
    """A promoter, and the janitor that works where it leads."""
    promoter = Promoter(store, listener, name, outage, lease_ms, lambda now_ms, asked: janitor.observe(now_ms, asked))
    janitor = Janitor(
        store, lease_ms=lease_ms, max_deliveries=max_deliveries, leads=lambda: promoter.leads, outage=outage
    )
    return promoter, janitor


class Housekeeping:
    """Promoter, janitor and pruner of one worker.

    Args:
        app: Whose rows in SQL are pruned.
        store: Runs the scripts.
        listener: For the promoter's blocking reads.
        settings: Of the worker.
        clock: Redis time.
        outage: Told when Redis is away and back.
    """

    def __init__(
        self, app: App, store: AsyncStore, listener: AsyncStore, settings: WorkerSettings, clock: RedisClock,
        outage: Outage,
    ) -> None:  # fmt: skip
        self._promotes = settings.promote
        self._promoter, self._janitor = leaders(
            store, listener, settings.name, outage, settings.lease_ms, settings.max_deliveries
        )
        self._pruner = Pruner(app, store, clock, lambda: self._promoter.leads, outage)

    @property
    def promoter(self) -> Promoter | None:
        """None where it is left to others."""
        return self._promoter if self._promotes else None

    def rooms(self) -> list[Coroutine[Any, Any, None]]:
        """What is to run as long as the worker works."""
        if not self._promotes:
            return []
        rooms = [keep("promoter", self._promoter.run), keep("janitor", self._janitor.run)]
        return [*rooms, keep("pruner", self._pruner.run)] if self._pruner.needed else rooms

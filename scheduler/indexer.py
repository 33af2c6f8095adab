"""The indexer: builds an index of a table that had documents before it was declared (C6.1).

All writers keep the index up meanwhile, so one walk along the table is enough. Several indexers may work on one index:
each part is built by whoever comes first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from scheduler import values, versions
from scheduler.backoff import Outage, jittered_ms
from scheduler.catalog import IndexCatalog
from scheduler.errors import DuestreamError, Unavailable
from scheduler.refusals import ServerError
from scheduler.script_call import Word
from scheduler.store import AsyncStore
from scheduler.table import Index
from scheduler.versions import Scan, Snapshot

BATCH = 100
_LOOK_S = 0.5
_LOST_MS = 1_000
_log = logging.getLogger("duestream.indexer")


class Indexer:
    """Builds the indexes of this process's catalog that are not ready.

    Args:
        store: Runs the scripts.
        catalog: What this process knows of indexes.
        refresh: Learns anew what there is.
        outage: Told when Redis is away.
    """

    def __init__(
        self, store: AsyncStore, catalog: IndexCatalog, refresh: Callable[[], Awaitable[None]], outage: Outage
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._refresh = refresh
        self._outage = outage
        self._troubles: dict[str, str] = {}

    async def run(self) -> None:
        """Build until cancelled. The look at the catalog costs Redis nothing."""
        while True:
            try:
                if not await self.step():
                    await asyncio.sleep(_LOOK_S)
            except Unavailable as error:
                await self._outage.wait(error)

    async def step(self) -> bool:
        """Build a part of each index that is not ready. Returns whether there was one that can be built.

        A damaged document keeps its own index from being built, and no other; it is told of once.
        """
        building, catalog, advanced = self._catalog.building, self._catalog.version, False
        for index_id, built in building.items():
            try:
                word = await self._build(index_id, catalog, built)
            except Unavailable:
                raise
            except (DuestreamError, ServerError) as error:
                self._report(index_id, error)
                continue
            advanced = True
            if word is Word.LOST:
                await asyncio.sleep(jittered_ms(1, _LOST_MS, _LOST_MS) / 1000)
        if building:
            await self._refresh()
        return advanced

    def _report(self, index_id: str, error: Exception) -> None:
        trouble = f"{type(error).__name__}: {error}"
        if self._troubles.get(index_id) != trouble:
            self._troubles[index_id] = trouble
            _log.error("index %s cannot be built: %s", index_id, trouble)

    async def _build(self, index_id: str, catalog: str, built: int) -> Word:
        index = Index.of_id(index_id)
        scan = Scan(f"table:{index.table}", "BYSCORE", f"({built}", "+inf", "asc", BATCH)
        snapshot: Snapshot = await self._store.run(versions.read([], [scan]))
        (walked,) = snapshot.walks
        rows = [(one.id, one.version, index.key_of(values.unpack(one.data))) for one in walked.documents]
        rest = not walked.cut and len(rows) < BATCH
        after = None if rest else walked.documents[-1].created
        word = await self._store.run(versions.reindex(index_id, built, after, rows, catalog))
        if word is Word.OK and rest:
            _log.info("index %s is ready", index_id)
        return word

"""Which indexes writers have to keep up: those of this deployment, and those that others have declared (C6.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from scheduler.table import Index
from scheduler.versions import Catalog


class IndexCatalog:
    """What one process knows of the catalog in Redis.

    A commit says by which version of it its index entries were made; an older one is refused, so that no deployment,
    old or new, can leave entries out.

    Args:
        declared: The indexes of this deployment.
    """

    def __init__(self, declared: Iterable[Index] = ()) -> None:
        self.declared = tuple(index.id for index in declared)
        self.version = "0"
        self._by_table: dict[str, list[Index]] = {}
        self._built: dict[str, int | None] = {}

    def learn(self, catalog: Catalog) -> None:
        """Take over what Redis has told."""
        by_table: defaultdict[str, list[Index]] = defaultdict(list)
        for index_id in sorted(catalog.indexes):
            index = Index.of_id(index_id)
            by_table[index.table].append(index)
        self.version, self._by_table, self._built = catalog.version, dict(by_table), dict(catalog.indexes)

    @property
    def known(self) -> Catalog:
        """What Redis has told, for another process to learn."""
        return Catalog(self.version, self._built)

    def of(self, table: str) -> list[Index]:
        """The indexes of a table."""
        return self._by_table.get(table, [])

    def is_ready(self, index: Index) -> bool:
        """Whether it holds all documents of its table."""
        return self._built.get(index.id, 0) is None

    @property
    def building(self) -> dict[str, int]:
        """Indexes that are not ready, and the number of creation up to which each has been built."""
        return {index_id: built for index_id, built in self._built.items() if built is not None}

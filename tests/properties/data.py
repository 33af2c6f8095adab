"""Documents and indexes in plain Python: the specification of what reads, commits and the catalog do to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from scheduler.script_call import Word
from scheduler.transitions import Commit
from scheduler.versions import Catalog, Document, Scan, Walked

NEW = "new"


def table_of(document_id: str) -> str:
    return document_id.partition(":")[0]


def entry_of(sort_key: bytes, created: int, document_id: str) -> bytes:
    return sort_key + f"{created:016d}{document_id}{len(document_id):03d}".encode()


def id_of(entry: bytes) -> str:
    length = int(entry[-3:])
    return entry[-3 - length : -3].decode()


@dataclass
class Data:
    """`indexes` holds how far each has been built (None: ready), `entries` what is in it.

    `catalog` is its version; `NEW` until the one that the script made has been learnt from the data set.
    """

    documents: dict[str, Document] = field(default_factory=dict)
    sequence: int = 0
    indexes: dict[str, int | None] = field(default_factory=dict)
    entries: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    catalog: str = "0"

    def table(self, table: str) -> list[Document]:
        """In the order of creation."""
        found = [document for document in self.documents.values() if table_of(document.id) == table]
        return sorted(found, key=lambda document: document.created)

    def get(self, document_id: str) -> Document:
        return self.documents.get(document_id, Document(document_id, "", 0, b""))

    def known(self) -> Catalog:
        return Catalog(self.catalog, dict(self.indexes))

    # Scans

    def walk(self, scan: Scan) -> Walked:
        ids = self.ids(scan)
        return Walked([], stale=True) if ids is None else Walked([self.documents[one] for one in ids])

    def holds(self, scans: Iterable[tuple[Scan, str]]) -> bool:
        found = [(self.ids(scan), seen) for scan, seen in scans]
        return all(ids is not None and " ".join(ids) == seen for ids, seen in found)

    def ids(self, scan: Scan) -> list[str] | None:
        """What a scan finds, None where its index is not ready (C6.2)."""
        kind, _, name = scan.key.partition(":")
        if kind == "table":
            found = [one.id for one in self.table(name) if _within(one.created, scan)]
        elif self.indexes.get(name, 0) is None:
            found = [id_of(entry) for entry in sorted(self.entries[name]) if _between(entry, scan)]
        else:
            return None
        return (found if scan.order == "asc" else found[::-1])[: scan.most]

    # Commits

    def write(self, one: Commit) -> None:
        """The sequence goes up by the number of documents added, and by one at least."""
        if not one.writes:
            return
        number = self.sequence
        self.sequence += max(1, len([op for op, _, _ in one.writes if op == "add"]))
        self._remove_entries(one)
        for op, document_id, data in one.writes:
            if op == "del":
                self.documents.pop(document_id, None)
                continue
            number += op == "add"
            created = number if op == "add" else self.documents[document_id].created
            version = f"{one.delivery.attempt}-{one.delivery.token}"
            self.documents[document_id] = Document(document_id, version, created, data)
        for op, index, document_id, key in one.entries:
            if op == "add":
                self.entries[index].add(entry_of(key, self.documents[document_id].created, document_id))

    def _remove_entries(self, one: Commit) -> None:
        for op, index, document_id, key in one.entries:
            if op == "del":
                self.entries[index].discard(entry_of(key, self.documents[document_id].created, document_id))

    # The catalog

    def declare(self, indexes: Sequence[str]) -> Catalog:
        for index in indexes:
            if index not in self.indexes:
                self.indexes[index] = 0 if self.table(table_of(index)) else None
                self.catalog = NEW
        return self.known()

    def forget(self, index: str) -> bool:
        if index not in self.indexes:
            return False
        del self.indexes[index]
        self.entries.pop(index, None)
        self.catalog = NEW
        return True

    def reindex(
        self, index: str, before: int, after: int | None, rows: Sequence[tuple[str, str, bytes]], catalog: str
    ) -> Word:
        if self.indexes.get(index) != before or catalog != self.catalog:
            return Word.LOST
        self.indexes[index] = after
        for document_id, version, key in rows:
            document = self.get(document_id)
            if document.version == version:
                self.entries[index].add(entry_of(key, document.created, document_id))
        return Word.OK


def _within(created: int, scan: Scan) -> bool:
    lower, upper = str(scan.lower), str(scan.upper)
    above = created > int(lower[1:]) if lower[0] == "(" else created >= float(lower)
    below = created < int(upper[1:]) if upper[0] == "(" else created <= float(upper)
    return above and below


def _between(entry: bytes, scan: Scan) -> bool:
    lower, upper = scan.lower, scan.upper
    assert isinstance(lower, bytes)
    assert isinstance(upper, bytes)
    above = lower == b"-" or (entry > lower[1:] if lower[:1] == b"(" else entry >= lower[1:])
    below = upper == b"+" or (entry < upper[1:] if upper[:1] == b"(" else entry <= upper[1:])
    return above and below

"""What a handler has seen, and what becomes of it in its commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import strategies as st

from scheduler.versions import Catalog, Document, Scan, Snapshot
from tests.properties.choices import one_time_in
from tests.properties.data import table_of


def sort_key(data: bytes) -> bytes:
    """Of the one field that is indexed: here it is the whole document."""
    return b"\x05" + data


_TABLE = Scan("table:a", "BYSCORE", "-inf", "+inf", "asc", 9)
_INDEX = Scan("index:a:v", "BYLEX", b"-", b"+", "asc", 9)
SCANS = (
    _TABLE,
    _INDEX,
    _TABLE._replace(most=1),
    _TABLE._replace(order="desc", most=1),
    _TABLE._replace(lower="(1"),
    _TABLE._replace(key="table:b"),
    _INDEX._replace(order="desc", most=1),
    _INDEX._replace(lower=b"[" + sort_key(b"2")),
    _INDEX._replace(upper=b"(" + sort_key(b"2")),
)


class Part(NamedTuple):
    """A part of an index that an indexer has read, and not written yet."""

    index_id: str
    before: int
    after: int | None
    rows: Sequence[tuple[str, str, bytes]]
    catalog: str


@dataclass
class Handler:
    """One start of a mutation: what it saw first of each thing counts."""

    things: dict[tuple[str, str], Document] = field(default_factory=dict)
    scans: dict[Scan, str] = field(default_factory=dict)

    def learn(self, items: Sequence[tuple[str, str]], scans: Sequence[Scan], snapshot: Snapshot) -> None:
        for item, thing in zip(items, snapshot.things, strict=True):
            self.things.setdefault(item, thing)
        for scan, walked in zip(scans, snapshot.walks, strict=True):
            self.scans.setdefault(scan, " ".join(one.id for one in walked.documents))

    def version(self, kind: str, key: str) -> str:
        return self.things[kind, key].version

    @property
    def reads(self) -> list[tuple[str, str, str]]:
        return [(*item, thing.version) for item, thing in self.things.items()]

    def scans_seen(self, data: st.DataObject) -> list[tuple[Scan, str]]:
        """All its scans; one time in four it made none, so that not every mutation has a conflict."""
        return [] if one_time_in(data, 4, "no scans") else list(self.scans.items())

    def entries(self, writes: Sequence[tuple[str, str, bytes]], catalog: Catalog) -> list[tuple[str, str, str, bytes]]:
        """What the writes change in the indexes, as `Transaction.entries` says."""
        found: list[tuple[str, str, str, bytes]] = []
        for index, built in catalog.indexes.items():
            for op, document_id, data in writes:
                if table_of(document_id) != table_of(index):
                    continue
                old, same = self.things["doc", document_id].data, self.things["doc", document_id].data == data
                if op != "add" and not same:
                    found.append(("del", index, document_id, sort_key(old)))
                if op != "del" and not (same and op == "put" and built is None):
                    found.append(("add", index, document_id, sort_key(data)))
        return found

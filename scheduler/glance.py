"""A look at documents from outside of functions."""

from __future__ import annotations

from scheduler.reading import Read, Reads
from scheduler.transaction import Transaction
from scheduler.versions import Scan, Snapshot, Walked


class Glance(Transaction):
    """Reads from outside of functions: each answer is of one moment, nothing is remembered, so nothing can conflict."""

    def get(self, document_id: str) -> Reads[bytes | None]:
        snapshot: Snapshot = yield Read([("doc", document_id)])
        (found,) = snapshot.things
        return found.data if found.version else None

    def walk(self, scan: Scan) -> Reads[Walked]:
        snapshot: Snapshot = yield Read(scans=[scan])
        (walked,) = snapshot.walks
        return walked

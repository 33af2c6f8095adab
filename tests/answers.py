"""A small Redis in memory that answers the questions of a transaction: what is there, whether it still holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from scheduler.reading import Check, Question, Read, Reader, Reads, SerialReader, Survey
from scheduler.versions import Catalog, Checked, Document, Scan, Snapshot, Walked

T = TypeVar("T")


class Answers:
    """Things by (kind, key), ids by scan, the indexes, and the sequence of commits.

    Attributes:
        questions: All that was asked.
        cut: Scans stop after so many documents, for the size of what they found.
    """

    def __init__(self, **documents: bytes) -> None:
        self.sequence = 1
        self.questions: list[Question] = []
        self.things: dict[tuple[str, str], Document] = {}
        self.scans: dict[tuple[str, str | bytes, str | bytes], list[str]] = {}
        self.indexes: dict[str, int | None] = {}
        self.cut: int | None = None
        for number, (key, data) in enumerate(documents.items(), 1):
            self.things["doc", f"t:{key}"] = Document(f"t:{key}", f"1-{key}", number, data)

    def commit(self, kind: str, key: str, version: str, data: bytes = b"") -> None:
        """Another has committed: a document, or the state of a job, which leaves the sequence alone."""
        before = self.things.get((kind, key))
        self.things[kind, key] = Document(key, version, before.created if before else len(self.things) + 1, data)
        self.sequence += kind == "doc"

    def find(self, scan: Scan, ids: Sequence[str]) -> None:
        """What a scan of this part finds, in ascending order."""
        self.scans[scan.key, scan.lower, scan.upper] = list(ids)

    @property
    def reader(self) -> Reader:
        """Carries the reads of one transaction here."""
        return SerialReader(self.ask)

    async def read(self, reads: Reads[T]) -> T:
        """Run reads."""
        return await self.reader(reads)

    async def ask(self, question: Question) -> Snapshot | Checked | Catalog:
        self.questions.append(question)
        match question:
            case Read(things, scans):
                return Snapshot(
                    self.sequence, [self._thing(*one) for one in things], [self._walk(one) for one in scans]
                )
            case Check(reads, scanned):
                holds = all(self._thing(kind, key).version == version for kind, key, version in reads)
                return Checked(self.sequence, holds and all(" ".join(self._ids(one)) == ids for one, ids in scanned))
            case Survey():
                return Catalog("1", self.indexes)

    def _thing(self, kind: str, key: str) -> Document:
        return self.things.get((kind, key), Document(key, "", 0, b""))

    def _ids(self, scan: Scan) -> list[str]:
        ids = self.scans.get((scan.key, scan.lower, scan.upper), [])
        return (ids if scan.order == "asc" else ids[::-1])[: scan.most]

    def _walk(self, scan: Scan) -> Walked:
        found = [self._thing("doc", one) for one in self._ids(scan)]
        return Walked(found[: self.cut], self.cut is not None and len(found) > self.cut)

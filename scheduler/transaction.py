"""What a mutation has read and means to do. Nothing leaves before its commit, and then all of it at once (C3.1, C6).

Reads are one consistent state: each answer tells the sequence of the last commit, and whenever that has moved past what
this transaction has seen, all that was read so far is checked at one moment. If it changed, the handler has half seen
another's commit and starts over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any, NoReturn

from scheduler import values
from scheduler.call import Request
from scheduler.catalog import IndexCatalog
from scheduler.effects import Effects
from scheduler.errors import InvalidCall, LimitExceeded
from scheduler.reading import Check, Read, Reads
from scheduler.savepoints import Savepoint, Scope, Write
from scheduler.settings import Limits
from scheduler.table import Index
from scheduler.transitions import Commit
from scheduler.versions import Checked, Document, Scan, Snapshot, Walked


class Conflict(BaseException):
    """What was read has changed. Not an `Exception`, so that a handler's own `except Exception` lets it pass."""


class Transaction:
    """The read set, write set, children and cancels of one start of a mutation.

    Args:
        limits: What it may hold at most.
        catalog: The indexes that its writes have to keep up.
        documents: Whether it may read and write documents; not where its effects are in SQL (C6.4).
    """

    def __init__(self, limits: Limits, catalog: IndexCatalog | None = None, *, documents: bool = True) -> None:
        self._has_documents = documents
        self._limits = limits
        self._catalog = catalog or IndexCatalog()
        self._sequence: int | None = None
        self._versions: dict[tuple[str, str], str] = {}
        self._scans: dict[Scan, str] = {}
        self._walked = 0
        self._documents: dict[str, Document] = {}
        self._writes: dict[str, Write] = {}
        self._written_bytes = 0
        self._sort_keys: dict[str, dict[str, tuple[Write, bytes]]] = {}
        self._numbers = count()
        self._added: set[str] = set()
        self._children: dict[str, Request] = {}
        self._children_bytes = 0
        self._cancels: dict[str, None] = {}
        self._closed = False
        self._depth = 0
        self.conflicted = False
        """Whether a handler was shown a conflict; whatever it made of that, it starts over."""

    @property
    def reads(self) -> list[tuple[str, str, str]]:
        """(kind, key, version seen), as the commit script checks them."""
        return [(kind, key, version) for (kind, key), version in self._versions.items()]

    def with_reads(self, commit: Commit) -> Commit:
        """The commit with what was read and no effect: the end of a mutation that failed."""
        return commit._replace(reads=self.reads, scans=self.scans)

    def with_effects(self, commit: Commit) -> Commit:
        """The commit with what was read and all that is to be done."""
        return self.effects.with_effects(commit) if self._is_used else commit

    @property
    def _is_used(self) -> bool:
        """Whether there is anything that a commit has to know of."""
        return bool(self._versions or self._scans or self._writes or self._children or self._cancels)

    @property
    def effects(self) -> Effects:
        """What was read, and all that is to be done, by the catalog of indexes as it is now."""
        return Effects(
            reads=self.reads,
            scans=self.scans,
            writes=self.writes,
            entries=self.entries,
            children=self.children,
            cancels=self.cancels,
            catalog=self.catalog,
        )

    @property
    def contended(self) -> tuple[str, ...]:
        """The documents that others may have changed under it: read and to be written, else all that were read."""
        read = [key for kind, key in self._versions if kind == "doc"]
        return tuple([key for key in read if key in self._writes] or read)

    @property
    def scans(self) -> list[tuple[Scan, str]]:
        """(scan, ids found), as the commit script checks them."""
        return list(self._scans.items())

    @property
    def writes(self) -> list[tuple[str, str, bytes]]:
        return [(write.op, document_id, write.data) for document_id, write in self._writes.items()]

    @property
    def entries(self) -> list[tuple[str, str, str, bytes]]:
        """(op, index, document id, sort key): what the writes change in the indexes, by the catalog as it is now."""
        changed: list[tuple[str, str, str, bytes]] = []
        for document_id, write in self._writes.items():
            indexes = self._catalog.of(document_id.partition(":")[0])
            if indexes:
                before = self._documents.get(document_id)
                old = None if before is None else values.unpack(before.data)
                new = None if write.op == "del" else values.unpack(write.data)
                for index in indexes:
                    changed += _moves(index, document_id, old, new, ready=self._catalog.is_ready(index))
        return changed

    @property
    def catalog(self) -> str:
        """The version of the catalog of indexes."""
        return self._catalog.version

    @property
    def buffered(self) -> Mapping[str, Write]:
        """The writes by document id, in the order in which they were first made."""
        return self._writes

    def sort_key(self, index: Index, document_id: str) -> bytes:
        """The sort key of a document as it was written here; remembered, for each query looks at all writes."""
        write, known = self._writes[document_id], self._sort_keys.setdefault(index.id, {})
        made = known.get(document_id)
        if made is None or made[0] is not write:
            made = known[document_id] = (write, index.key_of(values.unpack(write.data)))
        return made[1]

    @property
    def children(self) -> list[Request]:
        return list(self._children.values())

    @property
    def cancels(self) -> list[str]:
        return list(self._cancels)

    def version(self, kind: str, key: str) -> Reads[str]:
        """The version of a 'job' (its state) or a 'key' (the job an idempotency key stands for), '' if absent."""
        yield from self._see(kind, key)
        return self._versions[kind, key]

    def get(self, document_id: str) -> Reads[bytes | None]:
        """A document's data with this transaction's own writes, None where there is none."""
        self._check_documents()
        written = self._writes.get(document_id)
        if written is not None:
            return None if written.op == "del" else written.data
        yield from self._see("doc", document_id)
        found = self._documents.get(document_id)
        return None if found is None else found.data

    def walk(self, scan: Scan) -> Reads[Walked]:
        """What a scan finds, without this transaction's own writes; one that was cut short counts as far as it came."""
        self.check_open()
        self._check_documents()
        snapshot: Snapshot = yield Read(scans=[scan])
        (walked,) = snapshot.walks
        if walked.stale:
            return walked
        seen = scan._replace(most=len(walked.documents)) if walked.cut else scan
        found = " ".join([document.id for document in walked.documents])
        if self._scans.get(seen, found) != found:
            self.conflict()
        if seen not in self._scans:
            self._count_scan(len(walked.documents))
        self._scans[seen] = found
        for document in walked.documents:
            self._record("doc", document)
        yield from self._catch_up(snapshot.sequence)
        return walked

    def committed(self, document_id: str) -> Document | None:
        """A document as it was read, None where it was absent or has not been read."""
        return self._documents.get(document_id)

    def has_added(self, document_id: str) -> bool:
        """Whether this transaction has ever added the document, even if it has deleted it since."""
        return document_id in self._added

    def put(self, document_id: str, data: bytes, *, new: bool) -> None:
        """Buffer a document; `new` where it did not exist for this transaction.

        Raises:
            LimitExceeded: Too many documents, or one too large.
        """
        self._check_documents()
        if len(data) > self._limits.document_bytes:
            raise LimitExceeded(
                f"document {document_id}: takes {len(data):,} bytes, the limit is {self._limits.document_bytes:,}"
            )
        before = self._writes.get(document_id)
        replaces = before is not None and (before.op == "put" or (before.op == "del" and self._existed(document_id)))
        if replaces or (not new and before is None):
            self._write(document_id, Write("put", data))
        else:
            number = next(self._numbers) if before is None else before.number
            self._write(document_id, Write("add", data, number))
            self._added.add(document_id)

    def delete(self, document_id: str) -> None:
        """Buffer the removal of a document."""
        self._check_documents()
        self.check_open()
        if document_id in self._writes and not self._existed(document_id):
            self._written_bytes -= len(self._writes.pop(document_id).data)
        else:
            self._write(document_id, Write("del", b""))

    def add_child(self, request: Request) -> None:
        """Buffer a job.

        Raises:
            LimitExceeded: More than 1,000 jobs or 16 MiB of arguments in one mutation (C2.9).
        """
        self.check_open()
        if len(self._children) == self._limits.jobs:
            raise LimitExceeded(f"one mutation may schedule {self._limits.jobs:,} jobs")
        if self._children_bytes + request.size > self._limits.jobs_bytes:
            raise LimitExceeded(f"one mutation may schedule jobs with {self._limits.jobs_bytes:,} bytes of arguments")
        self._children_bytes += request.size
        self._children[request.id] = request

    def child(self, job_id: str) -> Request | None:
        """A job scheduled earlier in this transaction."""
        return self._children.get(job_id)

    def child_of_key(self, key: str) -> Request | None:
        """The job that this transaction scheduled under an idempotency key."""
        return next((child for child in self._children.values() if child.key == key), None)

    def cancel_child(self, job_id: str) -> None:
        """A job scheduled and canceled in one mutation is stored as canceled (C4)."""
        self.check_open()
        self._children[job_id] = self._children[job_id]._replace(born="canceled")

    def cancel(self, job_id: str) -> None:
        """Buffer the cancel of a job that exists already."""
        self.check_open()
        self._cancels[job_id] = None

    def canceled(self, job_id: str) -> bool:
        """Whether this transaction has canceled the job."""
        child = self._children.get(job_id)
        return job_id in self._cancels or (child is not None and child.born == "canceled")

    @contextmanager
    def nested(self, level: int) -> Iterator[Scope]:
        """A block whose effects are forgotten if it raises (C3.9), and be it a cancel; raises as `savepoint` does."""
        savepoint, scope = self.savepoint(level), Scope()
        try:
            yield scope
        except BaseException:
            self.restore(savepoint)
            raise
        finally:
            scope.end()
        self.release(savepoint)

    def savepoint(self, level: int = 0) -> Savepoint:
        """What is buffered now. Reads are not part of it: what a handler saw, it saw.

        Args:
            level: How deep the caller is nested. Savepoints are a stack: of two at one level at the same time, undoing
                one would undo the other's work.

        Raises:
            InvalidCall: A savepoint of this level is in use.
        """
        self.check_open()
        if level != self._depth:
            raise InvalidCall(
                "run_mutation: another mutation called from here has not ended yet; await them one by one"
            )
        self._depth += 1
        return Savepoint(
            level, dict(self._writes), self._written_bytes, dict(self._children), self._children_bytes,
            dict(self._cancels),
        )  # fmt: skip

    def release(self, savepoint: Savepoint) -> None:
        """Keep what was buffered since a savepoint."""
        self._depth = savepoint.level

    def restore(self, savepoint: Savepoint) -> None:
        """Forget what was buffered since a savepoint (C3.9)."""
        self._depth = savepoint.level
        self._writes = dict(savepoint.writes)
        self._written_bytes = savepoint.written_bytes
        self._children = dict(savepoint.children)
        self._children_bytes = savepoint.children_bytes
        self._cancels = dict(savepoint.cancels)

    def close(self) -> None:
        """The handler has ended: whatever it left running (a task, a thread) can do nothing more here."""
        self._closed = True

    def still_holds(self) -> Reads[bool]:
        """Whether all that was read is still so."""
        if not self._versions and not self._scans:
            return True
        checked: Checked = yield Check(self.reads, self.scans)
        return checked.holds

    def conflict(self) -> NoReturn:
        """Start the handler again: something it is about to be shown differs from what it has seen."""
        self.conflicted = True
        raise Conflict

    def _existed(self, document_id: str) -> bool:
        return bool(self._versions.get(("doc", document_id)))

    def check_open(self) -> None:
        """Raise if the handler has ended."""
        if self._closed:
            raise RuntimeError("the mutation has ended: its context can do nothing more")

    def _check_documents(self) -> None:
        if not self._has_documents:
            raise InvalidCall(
                "ctx.db: a mutation with transaction= has its data in SQL, and two stores cannot commit as one "
                "(use ctx.sql; of ctx.db there is only ctx.db.system)"
            )

    def _write(self, document_id: str, write: Write) -> None:
        self.check_open()
        if document_id not in self._writes and len(self._writes) == self._limits.documents_written:
            raise LimitExceeded(f"one mutation may write {self._limits.documents_written:,} documents")
        before = self._writes.get(document_id)
        size = self._written_bytes + len(write.data) - (0 if before is None else len(before.data))
        if len(write.data) and size > self._limits.written_bytes:
            raise LimitExceeded(
                f"document {document_id}: one mutation may write {self._limits.written_bytes:,} bytes of documents "
                "(limits: written_bytes)"
            )
        self._written_bytes = size
        self._writes[document_id] = write

    def _see(self, kind: str, key: str) -> Reads[None]:
        self.check_open()
        if (kind, key) in self._versions:
            return
        snapshot: Snapshot = yield Read([(kind, key)])
        self._record(kind, snapshot.things[0])
        # Always for a job or a key, which changes without a commit of documents.
        yield from self._catch_up(snapshot.sequence, certainly=kind != "doc")

    def _count_scan(self, documents: int) -> None:
        """The commit walks all of it once more. Twice the limit is enough for each document in a scan of its own."""
        self._walked += 1 + documents
        if self._walked > 2 * self._limits.documents_read:
            raise LimitExceeded(
                f"one mutation may read {self._limits.documents_read:,} documents, and its queries find twice as many "
                "at most (a query counts as one too)"
            )

    def _record(self, kind: str, seen: Document) -> None:
        known = self._versions.get((kind, seen.id))
        if known is None:
            if len(self._versions) >= self._limits.documents_read:
                raise LimitExceeded(f"one mutation may read {self._limits.documents_read:,} documents")
            self._versions[kind, seen.id] = seen.version
            if kind == "doc" and seen.version:
                self._documents[seen.id] = seen
        elif known != seen.version:
            self.conflict()

    def _catch_up(self, sequence: int, *, certainly: bool = False) -> Reads[None]:
        """Others have committed since the last read: look whether all that was seen is one state still."""
        if self._sequence is not None and (certainly or sequence != self._sequence):
            checked: Checked = yield Check(self.reads, self.scans)
            if not checked.holds:
                self.conflict()
            sequence = checked.sequence
        self._sequence = sequence


def _moves(
    index: Index, document_id: str, old: dict[str, Any] | None, new: dict[str, Any] | None, *, ready: bool
) -> list[tuple[str, str, str, bytes]]:
    """The entry that goes and the one that comes.

    One that stays comes too while the index is built: it may not be there yet, and the Indexer passes over a document
    that was written after it was read.
    """
    old_key = None if old is None else index.key_of(old)
    new_key = None if new is None else index.key_of(new)
    if old_key == new_key and ready:
        return []
    gone = [("del", index.id, document_id, old_key)] if old_key is not None else []
    return [*gone, ("add", index.id, document_id, new_key)] if new_key is not None else gone

"""What a mutation has read and means to do. Nothing leaves before its commit, and then all of it at once (C3.1, C6).

Reads are one consistent state: each tells the sequence of the last commit, and whenever that has moved past what this
transaction has seen, all that was read so far is read again. If it changed, the handler has half seen another's
commit and
starts over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from scheduler.call import Request
from scheduler.errors import InvalidCall, LimitExceeded
from scheduler.settings import Limits
from scheduler.transitions import Snapshot

Reader = Callable[[Sequence[tuple[str, str]]], Awaitable[Snapshot]]
"""Reads (kind, key) pairs at one moment: kinds 'doc', 'job', 'key'."""


class Conflict(BaseException):
    """What was read has changed. Not an `Exception`, so that a handler's own `except Exception` lets it pass."""


@dataclass(frozen=True, slots=True)
class _Write:
    op: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Savepoint:
    """The buffered effects of a transaction at one moment."""

    level: int
    writes: Mapping[str, _Write]
    children: Mapping[str, Request]
    children_bytes: int
    cancels: Mapping[str, None]


class Transaction:
    """The read set, write set, children and cancels of one start of a mutation.

    Args:
        read: Asks Redis.
        limits: What it may hold at most.
        documents: Whether it may read and write documents; not where its effects are in SQL (C6.4).
    """

    def __init__(self, read: Reader, limits: Limits, *, documents: bool = True) -> None:
        self._documents = documents
        self._read = read
        self._limits = limits
        self._sequence: int | None = None
        self._versions: dict[tuple[str, str], str] = {}
        self._data: dict[str, bytes] = {}
        self._writes: dict[str, _Write] = {}
        self._children: dict[str, Request] = {}
        self._children_bytes = 0
        self._cancels: dict[str, None] = {}
        self._closed = False
        self._depth = 0
        self._reading = asyncio.Lock()
        self.conflicted = False
        """Whether a handler was shown a conflict; whatever it made of that, it starts over."""

    @property
    def reads(self) -> list[tuple[str, str, str]]:
        """(kind, key, version seen), as the commit script checks them."""
        return [(kind, key, version) for (kind, key), version in self._versions.items()]

    @property
    def writes(self) -> list[tuple[str, str, bytes]]:
        return [(write.op, document_id, write.data) for document_id, write in self._writes.items()]

    @property
    def children(self) -> list[Request]:
        return list(self._children.values())

    @property
    def cancels(self) -> list[str]:
        return list(self._cancels)

    async def version(self, kind: str, key: str) -> str:
        """The version of a 'job' (its state) or a 'key' (the job an idempotency key stands for), '' if absent."""
        await self._see(kind, key)
        return self._versions[kind, key]

    async def get(self, document_id: str) -> bytes | None:
        """A document's data with this transaction's own writes, None where there is none."""
        self._check_documents()
        written = self._writes.get(document_id)
        if written is not None:
            return None if written.op == "del" else written.data
        await self._see("doc", document_id)
        return self._data.get(document_id)

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
        self._write(document_id, _Write("put" if replaces or (not new and before is None) else "add", data))

    def delete(self, document_id: str) -> None:
        """Buffer the removal of a document."""
        self._check_documents()
        self.check_open()
        if document_id in self._writes and not self._existed(document_id):
            del self._writes[document_id]
        else:
            self._write(document_id, _Write("del", b""))

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
    def nested(self, level: int) -> Iterator[None]:
        """A block whose effects are forgotten if it raises (C3.9), and be it a cancel; raises as `savepoint` does."""
        savepoint = self.savepoint(level)
        try:
            yield
        except BaseException:
            self.restore(savepoint)
            raise
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
        return Savepoint(level, dict(self._writes), dict(self._children), self._children_bytes, dict(self._cancels))

    def release(self, savepoint: Savepoint) -> None:
        """Keep what was buffered since a savepoint."""
        self._depth = savepoint.level

    def restore(self, savepoint: Savepoint) -> None:
        """Forget what was buffered since a savepoint (C3.9)."""
        self._depth = savepoint.level
        self._writes = dict(savepoint.writes)
        self._children = dict(savepoint.children)
        self._children_bytes = savepoint.children_bytes
        self._cancels = dict(savepoint.cancels)

    def close(self) -> None:
        """The handler has ended: whatever it left running (a task, a thread) can do nothing more here."""
        self._closed = True

    async def still_holds(self) -> bool:
        """Whether all that was read is still so."""
        if not self._versions:
            return True
        snapshot = await self._read(list(self._versions))
        return [version for version, _ in snapshot.items] == list(self._versions.values())

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
        if not self._documents:
            raise InvalidCall(
                "ctx.db: a mutation with transaction= has its data in SQL, and two stores cannot commit as one "
                "(use ctx.sql; of ctx.db there is only ctx.db.system)"
            )

    def _write(self, document_id: str, write: _Write) -> None:
        self.check_open()
        if document_id not in self._writes and len(self._writes) == self._limits.documents_written:
            raise LimitExceeded(f"one mutation may write {self._limits.documents_written:,} documents")
        self._writes[document_id] = write

    async def _see(self, kind: str, key: str) -> None:
        # One at a time: what a handler reads in parallel must be one state too.
        async with self._reading:
            self.check_open()
            await self._see_alone(kind, key)

    async def _see_alone(self, kind: str, key: str) -> None:
        if (kind, key) in self._versions:
            return
        if len(self._versions) >= self._limits.documents_read:
            raise LimitExceeded(f"one mutation may read {self._limits.documents_read:,} documents")
        sequence, ((version, data),) = await self._read([(kind, key)])
        if self._sequence is not None and (sequence != self._sequence or kind != "doc"):
            sequence = await self._revalidate([*self._versions, (kind, key)], version)
        self._sequence = sequence
        self._versions[kind, key] = version
        if kind == "doc" and version:
            self._data[key] = data

    async def _revalidate(self, items: list[tuple[str, str]], latest: str) -> int:
        """Read everything again at one moment; always for a job, which changes without a commit of documents."""
        expected = [*self._versions.values(), latest]
        snapshot = await self._read(items)
        if [version for version, _ in snapshot.items] != expected:
            self.conflict()
        return snapshot.sequence

"""What a mutation needs whose effects are in SQL: a transaction with a row of its job in it (C6.4).

The row, in a table called the inbox, is the first thing that a start of the job writes, and commits with all the rest.
So an old worker and a new one wait for each other there, and whoever comes later finds how the job ended. `sql.py` has
it for SQLAlchemy; `docs/sql.md` shows it for plain DB-API in twenty lines.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from scheduler import values
from scheduler.call import Request
from scheduler.errors import InvalidOption, InvalidValue
from scheduler.job import JobState

S = TypeVar("S")

_VERSION = 1


@runtime_checkable
class AsyncInbox(Protocol[S]):
    """`transaction=` of `async def` mutations. `S` is what handlers get as `ctx.sql`.

    `job` is a text of at most 91 characters, the key of a row: "<namespace>:<job id>".
    """

    def begin(self) -> AbstractAsyncContextManager[S]:
        """Open a transaction; leaving the block rolls back what was not committed."""

    async def take(self, session: S, job: str, now_ms: int) -> bytes | None:
        """Insert the job's row, as the transaction's first statement; wait for others that have done so.

        Returns:
            None if the row is this transaction's now; else the outcome in the row that is there (b"" if there is none).
        """

    async def record(self, session: S, job: str, outcome: bytes) -> None:
        """Put the outcome into the row, as the last statement. An error if the row is there no more."""

    async def commit(self, session: S) -> None:
        """Commit. After an error the row will be asked what became of it."""

    def savepoint(self, session: S) -> AbstractAsyncContextManager[Any]:
        """A block that is undone if it raises."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether a handler that raised this is to run again (C3.3)."""


@runtime_checkable
class BlockingInbox(Protocol[S]):
    """`transaction=` of plain `def` mutations; see `AsyncInbox`. One thread makes all calls of one transaction."""

    def begin(self) -> AbstractContextManager[S]:
        """See `AsyncInbox.begin`."""

    def take(self, session: S, job: str, now_ms: int) -> bytes | None:
        """See `AsyncInbox.take`."""

    def record(self, session: S, job: str, outcome: bytes) -> None:
        """See `AsyncInbox.record`."""

    def commit(self, session: S) -> None:
        """See `AsyncInbox.commit`."""

    def savepoint(self, session: S) -> AbstractContextManager[Any]:
        """See `AsyncInbox.savepoint`."""

    def is_transient(self, error: BaseException) -> bool:
        """See `AsyncInbox.is_transient`."""


AnyInbox = AsyncInbox[Any] | BlockingInbox[Any]


def is_async(inbox: AnyInbox) -> bool:
    """Which of the two protocols it has."""
    return inspect.iscoroutinefunction(inbox.take)


def check_inbox(inbox: object, name: str, *, async_handler: bool) -> AnyInbox:
    """Check the `transaction=` of a mutation.

    Raises:
        InvalidOption: It is none, or blocking with an `async def`, or async with a plain `def`.
    """
    if not isinstance(inbox, AsyncInbox | BlockingInbox):
        raise InvalidOption(f"transaction: expected SqlTransaction(engine) or the like, got a {type(inbox).__name__}")
    if is_async(inbox) and not async_handler:
        raise InvalidOption(f"transaction: {name} is a plain def, its transaction is async (use create_engine)")
    if async_handler and not is_async(inbox):
        raise InvalidOption(f"transaction: {name} is an async def, its transaction blocks (use create_async_engine)")
    return inbox


@runtime_checkable
class Prunable(Protocol):
    """An inbox whose rows the worker removes when they are old; its methods are async if `take` is.

    Attributes:
        keep_s: How long rows are kept, in seconds.
    """

    keep_s: float

    def find_old(self, prefix: str, before_ms: int, after: str, limit: int) -> Any:
        """Keys of rows taken before `before_ms`, in order, that begin with `prefix` and come after `after`."""

    def forget(self, jobs: Sequence[str]) -> Any:
        """Remove rows."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended, as its row keeps it until Redis knows.

    The row's format: one byte, the version (1); then msgpack: [state, value, time, children, cancels].

    Attributes:
        state: success or failed.
        value: The result or the `JobError`, packed.
        at_ms: When it was recorded, Redis time in epoch ms. A child's delay counts from then.
        children: The jobs it scheduled; their ids are fixed here, so that applying it twice makes them once.
        cancels: Ids of the jobs it canceled.
    """

    state: JobState
    value: bytes
    at_ms: int
    children: tuple[Request, ...] = ()
    cancels: tuple[str, ...] = ()

    def pack(self) -> bytes:
        children = [list(child) for child in self.children]
        fields = [self.state.value, self.value, self.at_ms, children, list(self.cancels)]
        return bytes([_VERSION]) + values.pack(fields, "outcome")

    @classmethod
    def unpack(cls, data: bytes) -> Outcome:
        """Read a row.

        Raises:
            InvalidValue: It is empty, damaged, or of a version that this code does not know.
        """
        if not data:
            raise InvalidValue("outcome: the row has none: something else has committed the transaction half-way")
        if data[0] != _VERSION:
            raise InvalidValue(f"outcome: version {data[0]}, this code knows {_VERSION}")
        try:
            state, value, at_ms, children, cancels = values.unpack(data[1:])
            outcome = cls(JobState(state), value, at_ms, tuple(map(_request, children)), tuple(cancels))
        except (TypeError, ValueError) as error:
            raise InvalidValue(f"outcome: damaged: {error}") from error
        texts = all(isinstance(job_id, str) for job_id in outcome.cancels)
        if (
            state not in ("success", "failed")
            or not isinstance(value, bytes)
            or not isinstance(at_ms, int)
            or not texts
        ):
            raise InvalidValue("outcome: damaged: a field of the wrong kind")
        return outcome

    def children_at(self, now_ms: int) -> list[Request]:
        """The children as they are sent at `now_ms`: what has passed since is taken off their delays (C2.7)."""
        passed_ms = max(0, now_ms - self.at_ms)
        return [child._replace(ms=child.ms - passed_ms) if child.mode == "after" else child for child in self.children]


def _request(fields: Sequence[Any]) -> Request:
    request = Request(*fields)
    kinds = [(text, str) for text in (*request[:4], *request[5:8])] + [(request.ms, int), (request.tail, bytes)]
    if not all(isinstance(value, kind) for value, kind in kinds):
        raise ValueError("a child with a field of the wrong kind")
    return request

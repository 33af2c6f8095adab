"""What a handler gets as its first parameter; for `async def` here, the blocking twins for plain `def` below.

A mutation reads through its transaction and buffers all it means to do. An action's calls take effect at once.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from scheduler.call import Call, Request
from scheduler.db import (
    BlockingDatabase,
    BlockingDatabaseReader,
    BlockingSystemTables,
    Database,
    DatabaseReader,
    SystemTables,
)
from scheduler.documents import Documents, Tables
from scheduler.errors import InvalidCall
from scheduler.function import AnyFunction, Function, Kind
from scheduler.ids import JobId, parse_job_id
from scheduler.job import CancelOutcome, Job, JobState
from scheduler.operations import Producer, Steps, cancel_many, get, prepare
from scheduler.reading import BlockingReader, Reader, Reads
from scheduler.scheduling import BlockingScheduling, Scheduling
from scheduler.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Log = logging.LoggerAdapter[logging.Logger]

SEALED = "sealed"
"""The version of a pending job whose SQL may have committed: it is too late to cancel it (see `lua/seal.lua`)."""

_log = logging.getLogger("duestream.job")


class Host(Protocol):
    """What a context needs of the worker that runs it."""

    @property
    def producer(self) -> Producer: ...

    @property
    def tables(self) -> Tables: ...

    def reader(self) -> Reader:
        """What carries the reads of one transaction."""

    async def drive(self, steps: Steps[T]) -> T:
        """Run steps on Redis."""

    async def schedule(self, request: Request) -> JobId:
        """Schedule a job at once."""

    async def run_mutation(self, function: AnyFunction, parent: str, args: Any, kwargs: Any) -> Any:
        """Run a mutation at once as its own transaction."""

    async def run_query(self, function: AnyFunction, parent: str, args: Any, kwargs: Any) -> Any:
        """Run a query at once on one consistent state."""

    async def run_handler(self, function: AnyFunction, ctx: Any, args: Any, kwargs: Any) -> Any:
        """Run a handler inside the job that calls it."""


class MutationScheduling(Scheduling):
    """`ctx.scheduler` of a mutation: part of its transaction (C2.7)."""

    def __init__(
        self, host: Host, transaction: Transaction, reader: Reader, job_id: str, log: Log, *, is_job: bool = True
    ) -> None:
        self._host = host
        self._reader = reader
        self._transaction = transaction
        self._job_id = job_id
        self._is_job = is_job
        self._log = log

    def _find(self, function: AnyFunction | str) -> AnyFunction | str:
        return self._host.producer.app.find(function)

    async def _schedule(self, call: Call) -> JobId:
        key = call.options.idempotency_key
        if key is not None:
            child = self._transaction.child_of_key(key)
            known = child.id if child is not None else await self._reader(self._transaction.version("key", key))
            if known:
                return JobId(known)
        (request,) = await self._host.drive(prepare(self._host.producer, [call], self._job_id))
        self._transaction.add_child(request)
        return request.id

    async def cancel(self, job_id: str) -> CancelOutcome:
        job_id = parse_job_id(job_id)
        transaction = self._transaction
        if job_id == self._job_id and self._is_job:
            self._log.warning("a mutation cannot cancel itself: %s goes on", job_id)
            return CancelOutcome.SELF
        if transaction.canceled(job_id):
            return CancelOutcome.FINISHED
        if transaction.child(job_id) is not None:
            transaction.cancel_child(job_id)
            return CancelOutcome.CANCELED
        state = await self._reader(transaction.version("job", job_id))
        if state == "":
            return CancelOutcome.UNKNOWN
        if state == SEALED or JobState(state).final:
            return CancelOutcome.FINISHED
        transaction.cancel(job_id)
        return CancelOutcome.RUNNING if state == JobState.IN_PROGRESS else CancelOutcome.CANCELED


class ActionScheduling(Scheduling):
    """`ctx.scheduler` of an action: each call takes effect at once and stays (C2.8)."""

    def __init__(self, host: Host, job_id: str) -> None:
        self._host = host
        self._job_id = job_id

    def _find(self, function: AnyFunction | str) -> AnyFunction | str:
        return self._host.producer.app.find(function)

    async def _schedule(self, call: Call) -> JobId:
        (request,) = await self._host.drive(prepare(self._host.producer, [call], self._job_id))
        return await self._host.schedule(request)

    async def cancel(self, job_id: str) -> CancelOutcome:
        (outcome,) = await self._host.drive(cancel_many([parse_job_id(job_id)]))
        return outcome


class _TransactionSystem(SystemTables):
    def __init__(self, host: Host, transaction: Transaction, reader: Reader) -> None:
        self._host = host
        self._transaction = transaction
        self._reader = reader

    async def get(self, job_id: str) -> Job | None:
        seen = await self._reader(self._transaction.version("job", parse_job_id(job_id)))
        job = await self._host.drive(get(job_id))
        if (job.state.value if job else "") != (JobState.PENDING if seen == SEALED else seen):
            self._transaction.conflict()
        return job


class _ActionSystem(SystemTables):
    def __init__(self, host: Host) -> None:
        self._host = host

    async def get(self, job_id: str) -> Job | None:
        return await self._host.drive(get(parse_job_id(job_id)))


class ActionDatabase:
    """`ctx.db` of an action: only the records of jobs; documents are read and written by mutations."""

    def __init__(self, system: SystemTables) -> None:
        self.system = system


class MutationContext:
    """The first parameter of an `async def` mutation.

    Attributes:
        db: Documents, read and written in this mutation's transaction.
        scheduler: Schedules and cancels jobs in the same transaction.
        job_id: The job that runs; of a mutation that an action runs at once, the action's.
        now: Redis time at the mutation's start, in epoch milliseconds; it stands still.
        attempt: 1 at the first start.
        log: A logger whose records carry job_id, function and attempt.
        documents, reader: What `db` is made of.
    """

    def __init__(
        self,
        host: Host,
        transaction: Transaction,
        *,
        job_id: str,
        name: str,
        now_ms: int,
        attempt: int,
        is_job: bool = True,
    ) -> None:
        self._level = 0
        self._host = host
        self._transaction = transaction
        self.job_id = JobId(job_id)
        self.now = now_ms
        self.attempt = attempt
        self.log = job_log(job_id, name, attempt)
        self.reader = host.reader()
        self.documents = Documents(transaction, host.tables, host.producer.ids)
        self.db = Database(self.documents, self.reader, _TransactionSystem(host, transaction, self.reader))
        self.scheduler = MutationScheduling(host, transaction, self.reader, job_id, self.log, is_job=is_job)

    async def run_mutation(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run another mutation inside this transaction (C3.9). If it raises, what it did is undone.

        Raises:
            InvalidCall: Not a mutation of this app, of another `transaction=`, or another one that was called from here
                has not ended yet.
        """
        self._host.producer.app.check_owns(function, Kind.MUTATION)
        self._check_nested(function)
        bound, bound_kwargs = function.parameters.bind(args, dict(kwargs))
        inner = copy.copy(self)
        inner._level = self._level + 1  # noqa: SLF001  its own kind
        with self._transaction.nested(self._level):
            async with self._savepoint():
                result: R = await self._host.run_handler(function, inner, bound, bound_kwargs)
        return result

    async def run_query(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query function inside this transaction: what it reads is part of what this mutation has read."""
        self._host.producer.app.check_owns(function, Kind.QUERY)
        bound, bound_kwargs = function.parameters.bind(args, dict(kwargs))
        inner = QueryContext(self._host, self._transaction, self.reader, self.job_id, function.name, self.now)
        result: R = await self._host.run_handler(function, inner, bound, bound_kwargs)
        return result

    @property
    def sql(self) -> Any:
        """The session of a mutation with `transaction=`; see `SqlContext`.

        Raises:
            InvalidCall: This one has none.
        """
        raise InvalidCall(
            "ctx.sql: this mutation has no transaction= (@app.mutation(transaction=SqlTransaction(engine)))"
        )

    def twin(self, bridge: Bridge) -> BlockingMutationContext:
        """The same for a plain `def`."""
        return BlockingMutationContext(self, bridge)

    def _check_nested(self, function: AnyFunction) -> None:
        if function.transaction is not None:
            raise InvalidCall(
                f"run_mutation: {function.name} has a transaction=, the mutation that calls it has none (two stores "
                "cannot commit as one; give both the same, or schedule it)"
            )

    def _savepoint(self) -> AbstractAsyncContextManager[Any]:
        """What is undone besides the buffer if a nested mutation raises."""
        return nullcontext()


class QueryContext:
    """The first parameter of an `async def` query.

    Attributes:
        db: Documents, read only; all that is read is one consistent state.
        job_id: The job that runs it.
        now: Redis time at the start, in epoch milliseconds; it stands still.
        log: A logger whose records carry job_id and function.
    """

    def __init__(
        self, host: Host, transaction: Transaction, reader: Reader, job_id: str, name: str, now_ms: int
    ) -> None:
        self._host = host
        self._transaction = transaction
        self.reader = reader
        self.job_id = JobId(job_id)
        self.now = now_ms
        self.log = job_log(job_id, name, 1)
        self.documents = Documents(transaction, host.tables, host.producer.ids)
        self.db = DatabaseReader(self.documents, reader, _TransactionSystem(host, transaction, reader))

    async def run_query(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run another query inside this one."""
        self._host.producer.app.check_owns(function, Kind.QUERY)
        bound, bound_kwargs = function.parameters.bind(args, dict(kwargs))
        inner = QueryContext(self._host, self._transaction, self.reader, self.job_id, function.name, self.now)
        result: R = await self._host.run_handler(function, inner, bound, bound_kwargs)
        return result

    def twin(self, bridge: Bridge) -> BlockingQueryContext:
        """The same for a plain `def`."""
        return BlockingQueryContext(self, bridge)


class ActionContext:
    """The first parameter of an `async def` action.

    Attributes:
        db: `db.system.get(job_id)` reads records of jobs.
        scheduler: Schedules and cancels jobs at once.
        job_id: The job that runs.
        attempt: The number of deliveries it took until the action began; it begins once.
        log: A logger whose records carry job_id, function and attempt.
    """

    def __init__(self, host: Host, *, job_id: str, name: str, attempt: int) -> None:
        self._host = host
        self.job_id = JobId(job_id)
        self.attempt = attempt
        self.log = job_log(job_id, name, attempt)
        self.db = ActionDatabase(_ActionSystem(host))
        self.scheduler = ActionScheduling(host, job_id)

    @property
    def now(self) -> int:
        """Redis time in epoch milliseconds; it goes on."""
        return self._host.producer.clock.now_ms()

    async def run_mutation(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a mutation at once as its own transaction, and return its result (C3.9).

        Raises:
            TooManyConflicts: Others changed what it read five times in a row.
            Exception: Whatever the mutation raised; it left no effect then.
        """
        self._host.producer.app.check_owns(function, Kind.MUTATION)
        bound, bound_kwargs = function.parameters.bind(args, dict(kwargs))
        result: R = await self._host.run_mutation(function, self.job_id, bound, bound_kwargs)
        return result

    async def run_query(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query function on one consistent state, and return its result.

        Raises:
            TooManyConflicts: Others changed what it read five times in a row.
        """
        self._host.producer.app.check_owns(function, Kind.QUERY)
        bound, bound_kwargs = function.parameters.bind(args, dict(kwargs))
        result: R = await self._host.run_query(function, self.job_id, bound, bound_kwargs)
        return result

    def twin(self, bridge: Bridge) -> BlockingActionContext:
        """The same for a plain `def`."""
        return BlockingActionContext(self, bridge)

    async def run_action(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run another action inside this one: a plain call (C3.9)."""
        self._host.producer.app.check_owns(function, Kind.ACTION)
        bound, bound_kwargs = function.parameters.bind(args, dict(kwargs))
        result: R = await self._host.run_handler(function, self, bound, bound_kwargs)
        return result


class Bridge:
    """Lets a thread wait for what the event loop does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        returned, raised = asyncio.run_coroutine_threadsafe(_quietly(coroutine), self._loop).result()
        if raised is not None:
            raise raised
        return cast("T", returned)


async def _quietly(coroutine: Coroutine[Any, Any, T]) -> tuple[T | None, BaseException | None]:
    """A SystemExit in a task would end the event loop; so it returns, and is raised in the thread."""
    try:
        return await coroutine, None
    except BaseException as error:  # noqa: BLE001  raised again by `Bridge.wait`
        return None, error


class _BridgedScheduling(BlockingScheduling):
    def __init__(self, inner: Scheduling, bridge: Bridge) -> None:
        self._inner = inner
        self._bridge = bridge

    def _find(self, function: AnyFunction | str) -> AnyFunction | str:
        return self._inner._find(function)  # noqa: SLF001  its blocking face

    def _schedule(self, call: Call) -> JobId:
        return self._bridge.wait(self._inner._schedule(call))  # noqa: SLF001  its blocking face

    def cancel(self, job_id: str) -> CancelOutcome:
        return self._bridge.wait(self._inner.cancel(job_id))


class _BridgedSystem(BlockingSystemTables):
    def __init__(self, inner: SystemTables, bridge: Bridge) -> None:
        self._inner = inner
        self._bridge = bridge

    def get(self, job_id: str) -> Job | None:
        return self._bridge.wait(self._inner.get(job_id))


class _BridgedReader(BlockingReader):
    def __init__(self, inner: Reader, bridge: Bridge) -> None:
        self._inner = inner
        self._bridge = bridge

    def __call__(self, reads: Reads[T], /) -> T:
        return self._bridge.wait(self._inner(reads))


class BlockingActionDatabase:
    """`ActionDatabase` for a thread."""

    def __init__(self, inner: ActionDatabase, bridge: Bridge) -> None:
        self.system: BlockingSystemTables = _BridgedSystem(inner.system, bridge)


class BlockingMutationContext:
    """The first parameter of a plain `def` mutation, which runs in a thread; see `MutationContext`."""

    def __init__(self, inner: MutationContext, bridge: Bridge) -> None:
        self._inner = inner
        self._bridge = bridge
        self.job_id = inner.job_id
        self.now = inner.now
        self.attempt = inner.attempt
        self.log = inner.log
        self.db = BlockingDatabase(
            inner.documents, _BridgedReader(inner.reader, bridge), _BridgedSystem(inner.db.system, bridge)
        )
        self.scheduler: BlockingScheduling = _BridgedScheduling(inner.scheduler, bridge)

    @property
    def sql(self) -> Any:
        """See `MutationContext.sql`."""
        return self._inner.sql

    def run_mutation(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `MutationContext.run_mutation`."""
        return self._bridge.wait(self._inner.run_mutation(function, *args, **kwargs))

    def run_query(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `MutationContext.run_query`."""
        return self._bridge.wait(self._inner.run_query(function, *args, **kwargs))


class BlockingQueryContext:
    """The first parameter of a plain `def` query, which runs in a thread; see `QueryContext`."""

    def __init__(self, inner: QueryContext, bridge: Bridge) -> None:
        self._inner = inner
        self._bridge = bridge
        self.job_id = inner.job_id
        self.now = inner.now
        self.log = inner.log
        self.db = BlockingDatabaseReader(
            inner.documents, _BridgedReader(inner.reader, bridge), _BridgedSystem(inner.db.system, bridge)
        )

    def run_query(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `QueryContext.run_query`."""
        return self._bridge.wait(self._inner.run_query(function, *args, **kwargs))


class BlockingActionContext:
    """The first parameter of a plain `def` action, which runs in a thread; see `ActionContext`."""

    def __init__(self, inner: ActionContext, bridge: Bridge) -> None:
        self._inner = inner
        self._bridge = bridge
        self.job_id = inner.job_id
        self.attempt = inner.attempt
        self.log = inner.log
        self.db = BlockingActionDatabase(inner.db, bridge)
        self.scheduler: BlockingScheduling = _BridgedScheduling(inner.scheduler, bridge)

    @property
    def now(self) -> int:
        """Redis time in epoch milliseconds; it goes on."""
        return self._inner.now

    def run_mutation(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `ActionContext.run_mutation`."""
        return self._bridge.wait(self._inner.run_mutation(function, *args, **kwargs))

    def run_query(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `ActionContext.run_query`."""
        return self._bridge.wait(self._inner.run_query(function, *args, **kwargs))

    def run_action(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `ActionContext.run_action`."""
        return self._bridge.wait(self._inner.run_action(function, *args, **kwargs))


def job_log(job_id: str, name: str, attempt: int) -> Log:
    """A logger for one start of one job."""
    return logging.LoggerAdapter(_log, {"job_id": job_id, "function": name, "attempt": attempt})


Context = MutationContext | QueryContext | ActionContext


def blocking_context(ctx: Context, bridge: Bridge) -> Any:
    """The twin of a context for a plain `def` handler."""
    return ctx.twin(bridge)

"""What an `async def` handler gets as its first parameter; `blocking_context.py` has the same for plain ones.

A mutation reads through its transaction and buffers all it means to do. An action's calls take effect at once.
"""

from __future__ import annotations

import copy
import logging
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import cached_property
from typing import Any, ParamSpec, Protocol, Self, TypeVar

from scheduler.call import Call, Request
from scheduler.db import Database, DatabaseReader, SystemTables
from scheduler.documents import Documents, Tables
from scheduler.errors import InvalidCall, InvalidOption
from scheduler.function import AnyFunction, Function, Kind
from scheduler.ids import JobId, parse_job_id
from scheduler.job import CancelOutcome, Job, JobState
from scheduler.operations import Producer, Steps, cancel_many, get, prepare
from scheduler.reading import Reader
from scheduler.savepoints import Scope
from scheduler.scheduling import Scheduling
from scheduler.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Log = logging.LoggerAdapter[logging.Logger]

SEALED = "sealed"
"""The version of a pending job whose SQL may have committed: it is too late to cancel it (see `lua/seal.lua`)."""

_FINAL = frozenset(state.value for state in JobState if state.final)

JOB_LOG = logging.getLogger("duestream.job")


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
        self,
        host: Host,
        transaction: Transaction,
        reader: Reader,
        job_id: str,
        log: Log,
        *,
        now_ms: int,
        is_job: bool = True,
    ) -> None:
        self._host = host
        self._reader = reader
        self._transaction = transaction
        self._job_id = job_id
        self._now_ms = now_ms
        self._is_job = is_job
        self._log = log
        self._scope = Scope()

    def within(self, scope: Scope) -> MutationScheduling:
        """The same for a nested mutation."""
        inner = copy.copy(self)
        inner._scope = scope  # noqa: SLF001  its own kind
        return inner

    def _find(self, function: AnyFunction | str) -> AnyFunction | str:
        return self._host.producer.app.find(function)

    async def _schedule(self, call: Call) -> JobId:
        if call.options.job_id is not None:
            raise InvalidOption("job_id: what a mutation schedules is atomic with it, and gets new ids with each start")
        key = call.options.idempotency_key
        if key is not None:
            child = self._transaction.child_of_key(key)
            known = child.id if child is not None else await self._reader(self._transaction.version("key", key))
            if known:
                return JobId(known)
        (request,) = await self._host.drive(prepare(self._host.producer, [call], self._job_id, self._now_ms))
        self._scope.check()
        self._transaction.add_child(request)
        return request.id

    async def cancel(self, job_id: str) -> CancelOutcome:
        job_id = parse_job_id(job_id)
        transaction = self._transaction
        if job_id == self._job_id and self._is_job:
            self._log.warning("a mutation cannot cancel itself: %s goes on", job_id)
            return CancelOutcome.SELF
        self._scope.check()
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
        self._scope.check()
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
        job = await self._host.drive(get(job_id, self._host.producer.keyring))
        if job is None and seen in _FINAL:
            return None  # a tombstone: the record is gone, its state is kept for a while
        if (job.state.value if job else "") != (JobState.PENDING if seen == SEALED else seen):
            self._transaction.conflict()
        return job


class _ActionSystem(SystemTables):
    def __init__(self, host: Host) -> None:
        self._host = host

    async def get(self, job_id: str) -> Job | None:
        return await self._host.drive(get(parse_job_id(job_id), self._host.producer.keyring))


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
        self._scope = Scope()
        self._host = host
        self._transaction = transaction
        self._name = name
        self._is_job = is_job
        self.job_id = JobId(job_id)
        self.now = now_ms
        self.attempt = attempt
        self.reader = host.reader()

    # Made when they are asked for: many a handler needs none of them.

    @cached_property
    def log(self) -> Log:
        return job_log(self.job_id, self._name, self.attempt)

    @cached_property
    def documents(self) -> Documents:
        return Documents(self._transaction, self._host.tables, self._host.producer.ids)

    @cached_property
    def db(self) -> Database:
        return Database(self.documents, self.reader, _TransactionSystem(self._host, self._transaction, self.reader))

    @cached_property
    def scheduler(self) -> MutationScheduling:
        return MutationScheduling(
            self._host, self._transaction, self.reader, self.job_id, self.log, now_ms=self.now, is_job=self._is_job
        )

    async def run_mutation(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run another mutation inside this transaction (C3.9). If it raises, what it did is undone.

        Raises:
            InvalidCall: Not a mutation of this app, of another `transaction=`, or another one that was called from here
                has not ended yet.
        """
        self._host.producer.app.check_owns(function, Kind.MUTATION)
        self._check_nested(function)
        bound, bound_kwargs = function.parameters.bind(args, dict(kwargs))
        self._scope.check()
        with self._transaction.nested(self._level) as scope:
            async with self._savepoint():
                result: R = await self._host.run_handler(function, self.within(scope), bound, bound_kwargs)
        return result

    async def run_query(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query function inside this transaction: what it reads is part of what this mutation has read."""
        self._host.producer.app.check_owns(function, Kind.QUERY)
        bound, bound_kwargs = function.parameters.bind(args, dict(kwargs))
        inner = QueryContext(self._host, self._transaction, self.reader, self.job_id, function.name, self.now)
        result: R = await self._host.run_handler(function, inner, bound, bound_kwargs)
        return result

    def within(self, scope: Scope) -> Self:
        """The same for a nested mutation."""
        inner = copy.copy(self)
        inner._level, inner._scope = self._level + 1, scope  # noqa: SLF001  its own kind
        inner.documents, inner.scheduler = self.documents.within(scope), self.scheduler.within(scope)
        inner.__dict__.pop("db", None)  # it has the documents of the outer one
        return inner

    @property
    def sql(self) -> Any:
        """The session of a mutation with `transaction=`; see `SqlContext`.

        Raises:
            InvalidCall: This one has none.
        """
        raise InvalidCall(
            "ctx.sql: this mutation has no transaction= (@app.mutation(transaction=SqlTransaction(engine)))"
        )

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
        self._name = name

    @cached_property
    def log(self) -> Log:
        return job_log(self.job_id, self._name, self.attempt)

    @cached_property
    def db(self) -> ActionDatabase:
        return ActionDatabase(_ActionSystem(self._host))

    @cached_property
    def scheduler(self) -> ActionScheduling:
        return ActionScheduling(self._host, self.job_id)

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

    async def run_action(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run another action inside this one: a plain call (C3.9)."""
        self._host.producer.app.check_owns(function, Kind.ACTION)
        bound, bound_kwargs = function.parameters.bind(args, dict(kwargs))
        result: R = await self._host.run_handler(function, self, bound, bound_kwargs)
        return result


def job_log(job_id: str, name: str, attempt: int) -> Log:
    """A logger for one start of one job."""
    return logging.LoggerAdapter(JOB_LOG, {"job_id": job_id, "function": name, "attempt": attempt})


Context = MutationContext | QueryContext | ActionContext

"""What contexts need of the worker: Redis for their calls, and mutations that actions run at once."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

from scheduler import transitions, values, versions
from scheduler.backoff import jittered_ms
from scheduler.batcher import Batcher
from scheduler.call import Request
from scheduler.catalog import IndexCatalog
from scheduler.context import MutationContext, QueryContext
from scheduler.documents import Tables
from scheduler.errors import DamagedData, TooManyConflicts
from scheduler.function import AnyFunction
from scheduler.ids import JobId
from scheduler.job import JobState
from scheduler.operations import BATCH_BYTES, BATCH_JOBS, Producer, Steps
from scheduler.reading import Check, Question, Read, Reader, SerialReader, Survey
from scheduler.refusals import ServerError
from scheduler.runner import AsyncRunner
from scheduler.script_call import Word
from scheduler.transaction import Conflict, Transaction
from scheduler.transitions import Commit, Delivery
from scheduler.versions import Catalog, Checked, Snapshot
from worker.at_once import CONFLICT_MS, TRIES, run_at_once
from worker.executor import Executor
from worker.in_time import in_time
from worker.persistence import Persistence

T = TypeVar("T")

_READ_DOCUMENTS, _CHECKED_DOCUMENTS = 1_000, 4_000
"""Documents that one call may look at: a few ms of the server."""


class WorkerHost:
    """The worker as contexts see it."""

    def __init__(
        self,
        store: AsyncRunner,
        producer: Producer,
        executor: Executor,
        persistence: Persistence,
        catalog: IndexCatalog,
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._executor = executor
        self._persistence = persistence
        self._catalog = catalog
        self._refresh = refresh
        self.producer = producer
        self.tables = Tables(producer.app.tables, catalog)
        # Handlers that read or schedule at the same time share a call.
        self._reads: Batcher[Read, Snapshot] = Batcher(
            self._send_reads, 100, _documents_read, _READ_DOCUMENTS, (ServerError, DamagedData)
        )
        self._checks: Batcher[Check, Checked] = Batcher(
            self._send_checks, 100, _documents_checked, _CHECKED_DOCUMENTS, (ServerError,)
        )
        self._schedules: Batcher[Request, tuple[Word, str]] = Batcher(
            self._send_schedules, BATCH_JOBS, lambda request: request.size, BATCH_BYTES, (ServerError,)
        )

    async def drive(self, steps: Steps[T]) -> T:
        return await self._store.drive(steps)

    async def schedule(self, request: Request) -> JobId:
        _, job_id = await self._schedules.submit(request)
        return JobId(job_id)

    def transaction(self, *, documents: bool = True) -> Transaction:
        return Transaction(self.producer.app.limits, self._catalog, documents=documents)

    def reader(self) -> Reader:
        return SerialReader(self._answer)

    async def run_handler(self, function: AnyFunction, ctx: Any, args: Any, kwargs: Any) -> Any:
        return await in_time(function, self._executor.call_nested(function, ctx, args, kwargs))

    async def run_mutation(self, function: AnyFunction, parent: str, args: Any, kwargs: Any) -> Any:
        """Run a mutation at once as its own transaction; up to five times if others change what it reads (C3.9).

        Raises:
            TooManyConflicts: The fifth time was in vain too.
            Exception: What the handler raised, after what it had read was found unchanged.
        """
        if function.transaction is not None:
            return await run_at_once(self, self._executor, self._persistence, function, parent, args, kwargs)
        for attempt in range(1, TRIES + 1):
            transaction, started = self.transaction(), time.monotonic()
            ctx = MutationContext(
                self,
                transaction,
                job_id=parent,
                name=function.name,
                now_ms=self.producer.clock.now_ms(),
                attempt=attempt,
                is_job=False,
            )
            try:
                result = await in_time(function, self._executor.call_nested(function, ctx, args, kwargs))
                values.pack(result, "result")
                if not transaction.conflicted and await self._commit(function, transaction, started):
                    return result
            except Conflict:
                pass
            except (Exception, BaseExceptionGroup):  # a task group wraps the conflict of one of its tasks
                if not transaction.conflicted and await self.reader()(transaction.still_holds()):
                    raise
            finally:
                transaction.close()
            await asyncio.sleep(jittered_ms(attempt, *CONFLICT_MS) / 1000)
        raise TooManyConflicts(f"{function.name}: what it read was changed by others {TRIES} times in a row")

    async def run_query(self, function: AnyFunction, parent: str, args: Any, kwargs: Any) -> Any:
        """Run a query on one consistent state; up to five times if others change what it reads meanwhile.

        Raises:
            TooManyConflicts: The fifth time was in vain too.
            Exception: What the handler raised.
        """
        for attempt in range(1, TRIES + 1):
            transaction = self.transaction()
            now_ms = self.producer.clock.now_ms()
            ctx = QueryContext(self, transaction, self.reader(), parent, function.name, now_ms)
            try:
                result = await in_time(function, self._executor.call_nested(function, ctx, args, kwargs))
                if not transaction.conflicted:
                    return result
            except Conflict:
                pass
            except (Exception, BaseExceptionGroup):  # as above
                if not transaction.conflicted:
                    raise
            finally:
                transaction.close()
            await asyncio.sleep(jittered_ms(attempt, *CONFLICT_MS) / 1000)
        raise TooManyConflicts(f"{function.name}: what it read was changed by others {TRIES} times in a row")

    async def _commit(self, function: AnyFunction, transaction: Transaction, started: float) -> bool:
        elapsed_ms = int((time.monotonic() - started) * 1000)
        no_job = Delivery("", "", "", f"{secrets.token_urlsafe(16)}:0", 1)
        ended = Commit(no_job, function.name, "", elapsed_ms, JobState.SUCCESS, b"")
        commit = transaction.with_effects(ended)._replace(written_ms=self.producer.clock.now_ms())
        (word,) = await self._persistence.run(transitions.commit([commit], ""))
        if word is Word.STALE:
            await self._refresh()
        return word in (Word.OK, Word.ALREADY)

    async def _answer(self, question: Question) -> Snapshot | Checked | Catalog:
        match question:
            case Read():
                return await self._reads.submit(question)
            case Check():
                return await self._checks.submit(question)
            case Survey():
                return await self._store.run(versions.declare())

    async def _send_reads(self, reads: Sequence[Read]) -> list[Snapshot]:
        snapshot = await self._store.run(
            versions.read(
                [thing for read in reads for thing in read.things], [scan for read in reads for scan in read.scans]
            )
        )
        things, walks = iter(snapshot.things), iter(snapshot.walks)
        return [
            Snapshot(snapshot.sequence, list(islice(things, len(read.things))), list(islice(walks, len(read.scans))))
            for read in reads
        ]

    async def _send_checks(self, checks: Sequence[Check]) -> list[Checked]:
        return await self._store.run(versions.check(checks))

    async def _send_schedules(self, requests: Sequence[Request]) -> list[tuple[Word, str]]:
        return await self._store.run(transitions.schedule(requests))


def _documents_read(read: Read) -> int:
    return len(read.things) + sum(scan.most for scan in read.scans)


def _documents_checked(check: Check) -> int:
    return len(check.reads) + sum(scan.most for scan, _ in check.scans)

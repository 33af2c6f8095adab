"""What contexts need of the worker: Redis for their calls, and mutations that actions run at once."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Sequence
from typing import Any, TypeVar

from scheduler import transitions, values
from scheduler.backoff import jittered_ms
from scheduler.batcher import Batcher
from scheduler.call import Request
from scheduler.context import MutationContext
from scheduler.errors import TooManyConflicts
from scheduler.function import AnyFunction
from scheduler.ids import JobId
from scheduler.operations import BATCH_BYTES, BATCH_JOBS, Producer, Steps
from scheduler.store import AsyncStore, ServerError
from scheduler.transaction import Conflict, Transaction
from scheduler.transitions import Commit, Delivery, Snapshot, Word
from worker.at_once import run_at_once
from worker.executor import Executor
from worker.persistence import Persistence

T = TypeVar("T")

_TRIES = 5
_CONFLICT_MS = (10, 1_000)


class WorkerHost:
    """The worker as contexts see it."""

    def __init__(self, store: AsyncStore, producer: Producer, executor: Executor, persistence: Persistence) -> None:
        self._store = store
        self._executor = executor
        self._persistence = persistence
        self.producer = producer
        # Handlers that read or schedule at the same time share a call.
        self._reads: Batcher[Sequence[tuple[str, str]], Snapshot] = Batcher(
            self._send_reads, 100, alone_on=(ServerError,)
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
        return Transaction(self._reads.submit, self.producer.app.limits, documents=documents)

    async def run_handler(self, function: AnyFunction, ctx: Any, args: Any, kwargs: Any) -> Any:
        return await self._executor.call_nested(function, ctx, args, kwargs)

    async def run_mutation(self, function: AnyFunction, parent: str, args: Any, kwargs: Any) -> Any:
        """Run a mutation at once as its own transaction; up to five times if others change what it reads (C3.9).

        Raises:
            TooManyConflicts: The fifth time was in vain too.
            Exception: What the handler raised, after what it had read was found unchanged.
        """
        if function.transaction is not None:
            return await run_at_once(self, self._executor, self._persistence, function, parent, args, kwargs)
        for attempt in range(1, _TRIES + 1):
            transaction = self.transaction()
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
                async with asyncio.timeout(function.timeout_s):
                    result = await self._executor.call_nested(function, ctx, args, kwargs)
                values.pack(result, "result")
                if await self._commit(function, transaction):
                    return result
            except Conflict:
                pass
            except Exception:
                if await transaction.still_holds():
                    raise
            finally:
                transaction.close()
            await asyncio.sleep(jittered_ms(attempt, *_CONFLICT_MS) / 1000)
        raise TooManyConflicts(f"{function.name}: what it read was changed by others {_TRIES} times in a row")

    async def _commit(self, function: AnyFunction, transaction: Transaction) -> bool:
        no_job = Delivery("", "", "", f"{secrets.token_urlsafe(16)}:0", 1)
        commit = Commit(
            no_job,
            function.name,
            "",
            0,
            "success",
            b"",
            transaction.reads,
            transaction.writes,
            transaction.children,
            transaction.cancels,
        )
        (word,) = await self._persistence.run(transitions.commit([commit], ""))
        return word in (Word.OK, Word.ALREADY)

    async def _send_reads(self, wanted: Sequence[Sequence[tuple[str, str]]]) -> list[Snapshot]:
        snapshot = await self._store.run(transitions.read([item for items in wanted for item in items]))
        left = iter(snapshot.items)
        return [Snapshot(snapshot.sequence, list(itertools.islice(left, len(items)))) for items in wanted]

    async def _send_schedules(self, requests: Sequence[Request]) -> list[tuple[Word, str]]:
        return await self._store.run(transitions.schedule(requests))

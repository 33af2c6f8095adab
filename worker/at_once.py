"""A mutation with `transaction=` that an action runs at once: a row of its own, under an id of its own (C3.9, C6.4).

The row tells whether a COMMIT with a lost answer has happened. But nobody runs an action again: if the worker dies
between COMMIT and Redis, what is in SQL stands, and the jobs that this call scheduled do not come to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from scheduler import transitions, values
from scheduler.backoff import jittered_ms
from scheduler.context import Host
from scheduler.errors import TooManyConflicts
from scheduler.function import AnyFunction
from scheduler.inbox import Outcome
from scheduler.job import JobState
from scheduler.transaction import Conflict, Transaction
from scheduler.transitions import Commit, Delivery
from worker.executor import Executor, mutation_context
from worker.in_time import in_time
from worker.persistence import Persistence
from worker.unit import Unit, is_transient, opened, row_key

T = TypeVar("T")

TRIES = 5
CONFLICT_MS = (10, 1_000)


class CallHost(Host, Protocol):
    """What a call needs of the worker besides what contexts do."""

    def transaction(self, *, documents: bool = True) -> Transaction:
        """A new one."""


async def run_at_once(
    host: CallHost,
    executor: Executor,
    persistence: Persistence,
    function: AnyFunction,
    parent: str,
    args: Any,
    kwargs: Any,
) -> Any:
    """Run it; up to five times on conflicts and transient errors.

    Raises:
        TooManyConflicts: What it read in Redis was changed by others five times in a row.
        Exception: What the handler or the fifth try raised. After a lost connection in the fifth COMMIT it is not known
            whether that happened.
    """
    call = _Call(host, executor, persistence, function, parent)
    for attempt in range(1, TRIES + 1):
        try:
            return await call.attempt(attempt, args, kwargs)
        except Conflict:
            pass
        except Exception as error:
            if attempt == TRIES or not is_transient(host.producer.app, function, error):
                raise
        await asyncio.sleep(jittered_ms(attempt, *CONFLICT_MS) / 1000)
    raise TooManyConflicts(f"{function.name}: what it read was changed by others {TRIES} times in a row")


class _Call:
    def __init__(
        self, host: CallHost, executor: Executor, persistence: Persistence, function: AnyFunction, parent: str
    ) -> None:
        assert function.transaction is not None
        self._host = host
        self._executor = executor
        self._persistence = persistence
        self._function = function
        self._inbox = function.transaction
        self._parent = parent
        self._id = host.producer.ids.new()

    async def attempt(self, attempt: int, args: Any, kwargs: Any) -> Any:
        transaction, now_ms = self._host.transaction(documents=False), self._host.producer.clock.now_ms()
        try:
            async with opened(self._inbox, row_key(self._host.producer.app, self._id)) as unit:
                found = await unit.take(now_ms)
                if found is None:
                    result = await self._run(unit, transaction, attempt, now_ms, args, kwargs)
                    transaction.close()
                    await _to_the_end(self._settle(unit, transaction, now_ms, result))
                    return result
        finally:
            transaction.close()
        # The COMMIT of the last try had happened, only its answer was lost.
        outcome = Outcome.unpack(found)
        await _to_the_end(self._apply(outcome))
        return self._function.parameters.returns.load_result(values.unpack(outcome.value))

    async def _run(
        self, unit: Unit, transaction: Transaction, attempt: int, now_ms: int, args: Any, kwargs: Any
    ) -> Any:
        ctx = mutation_context(
            self._host,
            transaction,
            self._function,
            unit,
            job_id=self._parent,
            name=self._function.name,
            now_ms=now_ms,
            attempt=attempt,
            is_job=False,
        )
        try:
            return await in_time(self._function, self._executor.call(self._function, ctx, args, kwargs, unit))
        except (Exception, BaseExceptionGroup) as error:  # a task group wraps the conflict of one of its tasks
            if not transaction.conflicted and await self._host.reader()(transaction.still_holds()):
                raise
            raise Conflict from error  # it may have failed for what it half saw (C3.2)

    async def _settle(self, unit: Unit, transaction: Transaction, now_ms: int, result: Any) -> None:
        outcome = Outcome(
            JobState.SUCCESS,
            values.pack(result, "result"),
            now_ms,  # the start: the delays of what it schedules count from there (C2.7)
            tuple(transaction.children),
            tuple(transaction.cancels),
        )
        await unit.record(outcome.pack())
        if transaction.conflicted or not await self._host.reader()(transaction.still_holds()):
            raise Conflict
        await unit.commit()
        await self._apply(outcome)

    async def _apply(self, outcome: Outcome) -> None:
        no_job = Delivery("", "", "", self._id, 1)
        now_ms = self._host.producer.clock.now_ms()
        commit = Commit(
            no_job,
            self._function.name,
            "",
            0,
            JobState.SUCCESS,
            b"",
            children=outcome.children_at(now_ms),
            cancels=outcome.cancels,
            written_ms=now_ms,
        )
        await self._persistence.run(transitions.commit([commit], ""))


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for what must not be cut off; a cancel is passed on when it has ended."""
    task = asyncio.ensure_future(work)
    canceled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            canceled = error
    if canceled is not None:
        raise canceled
    return task.result()

"""The executor: runs a handler and says how it ended. Never sees Redis, and never decides what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from scheduler import values
from scheduler.blocking_context import Bridge, blocking_context
from scheduler.context import ActionContext, Context, Host, MutationContext
from scheduler.effects import Effects
from scheduler.errors import InvalidArguments, InvalidCall, LimitExceeded
from scheduler.function import AnyFunction
from scheduler.sql_context import SqlContext
from scheduler.transaction import Conflict, Transaction
from worker.delivery import Held, Interruption
from worker.ended import Conflicted, Ended, Interrupted, Raised, Returned
from worker.isolation import Isolation
from worker.threads import Threads, run_in
from worker.time_limits import TimeLimits
from worker.unit import Unit


class Executor:
    """Calls handlers: `async def` on the event loop, plain `def` in threads.

    Args:
        threads: How many plain handlers may run at once.
        result_bytes: The largest result, packed.
        isolation: Runs what wants a process of its own; None in such a process.
    """

    def __init__(self, threads: int, result_bytes: int, isolation: Isolation | None = None) -> None:
        self._size = threads
        self._threads = self._pool()
        self._loop = asyncio.get_running_loop()
        self._bridge = Bridge(self._loop)
        self._limits = TimeLimits(self._loop)
        self._result_bytes = result_bytes
        self._isolation = isolation
        self._worker: asyncio.Task[Any] | None = None
        self.torn = False
        """Whether a handler was cancelled together with its worker."""

    def belong_to_this_task(self) -> None:
        """This is the task that runs the worker: whoever cancels it and the handlers with it takes the worker down."""
        self._worker = asyncio.current_task()

    async def run_mutation(
        self, held: Held, function: AnyFunction, host: Host, transaction: Transaction, unit: Unit | None = None
    ) -> Ended:
        """Start a mutation once; what it did is in the transaction, closed when this returns, and in the unit."""
        ctx = mutation_context(
            host,
            transaction,
            function,
            unit,
            job_id=held.delivery.job_id,
            name=held.name,
            now_ms=host.producer.clock.now_ms(),
            attempt=held.attempt,
        )
        try:
            return await self._run(held, function, lambda: self._bound(held, function, ctx, unit))
        finally:
            transaction.close()

    async def run_isolated(self, held: Held, function: AnyFunction) -> tuple[Ended, Effects]:
        """Start a mutation or an action once in a process of its own; if it is interrupted, that is killed.

        The time limit counts from when there is a process to run it.
        """
        assert self._isolation is not None
        visit = self._isolation.visit(held)
        return await self._run(held, function, visit.run, visit.prepare), visit.effects

    async def run_action(self, held: Held, function: AnyFunction, host: Host) -> Ended:
        """Run an action; the only time."""
        if function.isolate and self._isolation is not None:
            ended, _ = await self.run_isolated(held, function)
            return ended
        ctx = ActionContext(host, job_id=held.delivery.job_id, name=held.name, attempt=held.attempt)
        return await self._run(held, function, lambda: self._bound(held, function, ctx))

    async def call(
        self,
        function: AnyFunction,
        ctx: Context,
        args: Any,
        kwargs: Any,
        unit: Unit | None = None,
    ) -> Any:
        """Call the handler of a job with bound arguments, in the thread of its unit if it has one."""
        own = None if unit is None else unit.threads
        run = self._threads.run if own is None else partial(run_in, own)
        try:
            return await self._call(run, function, ctx, args, kwargs)
        except asyncio.CancelledError:
            if own is not None and unit is not None:
                unit.abandon()
            elif not function.is_async:
                self._leave_threads()
            raise

    async def call_nested(self, function: AnyFunction, ctx: Context, args: Any, kwargs: Any) -> Any:
        """Call a handler from within another, in a thread of its own: those of the jobs may all wait for theirs.

        Raises:
            InvalidCall: It wants a process of its own, and this is not one.
        """
        if function.isolate and self._isolation is not None:
            raise InvalidCall(
                f"function: {function.name} has isolate=True, and a call runs where its caller runs (schedule it, or "
                "give the caller isolate=True)"
            )
        if function.is_async:
            return await self._call(self._threads.run, function, ctx, args, kwargs)
        thread = Threads(1, "duestream-nested")
        try:
            return await self._call(thread.run, function, ctx, args, kwargs)
        finally:
            thread.close()

    def _pool(self) -> Threads:
        return Threads(self._size, "duestream-job")

    def _leave_threads(self) -> None:
        """A thread cannot be cancelled. It may go on for ever, but not in the place of the next job."""
        self._threads.close()
        self._threads = self._pool()

    async def _call(
        self,
        run: Callable[[Callable[[], Any]], Awaitable[Any]],
        function: AnyFunction,
        ctx: Context,
        args: Any,
        kwargs: Any,
    ) -> Any:
        if function.is_async:
            return await function.handler(ctx, *args, **kwargs)
        twin = blocking_context(ctx, self._bridge)
        return await run(lambda: function.handler(twin, *args, **kwargs))

    def close(self) -> None:
        """Start no more threads; those that run are not waited for."""
        self._threads.close()
        self._limits.close()

    async def _bound(self, held: Held, function: AnyFunction, ctx: Context, unit: Unit | None = None) -> Ended:
        assert held.spec is not None
        args, kwargs = function.parameters.bind(tuple(held.spec.args), held.spec.kwargs)
        if function.is_async and unit is None:
            return self._pack(await function.handler(ctx, *args, **kwargs))
        return self._pack(await self.call(function, ctx, args, kwargs, unit))

    async def _run(
        self,
        held: Held,
        function: AnyFunction,
        call: Callable[[], Awaitable[Ended]],
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> Ended:
        if held.interruption is not None:
            return Interrupted(held.interruption)
        held.entered = True
        try:
            if prepare is not None:
                await prepare()
                held.entered = True  # it begins now
            self._limits.start(held, function.timeout_s)
            ended = await call()
        except Conflict:
            ended = Conflicted()
        except asyncio.CancelledError as error:
            ended = self._torn() if self._is_taken_down() else Raised(error)
        except BaseException as error:  # noqa: BLE001  whatever a handler raises, SystemExit too, is its own job's end
            ended = Raised(error)
        finally:
            self._limits.end(held, function.timeout_s)
            held.entered = False  # what follows is not cut off by a cancel
        if held.interruption is None:
            return ended
        _uncancel()
        return Interrupted(held.interruption)

    def _is_taken_down(self) -> bool:
        """Whether the worker is cancelled: its event loop was stopped or closed, or all that ran on it was cancelled.

        That is no word of the handler's, and the next worker may run it (C3.3).
        """
        return self._worker is not None and self._worker.cancelling() > 0

    def _torn(self) -> Interrupted:
        self.torn = True
        return Interrupted(Interruption.WORKER_LOST)

    def _pack(self, result: Any) -> Returned:
        if result is None:
            return _NOTHING
        packed = values.pack(result, "result")
        if len(packed) > self._result_bytes:
            raise LimitExceeded(f"result: takes {len(packed):,} bytes, the limit is {self._result_bytes:,}")
        return Returned(packed)


_NOTHING = Returned(values.pack(None, "result"))


def _uncancel() -> None:
    """The cancel has been understood: what follows in this task (the commit) goes on."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def mutation_context(
    host: Host, transaction: Transaction, function: AnyFunction, unit: Unit | None, **options: Any
) -> MutationContext:
    """The context of a mutation, with a session where it has a unit."""
    if unit is None:
        return MutationContext(host, transaction, **options)
    assert function.transaction is not None
    return SqlContext(host, transaction, function.transaction, unit.session, **options)


def not_runnable(held: Held) -> Raised | None:
    """Why a job cannot even be called, None where it can (C2.6: failed, not retried, not lost)."""
    if held.refusal is not None:
        return Raised(held.refusal)
    if held.spec is None:
        return Raised(InvalidArguments(held.problem or "spec: there is none"))
    if held.poison is not None:
        return Raised(RuntimeError("took its worker down too often"))
    if held.function is None:
        return Raised(LookupError(f"no function {held.name!r} in the deployment that ran it"))
    return None

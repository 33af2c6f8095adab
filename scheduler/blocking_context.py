"""What a plain `def` handler gets as its first parameter: the contexts of `context.py`, blocking.

The handler runs in a thread; what it asks is done on the worker's event loop while the thread waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import cached_property, singledispatch
from typing import Any, ParamSpec, TypeVar, cast

from scheduler.call import Call
from scheduler.context import ActionContext, ActionDatabase, Context, Log, MutationContext, QueryContext
from scheduler.db import BlockingDatabase, BlockingDatabaseReader, BlockingSystemTables, SystemTables
from scheduler.function import AnyFunction, Function
from scheduler.ids import JobId
from scheduler.job import CancelOutcome, Job
from scheduler.reading import BlockingReader, Reader, Reads
from scheduler.scheduling import BlockingScheduling, Scheduling

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


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

    @cached_property
    def log(self) -> Log:
        return self._inner.log

    @cached_property
    def db(self) -> BlockingDatabase:
        inner, bridge = self._inner, self._bridge
        return BlockingDatabase(
            inner.documents, _BridgedReader(inner.reader, bridge), _BridgedSystem(inner.db.system, bridge)
        )

    @cached_property
    def scheduler(self) -> BlockingScheduling:
        return _BridgedScheduling(self._inner.scheduler, self._bridge)

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

    @cached_property
    def log(self) -> Log:
        return self._inner.log

    @cached_property
    def db(self) -> BlockingActionDatabase:
        return BlockingActionDatabase(self._inner.db, self._bridge)

    @cached_property
    def scheduler(self) -> BlockingScheduling:
        return _BridgedScheduling(self._inner.scheduler, self._bridge)

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


@singledispatch
def blocking_context(ctx: Context, bridge: Bridge) -> Any:  # noqa: ARG001  what is registered takes it
    """The twin of a context for a plain `def` handler; each class of contexts registers its own."""
    raise TypeError(f"a {type(ctx).__name__} has no blocking twin")


blocking_context.register(MutationContext, BlockingMutationContext)
blocking_context.register(QueryContext, BlockingQueryContext)
blocking_context.register(ActionContext, BlockingActionContext)

"""The types of what registers a function, and of what becomes of it: what editors and checkers know of C1.3."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from scheduler.blocking_context import BlockingActionContext, BlockingMutationContext, BlockingQueryContext
from scheduler.context import ActionContext, MutationContext, QueryContext
from scheduler.function import Function
from scheduler.sql_context import BlockingSqlContext, SqlContext

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")

AsyncMutation = Function[MutationContext, P, R, Coroutine[Any, Any, R]]
PlainMutation = Function[BlockingMutationContext, P, R, R]
AsyncAction = Function[ActionContext, P, R, Coroutine[Any, Any, R]]
PlainAction = Function[BlockingActionContext, P, R, R]
AsyncQuery = Function[QueryContext, P, R, Coroutine[Any, Any, R]]
PlainQuery = Function[BlockingQueryContext, P, R, R]


class MutationDecorator(Protocol):
    """What `@app.mutation(...)` returns: takes an `async def`, or a plain `def` that will run in a thread."""

    @overload
    def __call__(
        self, handler: Callable[Concatenate[MutationContext, P], Coroutine[Any, Any, R]], /
    ) -> AsyncMutation[P, R]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[BlockingMutationContext, P], R], /) -> PlainMutation[P, R]: ...


class SqlMutationDecorator(Protocol[S]):
    """What `@app.mutation(transaction=...)` returns with an async transaction: takes an `async def`."""

    def __call__(
        self, handler: Callable[Concatenate[SqlContext[S], P], Coroutine[Any, Any, R]], /
    ) -> Function[SqlContext[S], P, R, Coroutine[Any, Any, R]]: ...


class BlockingSqlMutationDecorator(Protocol[S]):
    """What `@app.mutation(transaction=...)` returns with a blocking transaction: takes a plain `def`."""

    def __call__(
        self, handler: Callable[Concatenate[BlockingSqlContext[S], P], R], /
    ) -> Function[BlockingSqlContext[S], P, R, R]: ...


class ActionDecorator(Protocol):
    """What `@app.action(...)` returns: takes an `async def`, or a plain `def` that will run in a thread."""

    @overload
    def __call__(
        self, handler: Callable[Concatenate[ActionContext, P], Coroutine[Any, Any, R]], /
    ) -> AsyncAction[P, R]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[BlockingActionContext, P], R], /) -> PlainAction[P, R]: ...


class QueryDecorator(Protocol):
    """What `@app.query(...)` returns: takes an `async def`, or a plain `def` that will run in a thread."""

    @overload
    def __call__(
        self, handler: Callable[Concatenate[QueryContext, P], Coroutine[Any, Any, R]], /
    ) -> AsyncQuery[P, R]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[BlockingQueryContext, P], R], /) -> PlainQuery[P, R]: ...

"""An app: a namespace in Redis and the functions registered in it (C1)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from scheduler.context import ActionContext, BlockingActionContext, BlockingMutationContext, MutationContext
from scheduler.errors import DuplicateFunction, InvalidCall, InvalidOption
from scheduler.function import AnyFunction, Function, FunctionOptions, Kind
from scheduler.inbox import AnyInbox, AsyncInbox, BlockingInbox
from scheduler.settings import (
    DEFAULT_QUEUE,
    KEEP_COUNT,
    KEEP_S,
    Limits,
    at_least_zero,
    check_exceptions,
    check_namespace,
)
from scheduler.sql_context import BlockingSqlContext, SqlContext

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")

_Mutation = Function[MutationContext, P, R, Coroutine[Any, Any, R]]
_PlainMutation = Function[BlockingMutationContext, P, R, R]
_Action = Function[ActionContext, P, R, Coroutine[Any, Any, R]]
_PlainAction = Function[BlockingActionContext, P, R, R]


class MutationDecorator(Protocol):
    """What `@app.mutation(...)` returns: takes an `async def`, or a plain `def` that will run in a thread."""

    @overload
    def __call__(
        self, handler: Callable[Concatenate[MutationContext, P], Coroutine[Any, Any, R]], /
    ) -> _Mutation[P, R]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[BlockingMutationContext, P], R], /) -> _PlainMutation[P, R]: ...


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
    ) -> _Action[P, R]: ...
    @overload
    def __call__(self, handler: Callable[Concatenate[BlockingActionContext, P], R], /) -> _PlainAction[P, R]: ...


class App:
    """A namespace and its registered functions.

    Args:
        namespace: 1 to 64 letters, digits, '_', '.' or '-'; all keys begin with it.
        url: The server, where neither a call nor `REDIS_URL` says otherwise.
        keep_s: How long records are kept after a job ends, in seconds; 0 keeps only a tombstone for ten minutes (C5.3).
        keep_count: How many of the newest ended records are kept at most.
        transient: Exceptions after which any mutation of the app runs again (C3.3); connection errors always count.
        limits: What one call and one mutation may hold at most.

    Raises:
        InvalidOption: Naming what is wrong.
    """

    def __init__(
        self,
        namespace: str,
        *,
        url: str | None = None,
        keep_s: float = KEEP_S,
        keep_count: int = KEEP_COUNT,
        transient: tuple[type[Exception], ...] = (),
        limits: Limits | None = None,
    ) -> None:
        self.namespace = check_namespace(namespace)
        self.url = url
        self.keep_s = at_least_zero("keep_s", keep_s)
        self.keep_count = int(at_least_zero("keep_count", keep_count))
        self.transient = check_exceptions(transient)
        self.limits = limits or Limits()
        self._functions: dict[str, AnyFunction] = {}
        self.functions = MappingProxyType(self._functions)
        """The registered functions by name."""

    @overload
    def mutation(
        self, handler: Callable[Concatenate[MutationContext, P], Coroutine[Any, Any, R]], /
    ) -> _Mutation[P, R]: ...
    @overload
    def mutation(self, handler: Callable[Concatenate[BlockingMutationContext, P], R], /) -> _PlainMutation[P, R]: ...
    @overload
    def mutation(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
        transient: tuple[type[Exception], ...] = (),
    ) -> MutationDecorator: ...
    @overload
    def mutation(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
        transient: tuple[type[Exception], ...] = (),
        transaction: AsyncInbox[S],
    ) -> SqlMutationDecorator[S]: ...
    @overload
    def mutation(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
        transient: tuple[type[Exception], ...] = (),
        transaction: BlockingInbox[S],
    ) -> BlockingSqlMutationDecorator[S]: ...
    def mutation(
        self,
        handler: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
        transient: tuple[type[Exception], ...] = (),
        transaction: AnyInbox | None = None,
    ) -> Any:
        """Register a mutation: it happens exactly once (C3.1). Public: any client may schedule it.

        Args:
            handler: `async def f(ctx: MutationContext, ...)`, or a plain `def` with a `BlockingMutationContext`.
            name: Its name; "<module>:<function>" by default.
            queue: Where its jobs wait by default.
            timeout: Its time limit in seconds, 300 by default; past it the job fails.
            keep_s: How long its records are kept, in seconds; the app's setting by default.
            transient: Exceptions after which it runs again.
            transaction: `SqlTransaction(engine)` where its data is in SQL: `ctx.sql` is the session (C6.4).

        Raises:
            DuplicateFunction: The name is used already.
            InvalidOption: Naming what is wrong, an async transaction of a plain `def` say.
            TypeError: The signature has no context, or hints that cannot be resolved.
        """
        return self._register(
            Kind.MUTATION, False, handler, FunctionOptions(name, queue, timeout, keep_s, transient, transaction)
        )

    @overload
    def internal_mutation(
        self, handler: Callable[Concatenate[MutationContext, P], Coroutine[Any, Any, R]], /
    ) -> _Mutation[P, R]: ...
    @overload
    def internal_mutation(
        self, handler: Callable[Concatenate[BlockingMutationContext, P], R], /
    ) -> _PlainMutation[P, R]: ...
    @overload
    def internal_mutation(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
        transient: tuple[type[Exception], ...] = (),
    ) -> MutationDecorator: ...
    @overload
    def internal_mutation(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
        transient: tuple[type[Exception], ...] = (),
        transaction: AsyncInbox[S],
    ) -> SqlMutationDecorator[S]: ...
    @overload
    def internal_mutation(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
        transient: tuple[type[Exception], ...] = (),
        transaction: BlockingInbox[S],
    ) -> BlockingSqlMutationDecorator[S]: ...
    def internal_mutation(
        self,
        handler: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
        transient: tuple[type[Exception], ...] = (),
        transaction: AnyInbox | None = None,
    ) -> Any:
        """Register a mutation that no untrusted client may schedule (C1.6); see `mutation`."""
        return self._register(
            Kind.MUTATION, True, handler, FunctionOptions(name, queue, timeout, keep_s, transient, transaction)
        )

    @overload
    def action(self, handler: Callable[Concatenate[ActionContext, P], Coroutine[Any, Any, R]], /) -> _Action[P, R]: ...
    @overload
    def action(self, handler: Callable[Concatenate[BlockingActionContext, P], R], /) -> _PlainAction[P, R]: ...
    @overload
    def action(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
    ) -> ActionDecorator: ...
    def action(
        self,
        handler: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
    ) -> Any:
        """Register an action: it happens at most once (C3.5). Public: any client may schedule it.

        Args:
            handler: `async def f(ctx: ActionContext, ...)`, or a plain `def` with a `BlockingActionContext`.
            name: Its name; "<module>:<function>" by default.
            queue: Where its jobs wait by default.
            timeout: Its time limit in seconds, 1800 by default; past it the job fails.
            keep_s: How long its records are kept, in seconds; the app's setting by default.

        Raises:
            As `mutation` does.
        """
        return self._register(Kind.ACTION, False, handler, FunctionOptions(name, queue, timeout, keep_s))

    @overload
    def internal_action(
        self, handler: Callable[Concatenate[ActionContext, P], Coroutine[Any, Any, R]], /
    ) -> _Action[P, R]: ...
    @overload
    def internal_action(self, handler: Callable[Concatenate[BlockingActionContext, P], R], /) -> _PlainAction[P, R]: ...
    @overload
    def internal_action(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
    ) -> ActionDecorator: ...
    def internal_action(
        self,
        handler: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
    ) -> Any:
        """Register an action that no untrusted client may schedule (C1.6); see `action`."""
        return self._register(Kind.ACTION, True, handler, FunctionOptions(name, queue, timeout, keep_s))

    def find(self, function: AnyFunction | str) -> AnyFunction | str:
        """The function registered here under a name, or what was given where there is none."""
        return self._functions.get(function, function) if isinstance(function, str) else function

    def check_owns(self, function: AnyFunction, kind: Kind | None = None) -> None:
        """Refuse a function of another app, whose jobs would wait where no worker knows it, or of another kind.

        Raises:
            InvalidCall: It was registered elsewhere, or is not of the kind.
        """
        if kind is not None and getattr(function, "kind", None) is not kind:
            raise InvalidCall(f"function: run_{kind} takes {kind}s of this app, got {function!r}")
        if self._functions.get(function.name) is not function:
            raise InvalidCall(
                f"function: {function.name} is registered in app {function.app!r}, not in {self.namespace!r}"
            )

    def _register(
        self, kind: Kind, internal: bool, handler: Callable[..., Any] | None, options: FunctionOptions
    ) -> Any:
        if handler is not None and not callable(handler):
            raise InvalidOption(f"@app.{kind} takes a function, got a {type(handler).__name__}")

        def decorate(function: Callable[..., Any]) -> AnyFunction:
            registered: AnyFunction = Function(
                function, app=self.namespace, kind=kind, internal=internal, options=options
            )
            known = self._functions.setdefault(registered.name, registered)
            if known is not registered:
                raise DuplicateFunction(
                    f"function: {registered.name!r} is registered already, by {known.handler.__module__}."
                    f"{known.handler.__qualname__} (give one of them a name=)"
                )
            return registered

        return decorate if handler is None else decorate(handler)

"""An app: a namespace in Redis and the functions registered in it (C1)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from scheduler.blocking_context import BlockingActionContext, BlockingMutationContext, BlockingQueryContext
from scheduler.context import ActionContext, MutationContext, QueryContext
from scheduler.decorators import (
    ActionDecorator,
    AsyncAction,
    AsyncMutation,
    AsyncQuery,
    BlockingSqlMutationDecorator,
    MutationDecorator,
    PlainAction,
    PlainMutation,
    PlainQuery,
    QueryDecorator,
    SqlMutationDecorator,
)
from scheduler.durability import DurabilityName, check_app_replicas, check_durability
from scheduler.errors import DuplicateFunction, InvalidCall, InvalidOption
from scheduler.function import AnyFunction, Function, FunctionOptions, Kind
from scheduler.inbox import AnyInbox, AsyncInbox, BlockingInbox
from scheduler.keyring import Keys, check_keys
from scheduler.settings import (
    DEFAULT_QUEUE,
    KEEP_COUNT,
    KEEP_S,
    Limits,
    at_least_zero,
    check_exceptions,
    check_flag,
    check_limits,
    check_namespace,
    check_url,
    check_whole,
)
from scheduler.table import Document, Index, Table

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


def check_app(app: object) -> App:
    """Check that a client is given an app.

    Raises:
        InvalidOption: It is something else.
    """
    if not isinstance(app, App):
        raise InvalidOption(f"app: expected an App, got a {type(app).__name__}")
    return app


class App:
    """A namespace and its registered functions.

    Args:
        namespace: 1 to 64 letters, digits, '_', '.' or '-'; all keys begin with it.
        url: The server, where neither a call nor `REDIS_URL` says otherwise.
        keep_s: How long records are kept after a job ends, in seconds; 0 keeps only a tombstone for ten minutes (C5.3).
        keep_count: How many of the newest ended records are kept at most.
        transient: Exceptions after which any mutation of the app runs again (C3.3); connection errors always count.
        limits: What one call and one mutation may hold at most.
        durability: What an action's ack must outlive before its first line runs (C7.2): 'memory', nothing but Redis
            itself; 'fsync', a crash of its machine; 'replica', a failover. `docs/durability.md` says what each costs.
        replicas: With 'replica' alone, how many replicas must have the ack; 1 where nothing is said.
        signing_key: A str or bytes of 32 random bytes or more, or two of them: then the app's jobs are signed by the
            first, and its workers run only what one of them has signed. `DUESTREAM_SIGNING_KEY` goes before it.
        encryption_key: The same, for the arguments, results and errors of jobs: the first encrypts, both decrypt.
            `DUESTREAM_ENCRYPTION_KEY` goes before it. Needs `duestream[encryption]`.
        accept_unsigned: Run jobs without a signature too (never altered ones), while an app begins to sign.

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
        durability: DurabilityName = "memory",
        replicas: int | None = None,
        signing_key: Keys | None = None,
        encryption_key: Keys | None = None,
        accept_unsigned: bool = False,
    ) -> None:
        self.namespace = check_namespace(namespace)
        self.url = check_url(url)
        self.keep_s = at_least_zero("keep_s", keep_s)
        self.keep_count = check_whole("keep_count", keep_count)
        self.transient = check_exceptions(transient)
        self.limits = check_limits(limits)
        self.durability = check_durability(durability)
        self.replicas = check_app_replicas(replicas, self.durability)
        self.signing_keys = check_keys("signing_key", signing_key)
        self.encryption_keys = check_keys("encryption_key", encryption_key)
        self.accept_unsigned = check_flag("accept_unsigned", accept_unsigned)
        self._functions: dict[str, AnyFunction] = {}
        self.functions = MappingProxyType(self._functions)
        """The mutations and actions by name."""
        self._queries: dict[str, AnyFunction] = {}
        self._tables: dict[str, Table[Any]] = {}
        self.tables = MappingProxyType(self._tables)
        """The declared tables by name."""

    @overload
    def mutation(
        self, handler: Callable[Concatenate[MutationContext, P], Coroutine[Any, Any, R]], /
    ) -> AsyncMutation[P, R]: ...
    @overload
    def mutation(self, handler: Callable[Concatenate[BlockingMutationContext, P], R], /) -> PlainMutation[P, R]: ...
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
        isolate: bool = False,
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
        isolate: bool = False,
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
            isolate: Run it in a process of its own: a crash there takes only that, and a time limit really ends it
                (docs/isolation.md).

        Raises:
            DuplicateFunction: The name is used already.
            InvalidOption: Naming what is wrong, an async transaction of a plain `def` say.
            TypeError: The signature has no context, or hints that cannot be resolved.
        """
        return self._register(
            Kind.MUTATION,
            False,
            handler,
            FunctionOptions(name, queue, timeout, keep_s, transient, transaction, isolate),
        )

    @overload
    def internal_mutation(
        self, handler: Callable[Concatenate[MutationContext, P], Coroutine[Any, Any, R]], /
    ) -> AsyncMutation[P, R]: ...
    @overload
    def internal_mutation(
        self, handler: Callable[Concatenate[BlockingMutationContext, P], R], /
    ) -> PlainMutation[P, R]: ...
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
        isolate: bool = False,
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
        isolate: bool = False,
    ) -> Any:
        """Register a mutation that no untrusted client may schedule (C1.6); see `mutation`."""
        return self._register(
            Kind.MUTATION, True, handler, FunctionOptions(name, queue, timeout, keep_s, transient, transaction, isolate)
        )

    @overload
    def action(
        self, handler: Callable[Concatenate[ActionContext, P], Coroutine[Any, Any, R]], /
    ) -> AsyncAction[P, R]: ...
    @overload
    def action(self, handler: Callable[Concatenate[BlockingActionContext, P], R], /) -> PlainAction[P, R]: ...
    @overload
    def action(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
        isolate: bool = False,
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
        isolate: bool = False,
    ) -> Any:
        """Register an action: it happens at most once (C3.5). Public: any client may schedule it.

        Args:
            handler: `async def f(ctx: ActionContext, ...)`, or a plain `def` with a `BlockingActionContext`.
            name: Its name; "<module>:<function>" by default.
            queue: Where its jobs wait by default.
            timeout: Its time limit in seconds, 1800 by default; past it the job fails.
            keep_s: How long its records are kept, in seconds; the app's setting by default.
            isolate: Run it in a process of its own; see `mutation`.

        Raises:
            As `mutation` does.
        """
        return self._register(
            Kind.ACTION, False, handler, FunctionOptions(name, queue, timeout, keep_s, isolate=isolate)
        )

    @overload
    def internal_action(
        self, handler: Callable[Concatenate[ActionContext, P], Coroutine[Any, Any, R]], /
    ) -> AsyncAction[P, R]: ...
    @overload
    def internal_action(self, handler: Callable[Concatenate[BlockingActionContext, P], R], /) -> PlainAction[P, R]: ...
    @overload
    def internal_action(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        timeout: float | None = None,
        keep_s: float | None = None,
        isolate: bool = False,
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
        isolate: bool = False,
    ) -> Any:
        """Register an action that no untrusted client may schedule (C1.6); see `action`."""
        return self._register(
            Kind.ACTION, True, handler, FunctionOptions(name, queue, timeout, keep_s, isolate=isolate)
        )

    @overload
    def query(self, handler: Callable[Concatenate[QueryContext, P], Coroutine[Any, Any, R]], /) -> AsyncQuery[P, R]: ...
    @overload
    def query(self, handler: Callable[Concatenate[BlockingQueryContext, P], R], /) -> PlainQuery[P, R]: ...
    @overload
    def query(self, /, *, name: str | None = None, timeout: float | None = None) -> QueryDecorator: ...
    def query(
        self, handler: Callable[..., Any] | None = None, /, *, name: str | None = None, timeout: float | None = None
    ) -> Any:
        """Register a query: it reads documents and changes nothing; other functions call it with `ctx.run_query`.

        Args:
            handler: `async def f(ctx: QueryContext, ...)`, or a plain `def` with a `BlockingQueryContext`.
            name: Its name; "<module>:<function>" by default.
            timeout: Its time limit in seconds, 300 by default; past it the call raises `TimeLimitExceeded`.

        Raises:
            As `mutation` does.
        """
        return self._register(Kind.QUERY, False, handler, FunctionOptions(name, timeout_s=timeout))

    @overload
    def table(
        self, name: str, *, schema: None = None, indexes: Mapping[str, Sequence[str]] | None = None
    ) -> Table[Document]: ...
    @overload
    def table(self, name: str, *, schema: type[T], indexes: Mapping[str, Sequence[str]] | None = None) -> Table[T]: ...
    def table(
        self, name: str, *, schema: type[Any] | None = None, indexes: Mapping[str, Sequence[str]] | None = None
    ) -> Table[Any]:
        """Declare a table of documents (C6.1).

        Args:
            name: A letter or '_', then up to 63 letters, digits, '_', '.' or '-'.
            schema: A pydantic model, a dataclass or a TypedDict (on Python 3.11 that of `typing_extensions`). Documents
                are validated by it when they are written, and come back as it. Its field `id`, if it has one, holds the
                document's id and is not stored.
            indexes: The fields that each sorts by, by name: `{"by_owner": ["owner", "opened_ms"]}`. A new one of a
                table that has documents is built by the workers; queries of it wait until then.

        Raises:
            InvalidDocument, InvalidOption, TypeError: Naming what is wrong; a name that is used already, too.
        """
        table: Table[Any] = Table(name, schema, indexes or {})
        if self._tables.setdefault(name, table) is not table:
            raise InvalidOption(f"table: {name!r} is declared already")
        return table

    @property
    def indexes(self) -> list[Index]:
        """The indexes of all declared tables."""
        return [index for table in self._tables.values() for index in table.indexes.values()]

    def find(self, function: AnyFunction | str) -> AnyFunction | str:
        """The function registered here under a name, or what was given where there is none."""
        return self._registered(function) or function if isinstance(function, str) else function

    def check_owns(self, function: AnyFunction, kind: Kind | None = None) -> None:
        """Refuse a function of another app, whose jobs would wait where no worker knows it, or of another kind.

        Raises:
            InvalidCall: It was registered elsewhere, or is not of the kind.
        """
        if kind is not None and getattr(function, "kind", None) is not kind:
            plural = "queries" if kind is Kind.QUERY else f"{kind}s"
            raise InvalidCall(f"function: run_{kind} takes {plural} of this app, got {function!r}")
        if self._registered(function.name) is not function:
            raise InvalidCall(
                f"function: {function.name} is registered in app {function.app!r}, not in {self.namespace!r}"
            )

    def _registered(self, name: str) -> AnyFunction | None:
        return self._functions.get(name) or self._queries.get(name)

    def _register(
        self, kind: Kind, internal: bool, handler: Callable[..., Any] | None, options: FunctionOptions
    ) -> Any:
        if handler is not None and not callable(handler):
            raise InvalidOption(f"@app.{kind} takes a function, got a {type(handler).__name__}")

        def decorate(function: Callable[..., Any]) -> AnyFunction:
            registered: AnyFunction = Function(
                function, app=self.namespace, kind=kind, internal=internal, options=options
            )
            known = self._registered(registered.name)
            if known is not None:
                raise DuplicateFunction(
                    f"function: {registered.name!r} is registered already, by {known.handler.__module__}."
                    f"{known.handler.__qualname__} (give one of them a name=)"
                )
            (self._queries if kind is Kind.QUERY else self._functions)[registered.name] = registered
            return registered

        return decorate if handler is None else decorate(handler)

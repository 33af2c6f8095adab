"""The contexts of mutations whose effects are in SQL: `ctx.sql`, and no documents (C6.4)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, ParamSpec, TypeVar, cast

from scheduler.blocking_context import BlockingMutationContext, Bridge, blocking_context
from scheduler.context import Host, MutationContext
from scheduler.errors import InvalidCall
from scheduler.function import AnyFunction, Function, Kind
from scheduler.inbox import AnyInbox, AsyncInbox, BlockingInbox
from scheduler.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class SqlContext(MutationContext, Generic[S]):
    """The first parameter of an `async def` mutation with `transaction=`; `S` is the class of `sql`.

    All of `MutationContext` works, but for documents: `ctx.db` has only `ctx.db.system`.
    """

    def __init__(self, host: Host, transaction: Transaction, inbox: AnyInbox, session: S, **options: Any) -> None:
        super().__init__(host, transaction, **options)
        self._inbox = inbox
        self._session = session

    @property
    def sql(self) -> S:
        """The session of this mutation's transaction. It is committed when the mutation ends, never by the handler."""
        self._transaction.check_open()
        self._scope.check()
        return self._session

    def _check_nested(self, function: AnyFunction) -> None:
        if function.transaction is not self._inbox:
            raise InvalidCall(
                f"run_mutation: {function.name} has another transaction= than the mutation that calls it (two cannot "
                "commit as one; give both the same SqlTransaction)"
            )

    def _savepoint(self) -> AbstractAsyncContextManager[Any]:
        return cast("AsyncInbox[S]", self._inbox).savepoint(self._session)


class BlockingSqlContext(BlockingMutationContext, Generic[S]):
    """The first parameter of a plain `def` mutation with `transaction=`; see `SqlContext`."""

    def __init__(self, inner: SqlContext[S], bridge: Bridge) -> None:
        super().__init__(inner, bridge)
        self._sql = inner

    @property
    def sql(self) -> S:
        """See `SqlContext.sql`."""
        return self._sql.sql

    def run_mutation(self, function: Function[Any, P, R, Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `MutationContext.run_mutation`. In the same thread: sessions, and more so connections, are of one."""
        outer = self._sql
        outer._host.producer.app.check_owns(function, Kind.MUTATION)  # noqa: SLF001  its blocking face, as below
        outer._check_nested(function)  # noqa: SLF001
        bound, bound_kwargs = function.parameters.bind(args, dict(kwargs))
        outer._scope.check()  # noqa: SLF001
        inbox = cast("BlockingInbox[S]", outer._inbox)  # noqa: SLF001
        with outer._transaction.nested(outer._level) as scope, inbox.savepoint(outer._session):  # noqa: SLF001
            result: R = function.handler(BlockingSqlContext(outer.within(scope), self._bridge), *bound, **bound_kwargs)
        return result


blocking_context.register(SqlContext, BlockingSqlContext)

"""Registered functions: what `@app.mutation` and its three siblings make of a handler (C1)."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from scheduler import due, values
from scheduler.call import Call
from scheduler.errors import InvalidCall, InvalidOption
from scheduler.inbox import AnyInbox, check_inbox
from scheduler.parameters import Parameters
from scheduler.settings import DEFAULT_QUEUE, at_least_zero, check_exceptions, check_name, check_queue

C = TypeVar("C")
P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")


_LONGEST_S = 366 * 24 * 3600
"""The longest time limit: timers cannot be set for ever."""


class Kind(StrEnum):
    """What is promised: a mutation happens exactly once, an action at most once; a query changes nothing."""

    MUTATION = "mutation"
    ACTION = "action"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class FunctionOptions:
    """What a decorator may say of a function besides its code.

    Attributes:
        name: Its name; "<module>:<function>" where None.
        queue: Where its jobs wait, unless a call says otherwise.
        timeout_s: Its time limit in seconds; the kind's default where None.
        keep_s: How long records of its jobs are kept after they end, in seconds; the app's setting where None.
        transient: Exceptions after which a mutation runs again, besides the app's.
        transaction: Where a mutation's effects are, if not in `ctx.db` (C6.4).
        isolate: Whether it runs in a process of its own.
    """

    name: str | None = None
    queue: str = DEFAULT_QUEUE
    timeout_s: float | None = None
    keep_s: float | None = None
    transient: tuple[type[Exception], ...] = ()
    transaction: AnyInbox | None = None
    isolate: bool = False

    def __post_init__(self) -> None:
        check_queue(self.queue)
        check_exceptions(self.transient)
        if self.name is not None:
            check_name(self.name)
        if self.keep_s is not None:
            at_least_zero("keep_s", self.keep_s)
        if self.timeout_s is not None and not 0 < at_least_zero("timeout", self.timeout_s) <= _LONGEST_S:
            raise InvalidOption(f"timeout: expected more than 0 and at most {_LONGEST_S:,} seconds (366 days)")
        if not isinstance(self.isolate, bool):
            raise InvalidOption(f"isolate: expected a bool, got a {type(self.isolate).__name__}")
        if self.isolate and self.transaction is not None:
            raise InvalidOption("isolate: not together with transaction= (its session is of the worker's process)")


class Function(Generic[C, P, R, V]):
    """A registered function; called, it runs the plain handler with the context it is given (C1.3).

    Type parameters: the context, the other parameters, the result, and what a plain call returns (the result for `def`,
    a coroutine of it for `async def`).
    """

    def __init__(
        self, handler: Callable[Concatenate[C, P], V], *, app: str, kind: Kind, internal: bool, options: FunctionOptions
    ) -> None:
        functools.update_wrapper(self, handler)
        self.handler = handler
        self.app = app
        self.kind = kind
        self.kind_name = kind.value
        self.internal = internal
        self.name = check_name(options.name or _name_of(handler))
        self.queue = check_queue(options.queue)
        self.timeout_s = options.timeout_s if options.timeout_s is not None else _TIMEOUT_S[kind]
        self.keep_s = options.keep_s
        self.transient = options.transient
        self.is_async = inspect.iscoroutinefunction(handler)
        self.isolate = options.isolate
        self.transaction = options.transaction
        if self.transaction is not None:
            check_inbox(self.transaction, self.name, async_handler=self.is_async)
        self.parameters = Parameters.of(handler, name=self.name)

    def __call__(self, ctx: C, /, *args: P.args, **kwargs: P.kwargs) -> V:
        return self.handler(ctx, *args, **kwargs)

    def after(self, delay: due.Delay, /, *args: P.args, **kwargs: P.kwargs) -> Call:
        """A call `delay` ms (or a timedelta) from when it is scheduled, checked, not sent (C2.11)."""
        return call_after(delay, self, args, kwargs)

    def at(self, timestamp: due.Timestamp, /, *args: P.args, **kwargs: P.kwargs) -> Call:
        """A call at an epoch time in ms (or an aware datetime), checked, not sent (C2.11)."""
        return call_at(timestamp, self, args, kwargs)

    def describe(self) -> dict[str, Any]:
        """What other processes may know of it, as JSON-able data; the worker registers it."""
        return {
            "kind": self.kind.value,
            "internal": self.internal,
            "queue": self.queue,
            "parameters": self.parameters.describe(),
            "doc": (inspect.getdoc(self.handler) or "").partition("\n")[0],
        }

    def __repr__(self) -> str:
        return f"<{'internal ' if self.internal else ''}{self.kind} {self.name}>"


AnyFunction = Function[Any, Any, Any, Any]

_TIMEOUT_S = {Kind.MUTATION: 300.0, Kind.ACTION: 1800.0, Kind.QUERY: 300.0}


def _name_of(handler: Callable[..., Any]) -> str:
    """The name "<module>:<function>", with the last part of the module's path (C1.2)."""
    module = handler.__module__
    if module == "__main__":
        # `python shop.py` and `duestream worker shop:app` must agree on the name.
        file = getattr(sys.modules["__main__"], "__file__", None)
        module = PurePath(file).stem if file else module
    return f"{module.rpartition('.')[2]}:{getattr(handler, '__name__', '')}"


def call_after(delay: due.Delay, function: AnyFunction | str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
    """Check a call of `function` after a delay.

    Raises:
        InvalidDelay, InvalidArguments, InvalidValue, InvalidOption: Naming what is wrong.
    """
    when = due.after(delay)
    name, known = _resolve(function)
    return Call(name, known, when, None, _pack_args(known, args, kwargs))


def call_at(
    timestamp: due.Timestamp, function: AnyFunction | str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Call:
    """Check a call of `function` at a time; that it is within five years is checked when it is scheduled.

    Raises:
        InvalidTimestamp, InvalidArguments, InvalidValue, InvalidOption: Naming what is wrong.
    """
    due.check_timestamp(timestamp)
    name, known = _resolve(function)
    return Call(name, known, None, timestamp, _pack_args(known, args, kwargs))


def _resolve(function: AnyFunction | str) -> tuple[str, AnyFunction | None]:
    if isinstance(function, str):
        return check_name(function), None
    if not isinstance(function, Function):
        hint = " (decorate it with @app.mutation or @app.action)" if callable(function) else ""
        raise InvalidCall(f"function: expected a registered function or its name, got {_describe(function)}{hint}")
    if function.kind is Kind.QUERY:
        raise InvalidCall(f"function: {function.name} is a query and cannot be scheduled (call it with ctx.run_query)")
    return function.name, function


def _describe(function: object) -> str:
    name = getattr(function, "__qualname__", None)
    return f"the plain function {name}" if isinstance(name, str) else f"a {type(function).__name__}"


def _pack_args(function: AnyFunction | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """Bind and validate where the function is at hand, then pack: a list and a map (C1.4, C1.5)."""
    if function is not None:
        args, kwargs = function.parameters.bind(args, kwargs)
    packed_args = values.pack(list(args), "args") if args else _NO_ARGS
    return packed_args + (values.pack(dict(kwargs), "args") if kwargs else _NO_KWARGS)


_NO_ARGS = values.pack([], "args")
_NO_KWARGS = values.pack({}, "args")

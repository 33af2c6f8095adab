"""What decorators, App, tables, WorkerSettings, Scheduler and their methods are given."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from scheduler import (
    App,
    ConfigurationError,
    DuplicateFunction,
    InvalidDocument,
    InvalidOption,
    InvalidUrl,
    Limits,
    Scheduler,
    SyncScheduler,
)
from tests.faults.corpus.case import Refusal
from worker.connections import Connections
from worker.settings import WorkerSettings

NUMBERS: tuple[tuple[str, Any], ...] = (
    ("-1", -1),
    ("NaN", float("nan")),
    ("infinity", float("inf")),
    ("10**400", 10**400),
    ("1e308", 1e308),
    ("True", True),
    ("a str", "5"),
    ("bytes", b"5"),
    ("a list", [5]),
    ("complex", 5j),
    ("an object", object()),
)
"""What is no number of seconds."""


async def handler(ctx: Any) -> None: ...


def plain(ctx: Any) -> None: ...


def _decorated(kind: str, function: Callable[..., Any] = handler, **options: Any) -> Callable[[], Any]:
    return lambda: getattr(App("options"), kind)(**{"name": "options:f", **options})(function)


def _refusals(
    what: str, make: Callable[[Any], Any], values: tuple[tuple[str, Any], ...], culprit: str
) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(f"{what} {name}", functools.partial(make, value), InvalidOption, culprit) for name, value in values
    )


def _worker(field: str) -> Callable[[Any], Any]:
    return lambda value: WorkerSettings(**{field: value})


def _limit(field: str) -> Callable[[Any], Any]:
    return lambda value: Limits(**{field: value})


def _app(field: str) -> Callable[[Any], Any]:
    return lambda value: App("options", **{field: value})


def _mutation(field: str) -> Callable[[Any], Any]:
    return lambda value: App("options").mutation(**{field: value})(handler)


def _no_context() -> None: ...


def _keyword_context(*, ctx: Any) -> None: ...


def _unresolved(ctx: Any, value: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037


def _twice() -> None:
    app = App("options")
    app.mutation(name="options:f")(handler)
    app.action(name="options:f")(plain)


def _table_twice() -> None:
    app = App("options")
    app.table("t")
    app.table("t")


TRANSIENT: tuple[tuple[str, Any], ...] = (
    ("a class", ValueError),
    ("a list", [ValueError]),
    ("instances", (ValueError(),)),
    ("BaseException", (KeyboardInterrupt,)),
    ("names", ("ValueError",)),
    ("None", None),
)

DECORATORS = (
    *_refusals("decorator timeout", _mutation("timeout"), (*NUMBERS, ("zero", 0)), "timeout"),
    *_refusals("decorator keep_s", _mutation("keep_s"), NUMBERS, "keep_s"),
    *_refusals("decorator transient", _mutation("transient"), TRANSIENT, "transient"),
    *_refusals(
        "decorator queue", _mutation("queue"), (("empty", ""), ("an int", 5), ("a key", "a:b"), ("None", None)), "queue"
    ),
    *_refusals(
        "decorator name",
        _mutation("name"),
        (("empty", ""), ("an int", 5), ("CRLF", "a\r\nb"), ("braces", "{x}")),
        "function",
    ),
    *_refusals(
        "decorator transaction",
        _mutation("transaction"),
        (("a str", "sqlite://"), ("an object", object())),
        "transaction",
    ),
    Refusal("decorator of a name twice", _twice, DuplicateFunction, "options:f"),
    Refusal("decorator of an int", lambda: App("options").mutation(5), InvalidOption, "mutation"),  # type: ignore[call-overload]
    Refusal("decorator of a str", lambda: App("options").action("f"), InvalidOption, "action"),  # type: ignore[call-overload]
    Refusal(
        "decorator without a context", _decorated("mutation", _no_context), TypeError, "options:f: the first parameter"
    ),
    Refusal(
        "decorator of a keyword context",
        _decorated("action", _keyword_context),
        TypeError,
        "options:f: the first parameter",
    ),
    Refusal("decorator of a hint that is nowhere", _decorated("query", _unresolved), TypeError, "options:f: value"),
    Refusal("decorator of a builtin", _decorated("action", print), TypeError, "options:f"),
)

APPS = (
    *_refusals("app keep_s", _app("keep_s"), NUMBERS, "keep_s"),
    *_refusals("app keep_count", _app("keep_count"), (*NUMBERS, ("a half", 0.5)), "keep_count"),
    *_refusals("app transient", _app("transient"), TRANSIENT, "transient"),
    *_refusals("app limits", _app("limits"), (("an int", 5), ("a dict", {"jobs": 5}), ("a class", Limits)), "limits"),
    *_refusals("app url", _app("url"), (("an int", 5), ("bytes", b"redis://x"), ("an object", object())), "url"),
    *_refusals("limit jobs", _limit("jobs"), (*NUMBERS, ("zero", 0), ("a half", 0.5), ("None", None)), "jobs"),
    *_refusals("limit written_bytes", _limit("written_bytes"), (("-1", -1), ("a str", "16 MiB")), "written_bytes"),
    Refusal("table twice", _table_twice, InvalidOption, "table"),
    Refusal("table of a glob", lambda: App("options").table("*"), InvalidDocument, "table"),
    Refusal("table of an int", lambda: App("options").table(5), InvalidDocument, "table"),  # type: ignore[call-overload]
    Refusal("table of 10 kB", lambda: App("options").table("t" * 10_000), InvalidDocument, "table"),
    Refusal("table with a colon", lambda: App("options").table("a:b"), InvalidDocument, "table"),
    Refusal("index of nothing", lambda: App("options").table("t", indexes={"i": []}), InvalidOption, "i"),
    Refusal("index of a str", lambda: App("options").table("t", indexes={"i": "owner"}), InvalidOption, "i"),
    Refusal("index of CRLF", lambda: App("options").table("t", indexes={"i": ["a\r\nb"]}), InvalidOption, "i"),
    Refusal(
        "index of 17 fields",
        lambda: App("options").table("t", indexes={"i": [f"f{n}" for n in range(17)]}),
        InvalidOption,
        "i",
    ),
    Refusal("schema of an int", lambda: App("options").table("t", schema=5), TypeError, "schema"),  # type: ignore[call-overload]
)

WORKERS = (
    *_refusals(
        "worker concurrency", _worker("concurrency"), (*NUMBERS, ("zero", 0), ("too many", 10_001)), "concurrency"
    ),
    *_refusals(
        "worker lease_ms", _worker("lease_ms"), (*NUMBERS, ("999", 999), ("an hour and a ms", 3_600_001)), "lease_ms"
    ),
    *_refusals("worker max_deliveries", _worker("max_deliveries"), (*NUMBERS, ("zero", 0)), "max_deliveries"),
    *_refusals("worker grace_s", _worker("grace_s"), NUMBERS, "grace_s"),
    *_refusals(
        "worker queues",
        _worker("queues"),
        (
            ("none", ()),
            ("a str", "default"),
            ("twice", ("a", "a")),
            ("a key", ("a:b",)),
            ("ints", (1,)),
            ("None", None),
            ("a list in it", (["a"],)),
        ),
        "queue",
    ),
    *_refusals("worker burst", _worker("burst"), (("a str", "no"), ("an int", 2), ("None", None)), "burst"),
    *_refusals("worker promote", _worker("promote"), (("a str", "no"), ("an int", 2), ("None", None)), "promote"),
    *_refusals(
        "worker name",
        _worker("name"),
        (("empty", ""), ("CRLF", "a\r\nb"), ("an int", 5), ("10 kB", "x" * 10_000)),
        "name",
    ),
)

URLS: tuple[tuple[str, Any], ...] = (
    ("without a scheme", "127.0.0.1:6379"),
    ("http", "http://127.0.0.1"),
    ("a port of letters", "redis://127.0.0.1:port"),
    ("a port too large", "redis://127.0.0.1:99999999"),
    ("half an address", "redis://[::1"),
    ("an unknown option", "redis://127.0.0.1?frob=1"),
    ("an option of no number", "redis://127.0.0.1?socket_timeout=soon"),
    ("CRLF", "redis://127.0.0.1\r\n:1"),
    ("a database of letters", "redis://127.0.0.1/one"),
)


def _client(kind: Callable[..., Any], app: object, **options: object) -> Callable[[], Any]:
    return lambda: kind(app, **options)


def _open(kind: type[Scheduler | SyncScheduler], url: str) -> None:
    client = kind(App("options"), url=url)
    if isinstance(client, Scheduler):
        asyncio.run(client.__aenter__())
    else:
        client.open()


CLIENTS = (
    *(
        Refusal(f"{kind.__name__} url {name}", functools.partial(_open, kind, value), InvalidUrl, "url")
        for kind in (Scheduler, SyncScheduler)
        for name, value in URLS
    ),
    *(
        Refusal(f"{kind.__name__} of {name}", _client(kind, value), InvalidOption, "app")
        for kind in (Scheduler, SyncScheduler)
        for name, value in (("a str", "shop"), ("None", None), ("a class", App))
    ),
    *(
        Refusal(
            f"{kind.__name__} trusted {name}", _client(kind, App("options"), trusted=value), InvalidOption, "trusted"
        )
        for kind in (Scheduler, SyncScheduler)
        for name, value in (("a str", "no"), ("None", None), ("an int", 0))
    ),
    *(
        Refusal(f"worker url {name}", functools.partial(Connections, value), ConfigurationError, "url")
        for name, value in URLS
    ),
)

"""Handlers that end as no handler should: each fails its own job, and nothing else."""

from __future__ import annotations

import asyncio
import decimal
import gc
import inspect
import locale
import os
import random
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from scheduler import ActionContext, BlockingMutationContext, MutationContext
from scheduler.context import Context

Work = Callable[[Any], Any]


@dataclass(frozen=True)
class Ending:
    """How a handler ends.

    Attributes:
        id: Its name among the tests.
        do: What the handler does with its context; a coroutine is awaited.
        error: The error type on the record, '' where it succeeds all the same.
        culprit: What the message has to say.
        plain: It runs in a thread.
        timeout: Its time limit in seconds.
    """

    id: str
    do: Work
    error: str
    culprit: str = ""
    plain: bool = False
    timeout: float | None = None


class NoStr(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message")


class NoRepr(Exception):
    def __repr__(self) -> str:
        raise SystemExit("no repr")

    __str__ = __repr__


class NumberStr(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class NoName(type):
    """A class of classes that do not tell their name."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class Nameless(Exception, metaclass=NoName):
    pass


class NoteOfInt(Exception):
    __notes__ = 5  # type: ignore[assignment]


class Silent(BaseException):
    """Not an Exception."""


Endless = type("E" * 10_000, (Exception,), {})


def throw(make: Callable[[], BaseException]) -> Work:
    def work(_: Any) -> NoReturn:
        raise make()

    return work


def circle() -> BaseException:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    one.__context__, two.__context__ = two, one
    return one


def chain() -> BaseException:
    error: BaseException = ValueError("the first")
    for number in range(3_000):
        following = ValueError(str(number))
        following.__cause__ = error
        error = following
    return error


def groups() -> BaseException:
    group: ExceptionGroup[Any] = ExceptionGroup("inmost", [ValueError("deep inside")])
    for level in range(50):
        group = ExceptionGroup(f"level {level}", [group])
    return group


def dive(_: Any) -> Any:
    return dive(_)


async def dive_async(ctx: Any) -> Any:
    return await dive_async(ctx)


async def spin(_: Any) -> None:
    while True:
        await asyncio.sleep(0)


async def swallow(_: Any) -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "swallowed"
    return "never"


async def cancel_itself(_: Any) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


def close_loop(_: Any) -> None:
    asyncio.get_running_loop().close()


def run_loop(_: Any) -> None:
    work = asyncio.sleep(0)
    try:
        asyncio.run(work)
    finally:
        work.close()


def closed_coroutine(_: Any) -> Coroutine[Any, Any, None]:
    work = asyncio.sleep(0)
    work.close()
    return work


async def several(_: Any) -> Any:
    yield 1


async def wait_for_nobody(_: Any) -> Any:
    return asyncio.get_running_loop().create_future()


def change_place(_: Any) -> str:
    before = Path.cwd()
    os.chdir("/")
    os.chdir(before)
    return "moved"


def change_language(_: Any) -> str:
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    locale.setlocale(locale.LC_ALL, before)
    return "said"


async def change_decimals(_: Any) -> decimal.Decimal:
    context = decimal.getcontext()
    context.prec, context.capitals = 1, 0
    context.traps[decimal.Inexact] = True
    return decimal.Decimal("1.25E+30")


async def change_chance(_: Any) -> str:
    random.seed(0)
    gc.collect()
    return "the same again"


async def leave_task(_: Any) -> str:
    async def fail() -> None:
        await asyncio.sleep(0)

    leave_task.left = asyncio.create_task(fail())  # type: ignore[attr-defined]
    return "left"


async def leave_writer(ctx: MutationContext) -> str:
    """A task that goes on writing when its mutation has ended."""

    async def write() -> None:
        await asyncio.sleep(0.05)
        try:
            await ctx.db.insert("late", {}, key="one")
        except RuntimeError:
            return
        raise AssertionError("a mutation that has ended can still write")

    leave_writer.left = asyncio.create_task(write())  # type: ignore[attr-defined]
    return "left"


def leave_thread(_: Any) -> str:
    threading.Thread(target=threading.Event().wait, args=(0.2,)).start()
    return "left"


def write_bytes(_: Any) -> str:
    sys.stdout.write("\x1b]0;title\x07\udcff".encode("utf-8", "replace").decode())
    sys.stdout.buffer.write(b"\xff\x00")
    sys.stdout.flush()
    return "written"


def log_a_million(ctx: Context) -> str:
    for number in range(1_000_000):
        ctx.log.debug("line %d", number)
    for number in range(1_000):
        ctx.log.info("line\n%d \x1b[31m \udcff", number)
    return "logged"


def log_nonsense(ctx: Context) -> str:
    ctx.log.info("%d and %s", 5, NoStrValue.__name__)
    return "logged"


class NoStrValue:
    """For logs."""


async def schedule_too_many(ctx: MutationContext) -> None:
    for _ in range(1_001):
        await ctx.scheduler.run_after(0, "corpus:probe")


async def write_too_much(ctx: MutationContext) -> None:
    for _ in range(17):
        await ctx.db.insert("large", {"bytes": b"x" * (2**20 - 20)})


async def write_too_many(ctx: MutationContext) -> None:
    for _ in range(8_001):
        await ctx.db.insert("many", {})


async def write_nonsense(ctx: MutationContext) -> None:
    await ctx.db.insert("a:b", {})


async def read_nonsense(ctx: MutationContext) -> None:
    await ctx.db.get("../../etc/passwd")


async def cancel_nonsense(ctx: ActionContext) -> None:
    await ctx.scheduler.cancel("{x}")


def return_context(ctx: Any) -> Any:
    return ctx


def change_arguments(ctx: Any) -> str:
    return "changed"


ANYWHERE = (
    Ending("an exception without a message", throw(NoStr), "NoStr", "cannot be shown: RuntimeError"),
    Ending("an exception that exits when asked", throw(NoRepr), "NoRepr", "cannot be shown: SystemExit"),
    Ending("an exception whose message is an int", throw(NumberStr), "NumberStr", "cannot be shown"),
    Ending("an exception without a name", throw(Nameless), "(a class whose name cannot be shown: RuntimeError)"),
    Ending("an exception with notes of an int", throw(NoteOfInt), "NoteOfInt"),
    Ending("a name of 10 kB", throw(Endless), "E" * 4_000),
    Ending("a message of 10 MB", throw(lambda: ValueError("x" * 10_000_000)), "ValueError", "x" * 4_000),
    Ending("a message of surrogates", throw(lambda: ValueError("\udcff\0\r\n")), "ValueError", "\\udcff"),
    Ending("causes in a circle", throw(circle), "ValueError", "one"),
    Ending("3,000 causes", throw(chain), "ValueError", "2999"),
    Ending("groups in groups", throw(groups), "ExceptionGroup", "level 49"),
    Ending(
        "a group of interrupts",
        throw(lambda: BaseExceptionGroup("all", [KeyboardInterrupt()])),
        "BaseExceptionGroup",
        "all",
    ),
    Ending("SystemExit", throw(lambda: SystemExit(3)), "SystemExit", "3"),
    Ending("SystemExit without a code", throw(SystemExit), "SystemExit"),
    Ending("KeyboardInterrupt", throw(KeyboardInterrupt), "KeyboardInterrupt"),
    Ending("GeneratorExit", throw(GeneratorExit), "GeneratorExit"),
    Ending("StopAsyncIteration", throw(StopAsyncIteration), "StopAsyncIteration"),
    Ending("CancelledError", throw(asyncio.CancelledError), "CancelledError"),
    Ending("a BaseException", throw(Silent), "Silent"),
    Ending("MemoryError", throw(MemoryError), "MemoryError"),
    Ending("an impossible allocation", lambda _: bytearray(2**62), "MemoryError"),
    Ending("TimeoutError", throw(TimeoutError), "TimeoutError"),
    Ending("AssertionError", throw(AssertionError), "AssertionError"),
    Ending("endless recursion", dive, "RecursionError"),
    Ending("the context returned", return_context, "InvalidValue", "result"),
    Ending("a function returned", lambda _: len, "InvalidValue", "result"),
    Ending("a lock returned", lambda _: threading.Lock(), "InvalidValue", "result"),
    Ending("a generator returned", lambda _: (n for n in range(3)), "InvalidValue", "a generator"),
    Ending("an exception returned", lambda _: ValueError("x"), "InvalidValue", "a ValueError"),
    Ending("10 MB returned", lambda _: b"x" * 10_000_000, "LimitExceeded", "the limit is"),
    Ending("another working directory", change_place, ""),
    Ending("another locale", change_language, ""),
    Ending("a thread left behind", leave_thread, ""),
    Ending("bytes on standard output", write_bytes, ""),
    Ending("logs that terminals obey", log_nonsense, ""),
)
"""The same in each kind of handler."""

ON_THE_LOOP = (
    Ending("StopIteration", throw(StopIteration), "RuntimeError", "StopIteration"),
    Ending("endless recursion of coroutines", dive_async, "RecursionError"),
    Ending("an endless loop", spin, "TimeLimitExceeded", "time limit of 0.2 s", timeout=0.2),
    Ending("a swallowed time limit", swallow, "TimeLimitExceeded", "time limit of 0.2 s", timeout=0.2),
    Ending("a cancel of itself", cancel_itself, "CancelledError"),
    Ending("the loop closed", close_loop, "RuntimeError", "Cannot close a running event loop"),
    Ending("a loop in the loop", run_loop, "RuntimeError", "cannot be called from a running event loop"),
    Ending("an async generator returned", several, "InvalidValue", "async_generator"),
    Ending("a coroutine returned", closed_coroutine, "InvalidValue", "a coroutine"),
    Ending("a future returned", wait_for_nobody, "InvalidValue", "Future"),
    Ending("another decimal context", change_decimals, ""),
    Ending("another seed", change_chance, ""),
    Ending("a task left behind", leave_task, ""),
)

IN_A_THREAD = (
    Ending("StopIteration", throw(StopIteration), "RuntimeError", "StopIteration", plain=True),
    Ending("a million logs", log_a_million, "", plain=True),
    Ending("a coroutine returned", closed_coroutine, "InvalidValue", "a coroutine", plain=True),
    Ending(
        "a wait past the time limit", lambda _: threading.Event().wait(1), "TimeLimitExceeded", plain=True, timeout=0.2
    ),
)

OF_MUTATIONS = (
    Ending("1,001 jobs", schedule_too_many, "LimitExceeded", "1,000 jobs"),
    Ending("17 MiB of documents", write_too_much, "LimitExceeded", "written_bytes"),
    Ending("8,001 documents", write_too_many, "LimitExceeded", "8,000 documents"),
    Ending("a table that cannot be", write_nonsense, "InvalidDocument", "table"),
    Ending("a document of a path", read_nonsense, "InvalidDocument", "document id"),
    Ending("a task that goes on writing", leave_writer, ""),
)

OF_ACTIONS = (Ending("a cancel of nonsense", cancel_nonsense, "InvalidJobId", "job id"),)


def handler_of(ending: Ending) -> Callable[..., Any]:
    """The handler: a plain one, or an async one that awaits what it made."""

    def plain(ctx: BlockingMutationContext) -> Any:
        return ending.do(ctx)

    async def on_the_loop(ctx: MutationContext) -> Any:
        made = ending.do(ctx)
        return await made if inspect.iscoroutine(made) and ending.do is not closed_coroutine else made

    return plain if ending.plain else on_the_loop

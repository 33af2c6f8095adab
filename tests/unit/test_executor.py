"""Running one handler: whatever it does, the executor says how it ended, and goes on (faults.md, bad input)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scheduler import App, values
from scheduler.catalog import IndexCatalog
from scheduler.clock import RedisClock
from scheduler.context import Host
from scheduler.documents import Tables
from scheduler.errors import InvalidArguments, InvalidValue, LimitExceeded
from scheduler.ids import JobIds
from scheduler.operations import Producer
from scheduler.settings import Limits
from scheduler.spec import Spec
from scheduler.transaction import Transaction
from scheduler.transitions import Delivery
from tests.answers import Answers
from worker.delivery import Held, Interruption
from worker.ended import Conflicted, Ended, Interrupted, Raised, Returned
from worker.executor import Executor, not_runnable


class Run:
    """Runs one handler as a mutation or as an action."""

    def __init__(self) -> None:
        self.executor = Executor(4, result_bytes=1000)
        clock = RedisClock()
        clock.observe(1_800_000_000_000, time.monotonic())
        producer = Producer(App("shop"), JobIds(clock.now_ms), clock)
        tables = Tables({}, IndexCatalog())
        self.host = cast("Host", SimpleNamespace(producer=producer, tables=tables, reader=lambda: Answers().reader))
        self.transaction = Transaction(Limits())
        self.held: Held | None = None

    async def __call__(
        self, handler: Callable[..., Any], *args: Any, kind: str = "mutation", timeout: float = 5
    ) -> Ended:
        function = getattr(App("shop"), kind)(name="shop:f", timeout=timeout)(handler)
        spec = Spec(0, 0, "default", "shop:f", kind, "", "", list(args), {})
        self.held = held = Held(Delivery("JOB", "default", "5-0", "TOKEN", 1), spec, function=function)

        async def work() -> Ended:
            if kind == "action":
                return await self.executor.run_action(held, function, self.host)
            return await self.executor.run_mutation(held, function, self.host, self.transaction)

        task = asyncio.create_task(work())
        held.task = cast("asyncio.Task[None]", task)
        async with asyncio.timeout(10):
            ended = await task
        assert task.cancelling() == 0
        return ended


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    one = Run()
    yield one
    one.executor.close()


def raised(ended: Ended) -> BaseException:
    assert isinstance(ended, Raised)
    return ended.error


@pytest.mark.parametrize("kind", ["mutation", "action"])
async def test_async_handlers_run_on_the_loop_and_plain_ones_in_threads(run: Run, kind: str) -> None:
    # C1.1
    async def on_loop(ctx: Any, number: int) -> list[object]:
        return [number, threading.current_thread() is threading.main_thread()]

    def in_thread(ctx: Any, number: int) -> list[object]:
        return [number, threading.current_thread() is threading.main_thread()]

    assert await run(on_loop, 5, kind=kind) == Returned(values.pack([5, True], ""))
    run.transaction = Transaction(Limits())
    assert await run(in_thread, 5, kind=kind) == Returned(values.pack([5, False], ""))


def overflow(depth: int = 0) -> int:
    return overflow(depth + 1) + 1


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


ERRORS = [ValueError("no"), SystemExit(1), KeyboardInterrupt(), MemoryError(), Mute(), GeneratorExit(), BaseException()]


@pytest.mark.parametrize("kind", ["mutation", "action"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("plain", [False, True])
async def test_whatever_a_handler_raises_is_its_own_jobs_end(
    run: Run, error: BaseException, plain: bool, kind: str
) -> None:
    # C3.2, C3.5
    async def handler(ctx: Any) -> None:
        raise error

    def plain_handler(ctx: Any) -> None:
        raise error

    assert raised(await run(plain_handler if plain else handler, kind=kind)) is error


@pytest.mark.parametrize("plain", [False, True])
async def test_endless_recursion_and_stop_iteration(run: Run, plain: bool) -> None:
    # C3.2
    async def recursive(ctx: Any) -> int:
        return overflow()

    def plain_recursive(ctx: Any) -> int:
        return overflow()

    async def stop(ctx: Any) -> None:
        next(iter(()))

    def plain_stop(ctx: Any) -> None:
        next(iter(()))

    assert isinstance(raised(await run(plain_recursive if plain else recursive)), RecursionError)
    assert isinstance(raised(await run(plain_stop if plain else stop)), RuntimeError | StopIteration)


async def test_a_handler_that_raises_cancelled_error_by_itself_failed(run: Run) -> None:
    # C3.2
    async def handler(ctx: Any) -> None:
        raise asyncio.CancelledError("mine")

    assert isinstance(raised(await run(handler)), asyncio.CancelledError)


@pytest.mark.parametrize("result", [{1}, object(), {1: 2}, "\ud800", [{"a": {1}}]], ids=lambda _: "")
async def test_a_result_that_cannot_be_stored(run: Run, result: Any) -> None:
    # C1.5, C3.2
    async def handler(ctx: Any) -> Any:
        return result

    error = raised(await run(handler))
    assert isinstance(error, InvalidValue)
    assert str(error).startswith("result")


async def test_a_result_that_is_too_large(run: Run) -> None:
    # C3.2
    async def handler(ctx: Any, size: int) -> bytes:
        return bytes(size)

    assert isinstance(await run(handler, 997), Returned)
    run.transaction = Transaction(Limits())
    error = raised(await run(handler, 998))
    assert isinstance(error, LimitExceeded)
    assert str(error) == "result: takes 1,001 bytes, the limit is 1,000"


async def test_bad_arguments_never_reach_the_handler(run: Run) -> None:
    # C1.4
    async def handler(ctx: Any, number: int) -> None:
        pytest.fail("reached")

    for args in ((), ("five",), (1, 2)):
        assert isinstance(raised(await run(handler, *args)), InvalidArguments)
        run.transaction = Transaction(Limits())


async def test_a_conflict_passes_a_handlers_own_except(run: Run) -> None:
    # C6.2
    async def handler(ctx: Any) -> str:
        try:
            ctx._transaction.conflict()
        except Exception:
            return "swallowed"
        return ""

    assert await run(handler) == Conflicted()


# The time limit


@pytest.mark.parametrize("kind", ["mutation", "action"])
async def test_the_time_limit_ends_a_handler_that_waits(run: Run, kind: str) -> None:
    # C3.2
    cancelled = []

    async def handler(ctx: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    assert await run(handler, kind=kind, timeout=0.02) == Interrupted(Interruption.TIME_LIMIT)
    assert cancelled == [True]


async def test_a_handler_that_swallows_the_cancel_has_still_passed_its_limit(run: Run) -> None:
    # C3.2
    async def handler(ctx: Any) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "swallowed"
        return ""

    assert await run(handler, timeout=0.02) == Interrupted(Interruption.TIME_LIMIT)


async def test_a_handler_that_makes_another_error_of_the_cancel_has_too(run: Run) -> None:
    # C3.2
    async def handler(ctx: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning")

    assert await run(handler, timeout=0.02) == Interrupted(Interruption.TIME_LIMIT)


async def test_a_plain_handler_past_its_limit_is_left_behind_without_effect(run: Run) -> None:
    # C3.1, C3.2
    gate, ended = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def handler(ctx: Any) -> None:
        gate.wait(5)
        try:
            ctx.db.insert("t", {})
        except Exception as error:
            errors.append(error)
        ended.set()

    assert await run(handler, timeout=0.02) == Interrupted(Interruption.TIME_LIMIT)
    gate.set()
    assert await asyncio.to_thread(ended.wait, 5)
    assert [str(error) for error in errors] == ["the mutation has ended: its context can do nothing more"]
    assert run.transaction.writes == []


@pytest.mark.parametrize("reason", list(Interruption))
async def test_the_first_reason_of_an_interruption_counts(run: Run, reason: Interruption) -> None:
    # C3.3
    async def handler(ctx: Any) -> None:
        assert run.held is not None
        run.held.interrupt(reason)
        run.held.interrupt(Interruption.STOP)
        await asyncio.Event().wait()

    assert await run(handler) == Interrupted(reason)


async def test_an_interruption_before_the_start_is_one_too(run: Run) -> None:
    # C3.3
    async def handler(ctx: Any) -> None:
        pytest.fail("started")

    starting = asyncio.create_task(run(handler))
    while run.held is None or run.held.task is None:
        await asyncio.sleep(0)
        if run.held is not None and run.held.task is not None:
            break
    run.held.interrupt(Interruption.STOP)
    ended = await starting
    assert ended == Interrupted(Interruption.STOP)


# After the end


async def test_what_a_mutation_left_running_can_do_nothing_more(run: Run) -> None:
    # C3.1
    later: list[Any] = []

    async def handler(ctx: Any) -> None:
        await ctx.db.insert("t", {}, key="kept")
        later.append(ctx)

    assert isinstance(await run(handler), Returned)
    (ctx,) = later
    late: list[Any] = [
        lambda: ctx.db.insert("t", {}),
        lambda: ctx.db.get("t:other"),
        lambda: ctx.db.delete("t:kept"),
    ]
    for act in late:
        with pytest.raises(RuntimeError, match="has ended"):
            await act()
    assert [document_id for _, document_id, _ in run.transaction.writes] == ["t:kept"]


def test_what_cannot_even_be_called() -> None:
    # C2.6
    delivery = Delivery("JOB", "default", "5-0", "TOKEN", 1)
    spec = Spec(0, 0, "default", "shop:gone", "", "", "", [], {})
    damaged = raised(not_runnable(Held(delivery, None, problem="spec: damaged")) or Conflicted())
    assert (type(damaged), str(damaged)) == (InvalidArguments, "spec: damaged")
    assert isinstance(raised(not_runnable(Held(delivery, None)) or Conflicted()), InvalidArguments)
    gone = raised(not_runnable(Held(delivery, spec)) or Conflicted())
    assert (type(gone), str(gone)) == (LookupError, "no function 'shop:gone' in the deployment that ran it")

"""Several batches on the wire, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from scheduler.stream import MOST_IN_FLIGHT, stream


class Wire:
    """Answers each batch when it is told to; what it is told to fail fails."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.most = 0
        self.open = asyncio.Semaphore(0)
        self.failing: set[int] = set()
        self.answered: list[int] = []

    async def send(self, batch: int) -> list[str]:
        self.sent.append(batch)
        self.most = max(self.most, len(self.sent) - len(self.answered))
        await self.open.acquire()
        self.answered.append(batch)
        if batch in self.failing:
            raise ValueError(batch)
        return [f"{batch}a", f"{batch}b"]

    def let_all_through(self) -> None:
        for _ in range(100):
            self.open.release()


async def numbers(count: int, bad: int | None = None) -> AsyncGenerator[int, None]:
    for number in range(count):
        if number == bad:
            raise KeyError(number)
        yield number


async def test_several_are_on_the_wire_before_the_first_is_answered() -> None:
    wire = Wire()
    streaming = asyncio.create_task(stream(numbers(10), wire.send))
    while len(wire.sent) < MOST_IN_FLIGHT:
        await asyncio.sleep(0)
    assert wire.answered == []
    wire.let_all_through()
    assert await streaming == [f"{number}{letter}" for number in range(10) for letter in "ab"]
    assert wire.sent == list(range(10))
    assert wire.most == MOST_IN_FLIGHT


async def test_nothing_is_sent_of_nothing() -> None:
    assert await stream(numbers(0), Wire().send) == []


async def test_what_comes_before_a_wrong_batch_is_answered_first() -> None:
    # C2.11
    wire = Wire()
    streaming = asyncio.create_task(stream(numbers(10, bad=2), wire.send))
    while len(wire.sent) < 2:
        await asyncio.sleep(0)
    assert not streaming.done()
    wire.let_all_through()
    with pytest.raises(KeyError):
        await streaming
    assert wire.answered == [0, 1]


async def test_the_first_failure_is_raised_and_nothing_is_left_running() -> None:
    wire = Wire()
    wire.failing = {1, 2}
    wire.let_all_through()
    with pytest.raises(ValueError, match="1"):
        await stream(numbers(10), wire.send)
    assert len(wire.sent) <= 1 + MOST_IN_FLIGHT
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_failure_before_a_wrong_batch_is_the_one_that_is_raised() -> None:
    wire = Wire()
    wire.failing = {0}
    wire.let_all_through()
    with pytest.raises(ValueError, match="0"):
        await stream(numbers(10, bad=1), wire.send)


async def test_who_is_cancelled_leaves_nothing_running() -> None:
    wire = Wire()
    streaming = asyncio.create_task(stream(numbers(10), wire.send))
    while len(wire.sent) < MOST_IN_FLIGHT:
        await asyncio.sleep(0)
    streaming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await streaming
    assert asyncio.all_tasks() == {asyncio.current_task()}

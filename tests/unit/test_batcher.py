"""Group commit without a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from scheduler.batcher import Batcher


class Wire:
    """Records each call; holds it back while the gate is shut; answers each item with its double."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def send(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [2 * item for item in items]


async def test_one_item_alone_leaves_at_once() -> None:
    wire = Wire()
    assert await Batcher(wire.send, 10).submit(4) == 8
    assert wire.calls == [[4]]


async def test_what_comes_while_a_call_is_on_the_wire_waits_for_the_next() -> None:
    wire = Wire()
    wire.gate.clear()
    batcher = Batcher(wire.send, 3)
    first = batcher.submit(0)
    while not wire.calls:
        await asyncio.sleep(0)
    rest = [batcher.submit(number) for number in range(1, 8)]
    wire.gate.set()
    assert await asyncio.gather(first, *rest) == [2 * number for number in range(8)]
    assert wire.calls == [[0], [1, 2, 3], [4, 5, 6], [7]]


async def test_calls_are_bounded_by_weight_and_a_heavy_item_goes_alone() -> None:
    wire = Wire()
    batcher = Batcher(wire.send, 100, weight=lambda item: item, most=10)
    items = [4, 6, 1, 50, 5, 5, 1]
    assert await asyncio.gather(*(batcher.submit(item) for item in items)) == [2 * item for item in items]
    assert wire.calls == [[4, 6], [1], [50], [5, 5], [1]]


async def test_an_error_is_that_of_all_in_the_call_and_of_no_other() -> None:
    wire = Wire()
    batcher = Batcher(wire.send, 2)
    wire.error = ValueError("no")
    failed = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert failed[0] is failed[1] is wire.error
    wire.error = None
    assert await batcher.submit(3) == 6


async def test_cancelling_one_that_waits_harms_no_other() -> None:
    wire = Wire()
    wire.gate.clear()
    batcher = Batcher(wire.send, 10)
    one, other = batcher.submit(1), batcher.submit(2)
    one.cancel()
    wire.gate.set()
    assert await other == 4
    assert wire.calls == [[1, 2]]  # the item is not taken back


async def test_what_comes_after_all_tasks_were_cancelled_is_sent() -> None:
    """It was left to the call that was being cancelled, and nobody sent it."""
    wire = Wire()
    wire.gate.clear()
    batcher = Batcher(wire.send, 10)
    batcher.submit(1)
    while not wire.calls:
        await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    later = batcher.submit(2)
    wire.gate.set()
    async with asyncio.timeout(5):
        assert await later == 4
    assert wire.calls == [[1], [2]]
    await batcher.drain()


async def test_drain_waits_for_all_and_returns_when_there_is_nothing() -> None:
    wire = Wire()
    batcher = Batcher(wire.send, 1)
    await batcher.drain()
    futures = [batcher.submit(number) for number in range(3)]
    await batcher.drain()
    assert [future.result() for future in futures] == [0, 2, 4]


async def test_a_wrong_number_of_replies_is_an_error_and_nobody_waits_for_ever() -> None:
    async def send(items: Sequence[int]) -> list[int]:
        return [0]

    batcher = Batcher(send, 10)
    futures = [batcher.submit(1), batcher.submit(2)]
    for future in futures:
        with pytest.raises(RuntimeError, match="2 items were sent, 1 were answered"):
            async with asyncio.timeout(1):
                await future

"""What arguments, results and documents may hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from scheduler import App, InvalidValue, LimitExceeded, Limits, MutationContext, Scheduler
from tests.conftest import StartWorker

VALUES: list[Any] = [
    None, True, False, 0, -1, 2**63, -(2**63), 2**64, 10**30, -(10**30), 0.1, -0.0, math.inf, -math.inf,
    "", "ä\0€😀", b"", b"\xff\x00", [], [1, [2, []]], (), (1, (2,)), {}, {"a": {"": 1}},
    datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    date(2026, 11, 23), timedelta(days=-1, microseconds=1), UUID(int=7), Decimal("1.10"), Decimal("-1E+20"),
]  # fmt: skip


class Colour(Enum):
    RED = "red"
    BLUE = 2


@dataclass
class Line:
    item: str
    price: Decimal


class Order(BaseModel):
    lines: list[Line]
    colour: Colour
    at: datetime | None = None


async def test_plain_values_come_through_a_job_unchanged(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C1.5
    @app.mutation
    async def echo(ctx: MutationContext, value: Any, *, again: Any) -> Any:
        await ctx.db.insert("values", {"value": value})
        return [value, again]

    await start_worker()
    ids = await scheduler.schedule_many(echo.after(0, value, again=value) for value in VALUES)
    for job_id, value in zip(ids, VALUES, strict=True):
        came = await scheduler.result(job_id, timeout=5)
        assert came == [value, value]
        assert [type(one) for one in came] == [type(value)] * 2
        assert repr(came[0]) == repr(value)  # -0.0, offsets and exponents too


async def test_not_a_number_comes_through(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C1.5
    @app.mutation
    async def echo(ctx: MutationContext, value: float) -> float:
        return value

    await start_worker()
    assert math.isnan(await scheduler.result(await scheduler.run_after(0, echo, math.nan), timeout=5))


async def test_models_dataclasses_and_enums_are_made_whole_by_the_hints(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C1.5
    @app.mutation
    async def price(ctx: MutationContext, order: Order, by: dict[str, Line], colours: tuple[Colour, ...]) -> Order:
        assert type(order.lines[0]) is type(by["first"]) is Line
        assert colours == (Colour.RED, Colour.BLUE)
        return Order(lines=[*order.lines, by["first"]], colour=colours[1])

    await start_worker()
    line = Line("spoon", Decimal("1.10"))
    job_id = await scheduler.run_after(
        0, price, Order(lines=[line], colour=Colour.RED), {"first": line}, (Colour.RED, Colour.BLUE)
    )
    assert await scheduler.result(job_id, timeout=5) == Order(lines=[line, line], colour=Colour.BLUE)


async def test_what_cannot_be_stored_is_named_by_its_path(app: App, scheduler: Scheduler) -> None:
    # C1.5
    @app.mutation
    async def place(ctx: MutationContext, order: Any) -> None: ...

    cycle: list[Any] = []
    cycle.append(cycle)
    bad: list[tuple[Any, str]] = [
        ({"lines": [1, {"price": {1}}]}, r"args\[0\]\.lines\[1\]\.price: a set"),
        (object(), r"args\[0\]: an object"),
        ({1: 2}, "an int cannot be a key"),
        (datetime(2026, 1, 1), "naive datetime"),  # noqa: DTZ001  naive, that is the point
        ("\ud800", "lone surrogate"),
        (cycle, "or a cycle"),
        (len, "cannot be stored"),
    ]
    for value, message in bad:
        with pytest.raises(InvalidValue, match=message):
            await scheduler.run_after(0, place, value)
    with pytest.raises(InvalidValue, match=r"args\.x: a set"):
        await scheduler.options(allow_unknown=True).run_after(0, "some:name", x={1})
    assert await scheduler.count() == 0


async def test_a_number_of_5000_digits_is_stored(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C1.5
    @app.mutation
    async def echo(ctx: MutationContext, number: int) -> int:
        return number

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, echo, 10**5000), timeout=5) == 10**5000


async def test_arguments_have_a_limit(namespace: str, url: str) -> None:
    # C2.9
    app = App(namespace, limits=Limits(args_bytes=1000))

    @app.mutation
    async def place(ctx: MutationContext, text: str) -> None: ...

    async with Scheduler(app, url=url) as scheduler:
        await scheduler.run_after(60_000, place, "x" * 990)
        with pytest.raises(LimitExceeded, match="the limit is 1,000"):
            await scheduler.run_after(0, place, "x" * 1001)
        assert await scheduler.count() == 1


async def test_five_megabytes_come_through(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C2.9: 8 MiB by default; too large for an entry of the stream, so it takes the other way
    @app.mutation
    async def echo(ctx: MutationContext, data: bytes) -> bytes:
        return data

    await start_worker()
    data = bytes(range(256)) * 20_000
    assert await scheduler.result(await scheduler.run_after(0, echo, data), timeout=10) == data

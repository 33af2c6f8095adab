"""Arguments and results: what cannot be stored, and what looks as if it could not (C1.4, C1.5, C2.9)."""

from __future__ import annotations

import dataclasses
import sys
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from scheduler import DuestreamError, InvalidValue, LimitExceeded
from tests.faults.corpus.case import Bad, Good

TOO_LARGE: Final = 10 * 1024 * 1024
DEPTH: Final = 100_000


@dataclasses.dataclass
class Box:
    inside: Any


class Parcel(BaseModel):
    inside: Any


class Color(Enum):
    SET = frozenset({1})


class Level(IntEnum):
    HIGH = 2**70


class Liar:
    """Says it is a str, and is none."""

    __class__ = str  # type: ignore[assignment]


class Unreadable(Exception):
    """A value whose every question raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __hash__(self) -> int:
        return 1

    def __eq__(self, _: object) -> bool:
        raise RuntimeError("no equality")


class Endless(list[int]):
    """A list that never ends when it is asked nicely."""

    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1


class Sneaky(str):
    """A str that encodes to something else."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        raise RuntimeError("no bytes")


Pair = namedtuple("Pair", "a b")


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def deep_dict(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def cycle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def cycle_of_dicts() -> Any:
    value: dict[str, Any] = {}
    value["self"] = {"again": value}
    return value


def cycle_of_boxes() -> Any:
    box = Box(None)
    box.inside = [box]
    return box


def bomb() -> Any:
    value: Any = []
    for _ in range(30):
        value = [value, value]
    return value


def bad(
    id: str,  # noqa: A002
    value: Any,
    culprit: str = "args.value",
    error: type[DuestreamError] = InvalidValue,
    json: str | None = None,
) -> Bad:
    return Bad(f"argument {id}", value if callable(value) else lambda: value, error, culprit, None, json)


UNSTORABLE = (
    bad("set", lambda: {1, 2}),
    bad("frozenset", lambda: frozenset()),
    bad("object", object),
    bad("function", lambda: len),
    bad("class", lambda: int),
    bad("module", lambda: sys),
    bad("generator", lambda: (n for n in range(1))),
    bad("iterator", lambda: iter([1])),
    bad("range", lambda: range(3)),
    bad("slice", lambda: slice(1)),
    bad("Ellipsis", lambda: ...),
    bad("NotImplemented", lambda: NotImplemented),
    bad("complex", lambda: 1j),
    bad("Fraction", lambda: Fraction(1, 3)),
    bad("exception", lambda: ValueError("x")),
    bad("exception without a repr", Unreadable),
    bad("a liar", Liar),
    bad("SimpleNamespace", lambda: SimpleNamespace(a=1)),
    bad("mapping proxy", lambda: MappingProxyType({"a": 1})),
    bad("dict view", lambda: {}.keys()),
    bad("naive datetime", lambda: datetime(2030, 1, 1)),  # noqa: DTZ001
    bad("time", lambda: time(9, 0)),
    bad("time zone", lambda: UTC),
    bad("enum of a set", lambda: Color.SET),
    bad("set in a list", lambda: [1, [2, {3}]], r"args.value[1][1]"),
    bad("set in an order", lambda: {"order": {"lines": [0, 1, 2, {"price": {1}}]}}, "args.value.order.lines[3].price"),
    bad("set in a tuple", lambda: (1, {2}), "args.value[1]"),
    bad("set in a dataclass", lambda: Box({1}), "args.value.inside"),
    bad("set in a model", lambda: Parcel(inside={1}), "args.value.inside"),
    bad("int key", lambda: {1: 1}),
    bad("None key", lambda: {None: 1}),
    bad("bytes key", lambda: {b"a": 1}),
    bad("tuple key", lambda: {("a",): 1}),
    bad("bool key", lambda: {True: 1}),
    bad("NaN key", lambda: {float("nan"): 1}),
    bad("int key far inside", lambda: {"a": [{"b": {2: 1}}]}, "args.value.a[0].b"),
    bad("lone surrogate", lambda: "\ud800", json='"\\ud800"'),
    bad("lone surrogate in a key", lambda: {"\udfff": 1}, json='{"\\udfff": 1}'),
    bad("lone surrogate in a list", lambda: ["a", "b\ud800"], "args.value[1]", json='["a", "b\\ud800"]'),
    bad("101 levels", lambda: deep(101), json="[" * 101 + "]" * 101),
    bad("101 levels of dicts", lambda: deep_dict(101), json='{"a":' * 101 + "1" + "}" * 101),
    bad("100,000 levels", lambda: deep(DEPTH)),
    bad("100,000 levels of dicts", lambda: deep_dict(DEPTH)),
    bad("a cycle", cycle),
    bad("a cycle of dicts", cycle_of_dicts),
    bad("a cycle of dataclasses", cycle_of_boxes),
    bad("a bomb of lists", bomb, "lists and dicts in one value"),
    bad("10 MB of text", lambda: "x" * TOO_LARGE, "the limit is", LimitExceeded, '"' + "x" * TOO_LARGE + '"'),
    bad("10 MB of bytes", lambda: b"x" * TOO_LARGE, "the limit is", LimitExceeded),
    bad("10 MB of small ints", lambda: [0] * TOO_LARGE, "the limit is", LimitExceeded),
    bad("a dict of a million keys", lambda: {f"k{n:08}": n for n in range(1_000_000)}, "the limit is", LimitExceeded),
    bad("an int of 100,000,000 bits", lambda: 1 << 100_000_000, "the limit is", LimitExceeded),
)

TAKEN = (
    Good("5,000 digits", lambda: 10**5_000 - 1),
    Good("minus 5,000 digits", lambda: -(10**5_000)),
    Good("2**64", lambda: 2**64, str(2**64)),
    Good("-2**63-1", lambda: -(2**63) - 1, str(-(2**63) - 1)),
    Good("NaN", lambda: float("nan"), "NaN"),
    Good("infinity", lambda: float("inf"), "1e400"),
    Good("minus zero", lambda: -0.0, "-0.0"),
    Good("the smallest float", lambda: 5e-324, "5e-324"),
    Good("an empty str", lambda: "", '""'),
    Good("NUL", lambda: "a\0b", '"a\\u0000b"'),
    Good("CRLF", lambda: "a\r\nb", '"a\\r\\nb"'),
    Good("what a terminal obeys", lambda: "\x1b[31m\x07\x9b2J", '"\\u001b[31m\\u0007\\u009b2J"'),
    Good("right to left", lambda: "\u202eabc", '"\\u202eabc"'),
    Good("emoji", lambda: "\U0001f4a5", '"\\ud83d\\udca5"'),
    Good("all bytes", lambda: bytes(range(256))),
    Good("a MiB of text", lambda: "x" * 2**20, '"' + "x" * 2**20 + '"'),
    Good("an empty key", lambda: {"": 1}, '{"": 1}'),
    Good("keys with meaning elsewhere", lambda: {"__class__": 1, "__proto__": 2, "$ref": 3, "{x}": 4, "a:b": 5}),
    Good("100 levels", lambda: deep(99), "[" * 99 + "1" + "]" * 99),
    Good("a tuple in a tuple", lambda: ((), (1, ((),)))),
    Good("a namedtuple", lambda: Pair(1, 2)),
    Good("a defaultdict", lambda: defaultdict(list, {"a": [1]})),
    Good("an OrderedDict", lambda: OrderedDict([("b", 1), ("a", 2)])),
    Good("a bytearray", lambda: bytearray(b"\0\xff")),
    Good("a memoryview with steps", lambda: memoryview(b"abcdef")[::2]),
    Good("a list that never ends", lambda: Endless([1, 2])),
    Good("a str that does not encode", lambda: Sneaky("text")),
    Good("an IntEnum past 64 bits", lambda: Level.HIGH),
    Good("the hour that comes twice", lambda: datetime(2030, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Zurich"), fold=1)),
    Good("the hour that never comes", lambda: datetime(2030, 3, 31, 2, 30, tzinfo=ZoneInfo("Europe/Zurich"))),
    Good("year 9999", lambda: datetime.max.replace(tzinfo=UTC)),
    Good("year 1", lambda: datetime.min.replace(tzinfo=UTC)),
    Good("the first date", lambda: date.min),
    Good("the longest timedelta", lambda: timedelta.max),
    Good("the shortest timedelta", lambda: timedelta.min),
    Good("Decimal sNaN", lambda: Decimal("sNaN")),
    Good("Decimal of 1,000 digits", lambda: Decimal("9" * 1_000)),
    Good("Decimal with a large exponent", lambda: Decimal("1E+999999")),
    Good("a UUID of zeros", lambda: UUID(int=0)),
    Good("100,000 Nones", lambda: [None] * 100_000),
)

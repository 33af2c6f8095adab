"""Values to bytes and back (contract C1.5; "Bad input" of the fault list)."""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import threading
import tracemalloc
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel

from scheduler.errors import InvalidValue
from scheduler.values import MAX_CONTAINERS, MAX_LEVELS, dotted, pack, unpack

ZURICH = ZoneInfo("Europe/Zurich")
Point = namedtuple("Point", "x y")


class Color(enum.Enum):
    RED = "red"
    BOX = (1, 2)


class Size(enum.IntEnum):
    BIG = 3


class Mode(enum.StrEnum):
    FAST = "fast"


@dataclasses.dataclass
class Line:
    sku: str
    price: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    lines: list[Line]
    total: Decimal


class Order(BaseModel):
    model_config = ConfigDict(extra="allow")
    number: int = Field(alias="orderNumber")
    lines: list[Line] = []

    @functools.cached_property
    def cached(self) -> set[int]:
        return {self.number}


class Tags(RootModel[list[str]]):
    pass


class Angry(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        raise RuntimeError

    tzname = dst = utcoffset  # type: ignore[assignment]


class Field1:
    """A descriptor that has no value."""

    def __get__(self, instance: object, owner: type) -> int:
        if instance is None:
            return 0
        raise KeyError("nothing")

    def __set__(self, instance: object, value: int) -> None: ...


@dataclasses.dataclass
class Described:
    field: int = Field1()  # type: ignore[assignment]


def nested(levels: int, wrap: Callable[[Any], Any] = lambda inner: [inner]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


def same(left: Any, right: Any) -> bool:
    """Equal, of equal types, NaN and the sign of zero included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, Decimal):
        return str(left) == str(right)
    if isinstance(left, datetime):
        return left.isoformat() == str(right.isoformat())
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


INTS = [0, -1, 127, 128, -(2**63), 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 2**127, 10**5000, -(10**5000)]
FLOATS = [0.0, -0.0, 1.5, 1e308, 5e-324, math.inf, -math.inf, math.nan]
DECIMALS = ["0", "-0", "1.50", "1E+3", "1E-999999", "NaN", "sNaN", "-Infinity", "1" * 200]
TIMES = [
    datetime(2026, 1, 31, 12, tzinfo=UTC),
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=ZURICH),
    datetime(2026, 7, 1, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=-3, minutes=-30, seconds=7, microseconds=1))),
    datetime(2026, 10, 25, 2, 30, tzinfo=ZURICH),  # the hour that is repeated
    datetime(2026, 10, 25, 2, 30, tzinfo=ZURICH, fold=1),
    datetime(2026, 3, 29, 2, 30, tzinfo=ZURICH),  # the hour that does not exist
]
OTHERS: list[Any] = [
    *(None, True, False, "", "é\0\U0001f600\r\n", b"", b"\xff\0", [], (), {}, {"": 1}, (((),),), [(1, [2, (3,)])]),
    *(date.min, date.max, timedelta.min, timedelta.max, timedelta(0), -timedelta(microseconds=1), UUID(int=0)),
    {"odd key": {"": ("a", b"b")}},
]


# C1.5
@pytest.mark.parametrize(
    "value",
    [*INTS, *FLOATS, *map(Decimal, DECIMALS), *TIMES, *OTHERS],
    ids=lambda v: repr(v)[:40] if not isinstance(v, int) else f"int{v.bit_length()}",
)
def test_round_trip(value: Any) -> None:
    for form in (value, [value], (value,), {"a": value}):
        assert same(unpack(pack(form, "args")), form)


scalars = st.one_of(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    st.dates() | st.timedeltas() | st.uuids() | st.decimals(allow_nan=True),
    st.datetimes(timezones=st.timezones(), allow_imaginary=False) | st.datetimes(timezones=st.just(UTC)),
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=25,
)


# C1.5
@given(trees)
@settings(deadline=None)
def test_any_value_comes_back(value: Any) -> None:
    assert same(unpack(pack(value, "args")), value)


# C1.5
@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (Color.RED, "red"),
        (Color.BOX, (1, 2)),
        ([Size.BIG, Mode.FAST], [3, "fast"]),
        ({Mode.FAST: 1}, {"fast": 1}),
        (Line("a", Decimal(1)), {"sku": "a", "price": Decimal(1)}),
        (Slotted([Line("a", (1,))], Decimal("1.0")), {"lines": [{"sku": "a", "price": (1,)}], "total": Decimal("1.0")}),
        (Tags(["a"]), ["a"]),
        (Order.model_construct(number=1), {"number": 1, "lines": []}),
        (Point(1, Point(2, 3)), (1, (2, 3))),
        (defaultdict(int, a=1), {"a": 1}),
        (Counter("aa"), {"a": 2}),
        (type("Text", (str,), {"__str__": lambda _: "no"})("yes"), "yes"),
        (type("Int", (int,), {"__int__": lambda _: 0})(2**70), 2**70),
        ([type("Float", (float,), {})(1.5), type("Bytes", (bytes,), {})(b"x")], [1.5, b"x"]),
        (type("List", (list,), {})([1, (2,)]), [1, (2,)]),
        ([bytearray(b"a"), memoryview(b"abcd")[::2]], [b"a", b"ac"]),
        (msgpack.ExtType(1, b"x"), (1, b"x")),
    ],
)
def test_stored_as(value: Any, stored: Any) -> None:
    assert same(unpack(pack(value, "args")), stored)


def test_a_model_keeps_fields_and_extras_but_no_caches() -> None:
    order = Order.model_validate({"orderNumber": 7, "lines": [{"sku": "a", "price": 1}], "note": "x"})
    assert order.cached == {7}
    assert unpack(pack(order, "args")) == {"number": 7, "lines": [{"sku": "a", "price": 1}], "note": "x"}


def test_the_order_of_an_ordered_dict_is_kept() -> None:
    value = OrderedDict(a=1, b=2)
    value.move_to_end("a")
    assert list(unpack(pack(value, "args"))) == ["b", "a"]


def test_a_zone_keeps_its_name_where_the_host_knows_it() -> None:
    assert unpack(pack(TIMES[4], "args")).tzinfo is ZURICH
    unknown = msgpack.packb(msgpack.ExtType(2, b"2026-01-31T12:00:00+05:00[Mars/Phobos]"))
    other_rules = msgpack.packb(msgpack.ExtType(2, b"2026-01-31T12:00:00+05:00[Europe/Zurich]"))
    for data in (unknown, other_rules):
        assert unpack(data).isoformat() == "2026-01-31T12:00:00+05:00"


def test_the_standard_timestamp_is_read() -> None:
    assert unpack(b"\xd6\xff\0\0\0\1") == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


# C1.5: "names the path to the bad value"
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"order": {"lines": [1, 2, 3, {"price": {1}}]}}, "args.order.lines[3].price: a set cannot be stored"),
        ({"order": Slotted([Line("a", {1})], Decimal(1))}, "args.order.lines[0].price: a set cannot be stored"),
        (Order.model_construct(number=1, lines=[Line("a", 1j)]), "args.lines[0].price: a complex cannot be stored"),
        (RootModel[Any]([object()]), "args[0]: an object cannot be stored"),
        ((1, (frozenset(),)), "args[1][0]: a frozenset cannot be stored"),
        ([(i for i in [1])], "args[0]: a generator cannot be stored"),
        ({"odd key": print}, "args['odd key']: a builtin_function_or_method cannot be stored"),
        ({"a\r\nb": Line}, "args['a\\r\\nb']: a type cannot be stored"),
        ({"k" * 61: ...}, f"args['{'k' * 60}']: an ellipsis cannot be stored"),
        (Fraction(1, 2), "args: a Fraction cannot be stored"),
        (time(1), "args: a time cannot be stored"),
        ([datetime(2026, 1, 1)], "args[0]: a naive datetime cannot be stored, only one with a time zone"),  # noqa: DTZ001
        ({"a": {1: 2}}, "args.a: an int cannot be a key, only a str can"),
        ({b"": [1]}, "args: a bytes cannot be a key, only a str can"),
        ({(1,): 2}, "args: a tuple cannot be a key, only a str can"),
        ({None: 2}, "args: a NoneType cannot be a key, only a str can"),
        (["ok", "\ud800"], "args[1]: a str with a lone surrogate cannot be stored"),
        ({"\udfff": 1}, "args['\\udfff']: a str with a lone surrogate cannot be stored"),
        (nested(101), f"args{'[0]' * 11}…[0]: nested deeper than 100 levels, or a cycle"),
        (nested(101, lambda v: (v,)), f"args{'[0]' * 11}…[0]: nested deeper than 100 levels, or a cycle"),
        (nested(101, lambda v: {"a": v}), f"args{'.a' * 11}….a: nested deeper than 100 levels, or a cycle"),
        (nested(100_000), f"args{'[0]' * 11}…[0]: nested deeper than 100 levels, or a cycle"),
        (datetime(2026, 1, 1, tzinfo=Angry()), "args: cannot be stored (RuntimeError)"),
        (Described(), "args: cannot be stored (KeyError)"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        pack(value, "args")
    assert str(caught.value) == message
    assert unpack(pack([1], "args")) == [1]  # the packer is as good as before


def test_cycles_are_refused() -> None:
    by_list: list[Any] = []
    by_list.append(by_list)
    by_dict: dict[str, Any] = {}
    by_dict["a"] = ({"b": by_dict},)
    line = Line("a", None)
    line.price = [line]
    for value in (by_list, by_dict, line):
        with pytest.raises(InvalidValue, match=r"or a cycle$"):
            pack(value, "result")


def test_a_value_that_doubles_at_each_level_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_CONTAINERS >= 1_000_000
    monkeypatch.setattr("scheduler.values.MAX_CONTAINERS", 1000)
    with pytest.raises(InvalidValue, match=r"more than 1000 lists and dicts"):
        pack(nested(90, lambda v: [v, v]), "args")


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}])
def test_a_hundred_levels_are_stored_also_inside_a_record(wrap: Callable[[Any], Any]) -> None:
    value = nested(MAX_LEVELS, wrap)
    data = pack(value, "args")
    assert unpack(data) == value
    assert unpack(b"\x91" + data) == [value]


def test_large_values() -> None:
    value = {"text": "x" * 10_000_000, "many": list(range(100_000)), **{str(key): key for key in range(100_000)}}
    assert unpack(pack(value, "args")) == value


@given(
    st.binary() | st.builds(bytes.__add__, st.sampled_from([b"\xdd", b"\xdf", b"\xc9", b"\xdb", b"\xc6"]), st.binary())
)
@settings(deadline=None)
def test_random_bytes_give_a_value_or_invalid_value(data: bytes) -> None:
    try:
        value = unpack(data)
    except InvalidValue:
        return
    assert same(unpack(pack(value, "args")), value)


@given(st.integers(1, 8), st.binary(max_size=40) | st.text("0123456789-+:.TZ[]/Eew aNn", max_size=40).map(str.encode))
@settings(deadline=None)
def test_random_payloads_give_a_value_or_invalid_value(code: int, payload: bytes) -> None:
    try:
        value = unpack(msgpack.packb([msgpack.ExtType(code, payload)]))
    except InvalidValue:
        return
    assert same(unpack(pack(value, "args")), value)


@given(trees, st.data())
@settings(deadline=None, max_examples=50)
def test_truncated_or_extended_bytes_are_refused(value: Any, data: st.DataObject) -> None:
    packed = pack(value, "args")
    cut = data.draw(st.integers(0, len(packed) - 1))
    for wrong in (packed[:cut], packed + b"\xc0"):
        with pytest.raises(InvalidValue, match="not a stored value"):
            unpack(wrong)


def ext(code: int, payload: bytes) -> bytes:
    data: bytes = msgpack.packb(msgpack.ExtType(code, payload))
    return data


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xc1", b"\x81\x01\x02", b"\x81\xc4\x01a\x02", b"\xa1\xff", b"\xa3\xed\xa0\x80", b"\x81\x90\x01"),
        *(b"\x81\xc4\x00\x01", b"\x82\xc4\x00\x90\xa1a\x01", b"\x81\xc4\x00\x81\xc4\x00\x90"),  # no tuples
        *(bytes([head]) + b"\xff" * 4 for head in (0xDB, 0xDD, 0xDF, 0xC6, 0xC9)),  # lengths of 4 GB
        *(b"\x91" * depth + b"\x01" for depth in (109, 1024, 1025, 100_000)),
        *(b"\x81\xc4\x00\x91" * depth + b"\x90" for depth in (109, 5000)),
        *(ext(code, b"") for code in (1, 2, 3, 5, 6, 7, 99, 127)),
        *(ext(1, b"\0\0"), ext(4, b"\x7f" * 20), ext(5, b"\0" * 15), ext(3, b"2026-W01-1"), ext(3, b"2026-02-30")),
        *(ext(2, b"2026-01-31T12:00:00"), ext(2, b"2026-01-31 12:00:00+00:00"), ext(2, b"2026-01-31T12:00:00Z")),
        *(ext(2, b"2026-01-31T12:00:00+00:00[" + zone) for zone in (b"", b"]", b"UTC", b"../x]", b"/etc]", b"a\0]")),
        *(ext(6, b"1_0"), ext(6, b" 1"), ext(6, b"x"), ext(6, b"1e" + b"9" * 50), ext(6, b"\xff")),
        b"\xc7\x0c\xff" + b"\xff" * 12,  # a timestamp out of range
    ],
    ids=lambda data: data[:12].hex(),
)
def test_corrupt_bytes(data: bytes) -> None:
    with pytest.raises(InvalidValue, match=r"^these bytes are not a stored value: "):
        unpack(data)


@pytest.mark.parametrize("size", [1024, 100_000])
def test_false_lengths_take_no_memory(size: int) -> None:
    data = (b"\xdd" + size.to_bytes(4, "big")) * 1000
    data = (data + b"\x01" * size)[:size]
    tracemalloc.start()
    try:
        with pytest.raises(InvalidValue):
            unpack(data)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_threads_do_not_disturb_each_other() -> None:
    start = threading.Barrier(4)

    def work(seed: int) -> bool:
        start.wait()
        values: list[Any] = [[seed, "x" * seed], {"a": (seed, {"b": 2**70 + seed})}, [Line("s", seed)]]
        for _ in range(500):
            with pytest.raises(InvalidValue):
                pack(["\ud800"], "args")
            if [unpack(pack(value, "args")) for value in values][:2] != values[:2]:
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(4)))


def test_dotted() -> None:
    assert dotted("a", []) == "a"
    assert dotted("a", ["b", 0, "c d", "é"]) == "a.b[0]['c d'].é"

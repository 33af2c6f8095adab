"""Sort keys: their order is the order of the values (C6.1)."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scheduler import values
from scheduler.errors import InvalidDocument
from scheduler.sortkey import ABSENT, MOST_BYTES, kind_bounds, sort_key

ints = (
    st.integers() | st.integers(-(2**70), 2**70) | st.integers(2**53 - 3, 2**53 + 3) | st.integers(-(10**400), 10**400)
)
floats = st.floats(allow_nan=False)
decimals = st.decimals(allow_nan=False) | st.decimals(allow_nan=False, min_value=-10, max_value=10, places=25)
numbers = st.one_of(ints, floats, decimals)
texts = st.text(max_size=20) | st.text("\0\x01a\xff", max_size=6)
blobs = st.binary(max_size=20) | st.lists(st.sampled_from([b"\0", b"\x01", b"\xff"]), max_size=6).map(b"".join)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
lowest, highest = datetime(2, 1, 1), datetime(9998, 1, 1)  # noqa: DTZ001  hypothesis adds the zone
moments = st.datetimes(lowest, highest, timezones=zones)
scalars = st.one_of(
    st.none(), st.booleans(), numbers, texts, blobs, moments, st.dates(), st.timedeltas(), st.uuids(),
)  # fmt: skip
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)


def compare(one: Any, other: Any) -> int:
    """-1, 0 or 1, as the two are ordered."""
    return int(one > other) - int(one < other)


def agree(one: Any, other: Any) -> None:
    """The keys are ordered as the values, as far as they are not cut, and none lies in the range of another."""
    keys = sort_key(one), sort_key(other)
    if MOST_BYTES not in map(len, keys):
        assert compare(*keys) == compare(one, other)
    assert (keys[0] == keys[1]) is (one == other)
    assert within(*keys) is within(*reversed(keys)) is (one == other)


def within(key: bytes, other: bytes) -> bool:
    """Whether an entry of `other` is among those of `key`."""
    return key <= other + b"0" < key + b"\xff"


@given(numbers, numbers)
@example(2**53, 2.0**53)
@example(2**53 + 1, 2.0**53)
@example(-(2**53) - 1, -(2.0**53))
@example(Decimal("0.1"), 0.1)
@example(Decimal("1.00"), 1)
@example(-0.0, 0)
@example(Decimal("-0"), 0)
@example(10**400, math.inf)
@example(-(10**400), -math.inf)
@example(Decimal("Infinity"), math.inf)
@example(2**1024 - 2**970, Decimal(2**1024))
@example(2**1024 - 2**970 - 1, 2**1024 - 2**970)
@example(5e-324, Decimal("1e-400"))
@example(-5e-324, Decimal("-1e-400"))
@example(Decimal("1e99999999999"), Decimal("2e99999999999"))
@example(Decimal("1e-99999999999"), 0)
@example(Decimal("1e-99999999999"), Decimal("2e-99999999999"))
def test_numbers_of_all_types_are_one_order(one: Any, other: Any) -> None:
    agree(one, other)


@given(st.integers(-(2**80), 2**80), st.integers(-3, 3))
def test_close_integers_beyond_64_bits(number: int, step: int) -> None:
    agree(number, number + step)


@given(texts, texts)
@example("a", "a\0")
@example("a\0", "a\x01")
@example("a\0\xff", "a\0")
@example("\ue000", "\U00010000")
def test_texts(one: str, other: str) -> None:
    # By code points, as Python does.
    agree(one, other)


@given(blobs, blobs)
def test_bytes(one: bytes, other: bytes) -> None:
    agree(one, other)


@given(moments, moments)
@example(datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(1970, 1, 1, tzinfo=UTC))
@example(datetime(2000, 1, 1, 12, tzinfo=UTC), datetime(2000, 1, 1, 13, tzinfo=timezone(timedelta(hours=1))))
def test_datetimes_of_all_zones_are_ordered_by_their_instant(one: datetime, other: datetime) -> None:
    agree(one, other)


@given(st.dates(), st.dates())
def test_dates(one: date, other: date) -> None:
    agree(one, other)


@given(st.timedeltas(), st.timedeltas())
def test_timedeltas(one: timedelta, other: timedelta) -> None:
    agree(one, other)


@given(st.uuids(), st.uuids())
def test_uuids(one: UUID, other: UUID) -> None:
    agree(one, other)


@given(st.booleans(), st.booleans())
def test_booleans(one: bool, other: bool) -> None:
    agree(one, other)


@given(st.lists(numbers, max_size=4), st.lists(numbers, max_size=4))
@example([1], [1, -math.inf])
@example([], [-math.inf])
@example([2**900 + 1] * 3, [2**900 + 1] * 3 + [0])
def test_lists_of_numbers(one: list[Any], other: list[Any]) -> None:
    agree(one, other)


@given(st.lists(st.lists(texts, max_size=3), max_size=3), st.lists(st.lists(texts, max_size=3), max_size=3))
@example([["a"], ["b"]], [["a", "b"]])
@example([[], []], [[[""]]])
def test_nested_lists(one: list[Any], other: list[Any]) -> None:
    agree(one, other)


@given(st.dictionaries(texts, st.integers(), max_size=4), st.dictionaries(texts, st.integers(), max_size=4))
def test_dicts_are_ordered_as_their_sorted_items(one: dict[str, int], other: dict[str, int]) -> None:
    keys = sort_key(one), sort_key(other)
    assert compare(*keys) == compare(sorted(one.items()), sorted(other.items()))
    assert sort_key(dict(reversed(one.items()))) == keys[0]


def test_a_tuple_is_a_list() -> None:
    assert sort_key((1, ("a",))) == sort_key([1, ["a"]])


@given(st.tuples(numbers, texts, moments), st.tuples(numbers, texts, moments))
@example((1, "a", datetime(2000, 1, 1, tzinfo=UTC)), (1.0, "a\0", datetime(1999, 1, 1, tzinfo=UTC)))
def test_joined_keys_keep_the_order_of_tuples(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    joined = [b"".join(map(sort_key, row)) for row in (one, other)]
    assert compare(*joined) == compare(one, other)


@given(anything, anything, anything, anything)
def test_joined_keys_of_anything(a: object, b: object, c: object, d: object) -> None:
    one, other = (sort_key(a), sort_key(b)), (sort_key(c), sort_key(d))
    assert compare(b"".join(one), b"".join(other)) == compare(one, other)


KINDS: list[list[Any]] = [
    [None], [False, True], [float("-inf"), -(10**400), -1, 0, 0.5, Decimal("0.75"), 1, 10**400, float("inf")],
    ["", "a", "\U0010ffff"], [b"", b"\0", b"\xff\xff"],
    [datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)], [date.min, date.max],
    [timedelta.min, timedelta.max], [UUID(int=0), UUID(int=2**128 - 1)], [[], [None], [{}]], [{}, {"a": 1}],
]  # fmt: skip


def test_kinds_come_in_their_order() -> None:
    keys = [ABSENT, *(sort_key(value) for kind in KINDS for value in kind)]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind[-1]).__name__)
def test_the_bounds_of_a_kind_hold_all_of_it_and_nothing_else(kind: list[Any]) -> None:
    for value in kind:
        low, high = kind_bounds(sort_key(value))
        assert [other for one in KINDS for other in one if low <= sort_key(other) < high] == kind
        assert not low <= ABSENT < high


@pytest.mark.parametrize(
    "nan", [math.nan, -math.nan, Decimal("NaN"), Decimal("-NaN"), Decimal("sNaN"), Decimal("NaN7")]
)
def test_nan_is_one_value_below_all_numbers_and_in_no_range(nan: Any) -> None:
    key = sort_key(nan)
    assert key == sort_key(math.nan)
    assert sort_key(True) < key < sort_key(-math.inf)
    low, high = kind_bounds(sort_key(1))
    assert not low <= key < high
    assert low <= sort_key(-math.inf) < high


@given(anything)
def test_equal_values_have_equal_keys_after_they_were_stored(value: Any) -> None:
    assert sort_key(values.unpack(values.pack(value, "value"))) == sort_key(value)


@given(anything)
def test_a_key_begins_below_0x80(value: Any) -> None:
    assert sort_key(value)[0] < 0x80


@pytest.mark.parametrize("long", ["x" * 10_000, b"\0" * 10_000, list(range(1_000)), {"a": "x" * 10_000}, ["ab"] * 400])
def test_a_very_long_value_keeps_equality(long: Any) -> None:
    key = sort_key(long)
    assert len(key) == MOST_BYTES
    assert key == sort_key(values.unpack(values.pack(long, "value")))


@given(st.text("ab\0", min_size=600, max_size=700), st.integers(0, 599), st.sampled_from("abc\0"))
def test_very_long_texts_are_equal_where_they_are_and_ordered_by_their_beginning(
    text: str, at: int, letter: str
) -> None:
    other = text[:at] + letter + text[at + 1 :]
    keys = sort_key(text), sort_key(other)
    assert (keys[0] == keys[1]) is (text == other)
    if at < 230:  # each zero takes two bytes
        assert compare(*keys) == compare(text, other)


@pytest.mark.parametrize("length", range(465, 500))
def test_a_very_long_text_that_is_cut_at_a_zero_is_not_taken_for_the_short_one(length: int) -> None:
    short = "a" * length
    long = short + "\0" + "b" * 1_000
    assert not within(sort_key(short), sort_key(long))
    if len(sort_key(short)) < MOST_BYTES:
        assert sort_key(short) < sort_key(long)


@pytest.mark.parametrize("length", range(476, 484))
def test_no_value_is_taken_for_another_by_the_digest_of_its_end(length: int) -> None:
    # One digest in 256 begins with the zero that ends a shorter key.
    beginning = b"x" * length
    keys = [sort_key(beginning + b"\xff" + number.to_bytes(2) * 20) for number in range(2_000)]
    for short in (beginning, beginning + b"\xff", beginning + b"\xff\xff"):
        assert not [key for key in keys if within(sort_key(short), key)]


@pytest.mark.parametrize("value", [object(), {1}, 1j, bytearray(b"a")], ids=lambda value: type(value).__name__)
def test_what_is_never_stored_cannot_be_compared(value: object) -> None:
    with pytest.raises(InvalidDocument, match=f"a {type(value).__name__} cannot be compared"):
        sort_key(value)

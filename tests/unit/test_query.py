"""What a query asks, checked as it is put together (C6.1)."""

from __future__ import annotations

import base64
import enum
from typing import Any

import pytest

from scheduler import values
from scheduler.errors import InvalidDocument, InvalidOption
from scheduler.query import Page, Plan, Position
from scheduler.sortkey import ABSENT, sort_key
from scheduler.table import Index

INDEX = Index("orders", ("owner", "state", "amount"))
TABLE = Plan("orders")


def along(**equal: Any) -> Plan:
    return TABLE.walking(INDEX, equal)


def key(*fields: Any) -> bytes:
    return b"".join(map(sort_key, fields))


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(values.pack(list(parts), "cursor")).decode().rstrip("=")


# Equalities


@pytest.mark.parametrize(
    "equal", [{}, {"owner": "ada"}, {"state": 1, "owner": "ada"}, {"owner": "ada", "state": 1, "amount": None}]
)
def test_equalities_name_the_first_fields_in_any_order(equal: dict[str, Any]) -> None:
    plan = along(**equal)
    assert plan.equal == tuple(sort_key(equal[name]) for name in INDEX.fields if name in equal)


@pytest.mark.parametrize(
    ("equal", "wrong"),
    [
        ({"state": 1}, "state"), ({"owner": "ada", "amount": 5}, "amount"), ({"colour": 1}, "colour"),
        ({"owner": 1, "state": 1, "amount": 1, "id": 1}, "id"),
    ],
)  # fmt: skip
def test_an_equality_on_another_field_is_refused(equal: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidDocument, match=rf"^index: {wrong}: .*first fields of the index: owner, state, amount$"):
        along(**equal)


def test_a_query_walks_one_index() -> None:
    with pytest.raises(InvalidDocument, match="one index"):
        along().walking(INDEX, {})


def test_values_are_compared_as_they_are_stored() -> None:
    class Colour(enum.Enum):
        RED = "red"

    assert along(owner=Colour.RED).equal == (sort_key("red"),)
    assert along(owner=1).equal == along(owner=1.0).equal
    with pytest.raises(ValueError, match="owner: a set cannot be stored"):
        along(owner={1})


# Ranges


@pytest.mark.parametrize("comparison", ["gt", "gte", "lt", "lte"])
def test_a_range_is_on_the_field_after_the_equal_ones(comparison: str) -> None:
    for equal, field in (({}, "owner"), ({"owner": 1}, "state"), ({"owner": 1, "state": 2}, "amount")):
        plan = along(**equal).bounded(comparison, field, 5)
        assert (plan.low or plan.high) == (comparison, sort_key(5))
        for other in {"owner", "state", "amount", "colour"} - {field}:
            with pytest.raises(InvalidDocument, match=rf"^{comparison}: {other}: .*is on '{field}'"):
                along(**equal).bounded(comparison, other, 5)


def test_a_range_needs_an_index_with_a_field_left() -> None:
    for plan in (TABLE, along(owner=1, state=2, amount=3)):
        with pytest.raises(InvalidDocument, match="needs an index with a field left"):
            plan.bounded("gt", "amount", 5)


@pytest.mark.parametrize("first", ["gt", "gte", "lt", "lte"])
@pytest.mark.parametrize("second", ["gt", "gte", "lt", "lte"])
def test_each_side_has_one_bound(first: str, second: str) -> None:
    plan = along().bounded(first, "owner", 1)
    if first[0] == second[0]:
        with pytest.raises(InvalidDocument, match="a bound already"):
            plan.bounded(second, "owner", 2)
    else:
        both = plan.bounded(second, "owner", 2)
        assert {both.low and both.low[0], both.high and both.high[0]} == {first, second}


@pytest.mark.parametrize(
    ("comparisons", "fits"),
    [
        ({}, [ABSENT, None, False, -5, 1, 1.5, 2, "1", b"1", [1]]),
        ({"gt": 1}, [1.5, 2]), ({"gte": 1}, [1, 1.5, 2]), ({"lt": 1}, [-5]), ({"lte": 1}, [-5, 1]),
        ({"gt": 1, "lt": 2}, [1.5]), ({"gte": 1, "lte": 2}, [1, 1.5, 2]), ({"gt": 2, "lt": 1}, []),
        ({"gte": ""}, ["1"]), ({"lt": "2"}, ["1"]), ({"gte": None}, [None]), ({"lte": True}, [False]),
        ({"gte": 1, "lt": "2"}, [1, 1.5, 2, "1"]),
    ],
)  # fmt: skip
def test_a_range_holds_values_of_its_kind(comparisons: dict[str, Any], fits: list[Any]) -> None:
    plan = along(owner="ada")
    for comparison, value in comparisons.items():
        plan = plan.bounded(comparison, "state", value)
    bounds = plan.bounds()
    values_ = [ABSENT, None, False, -5, 1, 1.5, 2, "1", b"1", [1]]
    for owner, expected in (("ada", fits), ("ad", []), ("ada\0", []), ("adb", [])):
        found = [
            value
            for value in values_
            if bounds.hold(key(owner) + (ABSENT if value is ABSENT else sort_key(value)) + sort_key(7))
        ]
        assert found == expected


# Orders


def test_orders() -> None:
    assert TABLE.order == "asc"
    assert TABLE.ordered("desc").ordered("asc") == TABLE
    for order in ("ascending", "", None, 1, "DESC"):
        with pytest.raises(InvalidOption, match=r"^order: expected 'asc' or 'desc'"):
            TABLE.ordered(order)  # type: ignore[arg-type]


# Cursors


@pytest.mark.parametrize("plan", [TABLE, along(), along(owner="ada").ordered("desc")])
def test_a_cursor_comes_back_as_the_place_it_stood_for(plan: Plan) -> None:
    place = Position(key("ada", 1, 2), 17)
    text = plan.cursor(place, "orders:a")
    assert text.isascii()
    assert not set(text) & set("+/= ")
    assert plan.resumed(text).start == (place, "orders:a")
    assert plan.resumed(text).bounds() == plan.bounds()


def test_a_cursor_of_another_query_is_refused() -> None:
    text = TABLE.cursor(Position(b"", 1), "orders:a")
    for other in (along(), Plan("people"), Plan("orders").walking(Index("orders", ("owner",)), {})):
        with pytest.raises(InvalidOption, match=r"^cursor: of a query on 'orders', not on"):
            other.resumed(text)
    with pytest.raises(InvalidOption, match=r"^cursor: of a query on 'orders:owner,state,amount', not on 'orders'"):
        TABLE.resumed(along().cursor(Position(b"", 1), "orders:a"))


@pytest.mark.parametrize(
    "garbage", ["", "x", "äöü", "a b", "====", "AAAA", "\ud800", "x" * 100_000, None, 5, b"AAAA", [], "-_-_"]
)
def test_garbage_is_no_cursor(garbage: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^cursor: ") as caught:
        TABLE.resumed(garbage)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    "tampered",
    [
        cursor(), cursor("orders", b"", 1), cursor("orders", b"", 1, "orders:a", 1),
        cursor("orders", "", 1, "orders:a"),
        cursor("orders", b"", -1, "orders:a"), cursor("orders", b"", 1.5, "orders:a"),
        cursor("orders", b"", True, "orders:a"), cursor("orders", b"", "1", "orders:a"), cursor("orders", b"", 1, None),
        cursor("orders", b"", 1, 5), cursor(None, b"", 1, "orders:a"), cursor(["orders"], b"", 1, "orders:a"),
        base64.urlsafe_b64encode(values.pack({"a": 1, "b": 2, "c": 3, "d": 4}, "cursor")).decode(),
        base64.urlsafe_b64encode(values.pack("abcd", "cursor")).decode(),
        base64.urlsafe_b64encode(values.pack(5, "cursor")).decode(),
    ],
)  # fmt: skip
def test_a_tampered_cursor_is_refused(tampered: str) -> None:
    with pytest.raises(InvalidOption, match=r"^cursor: "):
        TABLE.resumed(tampered)


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_cursor_that_was_cut_is_refused(cut: int) -> None:
    text = TABLE.cursor(Position(b"", 123_456), "orders:a")
    with pytest.raises(InvalidOption, match=r"^cursor: "):
        TABLE.resumed(text[:-cut])


def test_a_page_is_a_list_with_a_cursor() -> None:
    page = Page([1, 2], "x")
    assert page == [1, 2]
    assert page.cursor == "x"

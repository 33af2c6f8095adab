"""The parameters of a handler (contract C1.4; "Bad input" of the fault list)."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NewType
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, Strict

from scheduler.errors import InvalidArguments, InvalidValue
from scheduler.parameters import Parameters, parse_text_by_schema
from scheduler.values import pack, unpack

if TYPE_CHECKING:
    from nowhere import Context  # type: ignore[import-not-found]

Cents = NewType("Cents", int)
ID = UUID(int=7)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Color(enum.Enum):
    RED = "red"
    ONE = 1


class Size(enum.IntEnum):
    BIG = 3


@dataclasses.dataclass
class Line:
    sku: str
    price: Decimal

    def __post_init__(self) -> None:
        if self.price < 0:
            raise KeyError("negative")


class Order(BaseModel):
    number: int = Field(alias="orderNumber")
    lines: list[Line] = []
    color: Color = Color.RED


class Point(NamedTuple):
    x: int
    y: int


class Angry:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def handler_of(hint: Any) -> Parameters:
    def handler(ctx: Context, value: Any) -> None: ...

    handler.__annotations__["value"] = hint
    return Parameters.of(handler, name="shop:f")


def place_order(ctx: Context, order_id: str, cents: int) -> None: ...
def shapes(ctx: Context, a: int, /, b: int, c: int = 0, *, d: int, e: int = 0) -> None: ...
def open_ended(ctx: Context, *lines: int, **options: float) -> None: ...
def context_only(ctx: Context) -> None: ...
def hidden_context(ctx: Context, /, **options: int) -> None: ...
def untyped(ctx, a, b=None): ...  # type: ignore[no-untyped-def]
def same_name(ctx: Context, a: int, /, **rest: str) -> None: ...


PLACE = Parameters.of(place_order, name="shop:place_order")
SHAPES = Parameters.of(shapes, name="shop:shapes")
OPEN = Parameters.of(open_ended, name="shop:open_ended")


# C1.4
@pytest.mark.parametrize(
    ("parameters", "args", "kwargs"),
    [
        (PLACE, ("o1", 1250), {}),
        (PLACE, ("o1",), {"cents": 1250}),
        (PLACE, (), {"cents": 1250, "order_id": "o1"}),
        (SHAPES, (1, 2), {"d": 4}),  # defaults are not filled in
        (SHAPES, (1, 2, 3), {"d": 4, "e": 5}),
        (SHAPES, (1,), {"b": 2, "d": 4}),
        (OPEN, (), {}),
        (OPEN, (1, 2, 3), {"x": 1.5}),
        (Parameters.of(context_only), (), {}),
        (Parameters.of(hidden_context), (), {"ctx": 1}),
        (Parameters.of(untyped), ({1}, 2), {}),
        (Parameters.of(same_name), (1,), {"a": "x"}),
    ],
)
def test_bind_returns_what_it_was_given(parameters: Parameters, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert parameters.bind(args, kwargs) == (args, kwargs)


# C1.4
@pytest.mark.parametrize(
    ("parameters", "args", "kwargs", "message"),
    [
        (PLACE, ("o1", "abc"), {}, "place_order: cents: Input should be a valid integer (got 'abc')"),
        (PLACE, ("o1",), {"cents": True}, "place_order: cents: Input should be a valid integer (got True)"),
        (PLACE, (None, 1), {}, "place_order: order_id: Input should be a valid string (got None)"),
        (PLACE, (), {}, "place_order: order_id: missing argument"),
        (PLACE, ("o1",), {}, "place_order: cents: missing argument"),
        (PLACE, ("o1", 1, 2), {}, "place_order: takes at most 2 positional arguments (3 given)"),
        (PLACE, ("o1", 1), {"cents": 1}, "place_order: cents: multiple values for one argument"),
        (PLACE, ("o1", 1), {"cent": 1}, "place_order: cent: unexpected argument"),
        (PLACE, ("o1", 1), {"a\r\n" + "b" * 200: 1}, f"place_order: a  {'b' * 117}…: unexpected argument"),
        (PLACE, ("o1", 1), {"ctx": 1}, "place_order: ctx: the context is not an argument"),
        (SHAPES, (1, 2), {}, "shapes: d: missing argument"),
        (SHAPES, (), {"a": 1, "b": 2, "d": 3}, "shapes: a: unexpected argument"),
        (Parameters.of(same_name, "shop:same_name"), (), {"a": "x"}, "same_name: a: missing argument"),
        (OPEN, (1, "2"), {}, "open_ended: lines[1]: Input should be a valid integer (got '2')"),
        (OPEN, (), {"x": "2"}, "open_ended: x: Input should be a valid number (got '2')"),
        (OPEN, (), {"ctx": 1}, "open_ended: ctx: the context is not an argument"),
        (PLACE, ("o1", Angry()), {}, None),
        (PLACE, (Angry(), 1), {}, None),
        (PLACE, (10**5000, 1), {}, "place_order: order_id: Input should be a valid string (got a value of type int)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bind_refuses(parameters: Parameters, args: Any, kwargs: dict[str, Any], message: str | None) -> None:
    with pytest.raises(InvalidArguments) as caught:
        parameters.bind(args, kwargs)
    assert "\n" not in str(caught.value)
    if message is not None:
        assert str(caught.value) == f"shop:{message}"


ACCEPTED: list[tuple[Any, Any, Any]] = [
    *(
        (hint, value, value)
        for hint, value in [(int, 2**70), (float, math.inf), (str, "x"), (bool, True), (bytes, b"x")]
    ),
    *((hint, 1, 1) for hint in (Any, object, int | str, int | None, Cents, Literal[1], Annotated[int, Field(gt=0)])),
    *((hint, None, None) for hint in (Any, None, int | None)),
    (float, 1, 1.0),
    (int, Size.BIG, 3),
    (int | str, "5", "5"),
    (Annotated[int, Strict(False)], "5", 5),
    (list[int], (1, 2), [1, 2]),
    (Sequence[int], [1], [1]),
    (tuple[int, ...], [1, 2], (1, 2)),
    (dict[str, list[float]], {"a": [1]}, {"a": [1.0]}),
    (Point, [1, 2], Point(1, 2)),
    (Color, "red", Color.RED),
    (Color, Color.ONE, Color.ONE),
    (Size, 3, Size.BIG),
    (UUID, str(ID), ID),
    (Decimal, "1.50", Decimal("1.50")),
    (datetime, "2026-01-31T12:00:00Z", NOON),
    (date, "2026-01-31", date(2026, 1, 31)),
    (timedelta, "PT5S", timedelta(seconds=5)),
    (Line, {"sku": "a", "price": "1.5"}, Line("a", Decimal("1.5"))),
    (list[Line], [{"sku": "a", "price": 1}, Line("b", Decimal(2))], [Line("a", Decimal(1)), Line("b", Decimal(2))]),
    (Order, {"number": 1}, Order(orderNumber=1)),
    (Order, {"orderNumber": 1}, Order(orderNumber=1)),
    (Order | None, {"number": 1, "color": 1}, Order(orderNumber=1, color=Color.ONE)),
]


# C1.4
@pytest.mark.parametrize(("hint", "value", "expected"), ACCEPTED)
def test_accepted(hint: Any, value: Any, expected: Any) -> None:
    parameters = handler_of(hint)
    (bound,), _ = parameters.bind((value,), {})
    assert bound == expected
    assert type(bound) is type(expected)
    # C1.5: what is stored binds to the same again, in the worker.
    assert parameters.bind((unpack(pack(bound, "args")),), {}) == ((expected,), {})


# C1.4
@pytest.mark.parametrize(
    ("hint", "value", "reason"),
    [
        (int, True, "value: Input should be a valid integer (got True)"),
        (int, 3.0, "value: Input should be a valid integer (got 3.0)"),
        (int, "5", "value: Input should be a valid integer (got '5')"),
        (Cents, "5", "value: Input should be a valid integer (got '5')"),
        (float, True, "value: Input should be a valid number (got True)"),
        (float, "1.5", "value: Input should be a valid number (got '1.5')"),
        (bool, 1, "value: Input should be a valid boolean (got 1)"),
        (str, b"x", "value: Input should be a valid string (got b'x')"),
        (bytes, "x", "value: Input should be a valid bytes (got 'x')"),
        (int | None, "5", "value: Input should be a valid integer (got '5')"),
        (Annotated[int, Field(gt=0)], 0, "value: Input should be greater than 0 (got 0)"),
        (list[int], [1, "2", "3"], "value[1]: Input should be a valid integer (got '2') and 1 more"),
        (
            dict[str, int],
            {"a b": True, "c": "x"},
            "value['a b']: Input should be a valid integer (got True) and 1 more",
        ),
        (tuple[int, str], [1], "value[1]: Field required (got [1])"),
        (list[Line], [{"sku": "a"}], "value[0].price: Field required (got {'sku': 'a'})"),
        (Line, {"sku": "a", "price": -1}, "value: KeyError: 'negative' (got {'price': -1, 'sku': 'a'})"),
        (Color, "blue", "value: Input should be 'red' or 1 (got 'blue')"),
        (int, "x" * 10_000_000, f"value: Input should be a valid integer (got '{'x' * 27}...{'x' * 28}')"),
        (dict[str, int], dict.fromkeys(map(str, range(2000)), "x"), None),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_refused(hint: Any, value: Any, reason: str | None) -> None:
    with pytest.raises(InvalidArguments) as caught:
        handler_of(hint).bind((value,), {})
    if reason is not None:
        assert str(caught.value) == f"shop:f: {reason}"
    else:
        assert "value: 2000 parts of it do not fit (got {" in str(caught.value)


def test_bad_hints_are_refused_at_import_by_name() -> None:
    def nothing() -> None: ...
    def star(*ctx: int) -> None: ...
    def keyword(*, ctx: int) -> None: ...
    def missing(ctx: Context, order: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def arbitrary(ctx: Context, order: Angry) -> None: ...
    def returning(ctx: Context) -> Angry: ...  # type: ignore[empty-body]

    for function, reason in (
        (nothing, "the first parameter takes the context, but there is none"),
        (star, r"the first parameter takes the context, but \*ctx.* cannot take it"),
        (keyword, "the first parameter takes the context, but ctx.* cannot take it"),
        (missing, "order: the type hint cannot be used: name 'Nowhere' is not defined"),
        (arbitrary, "order: the type hint cannot be used: Unable to generate"),
        (returning, "return: the type hint cannot be used: Unable to generate"),
    ):
        with pytest.raises(TypeError, match=f"^test_parameters:{function.__name__}: {reason}"):
            Parameters.of(function)


def test_wrapped_partial_and_callable_handlers() -> None:
    @functools.wraps(place_order)
    def wrapped(*args: Any, **kwargs: Any) -> None: ...

    class Handler:
        def __call__(self, ctx: Context, cents: int) -> None: ...

    for handler in (wrapped, functools.partial(place_order, order_id="x"), Handler(), Handler().__call__):
        with pytest.raises(InvalidArguments, match=r"cents: Input should be a valid integer \(got 'x'\)"):
            Parameters.of(handler).bind(
                (), {"order_id": "o", "cents": "x"} if "place" in str(handler) else {"cents": "x"}
            )


def test_describe() -> None:
    described = SHAPES.describe()
    assert [(one["name"], one["required"], one["kind"]) for one in described] == [
        ("a", True, "positional_only"),
        ("b", True, "positional_or_keyword"),
        ("c", False, "positional_or_keyword"),
        ("d", True, "keyword_only"),
        ("e", False, "keyword_only"),
    ]
    assert [one["schema"] for one in described] == [{"type": "integer"}] * 5
    assert [(one["kind"], one["required"]) for one in OPEN.describe()] == [
        ("var_positional", False),
        ("var_keyword", False),
    ]
    assert [one["schema"] for one in Parameters.of(untyped).describe()] == [{}, {}]
    for hint, _, _ in ACCEPTED:
        json.dumps(handler_of(hint).describe())


# The hint, the text, what the declared type makes of it, and what its schema alone does (None: the same).
TEXTS: list[tuple[Any, str, Any, Any]] = [
    *((str, text, text, None) for text in ("", "5", "null", "[1]", '"a"')),
    *((bool, text, text == "YES", None) for text in ("YES", "off")),
    (int, "5", 5, None),
    (float, "1.5", 1.5, None),
    (int | None, "null", None, None),
    (int | None, "5", 5, None),
    (str | None, "null", "null", None),
    (int | str, "5", 5, None),
    (int | str, "x", "x", None),
    (bytes, "x", b"x", b"x"),
    (UUID, str(ID), ID, str(ID)),
    (Decimal, "1.50", Decimal("1.50"), "1.50"),
    (datetime, "2026-01-31T12:00:00Z", NOON, "2026-01-31T12:00:00Z"),
    (datetime | None, "null", None, None),
    (Color, "red", Color.RED, "red"),
    (Size, "3", Size.BIG, 3),
    (Literal["a", "b"], "a", "a", None),
    (Literal[1], "1", 1, None),
    (list[int], "[1, 2]", [1, 2], None),
    (dict[str, int], '{"a": 1}', {"a": 1}, None),
    (tuple[int, str], '[1, "a"]', (1, "a"), [1, "a"]),
    (Line, '{"sku": "a", "price": "1.5"}', Line("a", Decimal("1.5")), {"sku": "a", "price": "1.5"}),
    (list[Line] | None, '[{"sku": "a", "price": 1}]', [Line("a", Decimal(1))], [{"sku": "a", "price": 1}]),
    (Order, '{"orderNumber": 1}', Order(orderNumber=1), {"orderNumber": 1}),
    (Any, '{"a": [1]}', {"a": [1]}, None),
    (Any, "a [", "a [", None),
    (Any, "[" * 100_000, "[" * 100_000, None),
]


@pytest.mark.parametrize(("hint", "text", "value", "by_schema"), TEXTS, ids=lambda value: str(value)[:30])
def test_parse_text(hint: Any, text: str, value: Any, by_schema: Any) -> None:
    parameters = handler_of(hint)
    parsed = parameters.parse_text("value", text)
    assert (parsed, type(parsed)) == (value, type(value))
    remote = parse_text_by_schema(parameters.describe()[0]["schema"], text)
    assert remote == (value if by_schema is None else by_schema)
    # Both ways the handler gets the same.
    if hint is not bytes:
        assert parameters.bind((remote,), {}) == ((value,), {})


@pytest.mark.parametrize(
    ("hint", "text", "reason", "by_schema"),
    [
        (int, "abc", "Input should be a valid integer, unable to parse string as an integer", "a valid integer"),
        (int, "9" * 5000, "Unable to parse input string as an integer, exceeded maximum size", "a valid integer"),
        (int | None, "x", "Input should be a valid integer, unable to parse", "a valid integer or null"),
        (float, "x", "Input should be a valid number, unable to parse string as a number", "a valid number"),
        (bool, "maybe", "Input should be a valid boolean, unable to interpret input", "a valid boolean"),
        (list[int], "x", "Input should be a valid array", "a valid array"),
        (list[int], "{}", "Input should be a valid array", "a valid array"),
        (dict[str, int], '{"a": ', "Invalid JSON: EOF while parsing a value", "a valid object"),
        (dict[str, int], "[" * 100_000, "Invalid JSON: recursion limit exceeded", "a valid object"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_parse_text_refuses(hint: Any, text: str, reason: str, by_schema: str) -> None:
    parameters = handler_of(hint)
    with pytest.raises(InvalidArguments) as caught:
        parameters.parse_text("value", text)
    assert str(caught.value).startswith(f"shop:f: value: {reason}")
    with pytest.raises(InvalidArguments) as caught:
        parse_text_by_schema(parameters.describe()[0]["schema"], text)
    assert str(caught.value).startswith(f"Input should be {by_schema} (got ")


def test_parse_text_of_names_that_the_signature_leaves_open() -> None:
    assert OPEN.parse_text("lines", "5") == 5
    assert OPEN.parse_text("anything", "5") == 5.0
    with pytest.raises(InvalidArguments, match=r"^shop:place_order: nothing: unexpected argument$"):
        PLACE.parse_text("nothing", "5")


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda s: st.dictionaries(
            st.sampled_from(["type", "anyOf", "$ref", "enum", "$defs"]), s | st.lists(s), max_size=3
        ),
        max_leaves=8,
    ),
    st.text(),
)
def test_any_schema_gives_a_value_or_invalid_arguments(schema: Any, text: str) -> None:
    with contextlib.suppress(InvalidArguments):
        parse_text_by_schema(schema, text)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def refuse(value: Any) -> Any:
    raise Unspeakable


def test_the_users_own_validator_may_fail_in_any_way() -> None:
    with pytest.raises(
        InvalidArguments, match=r"^shop:f: value: Unspeakable \(RuntimeError when asked for its message\) \(got 1\)$"
    ):
        handler_of(Annotated[int, Field(gt=0), AfterValidator(refuse)]).bind((1,), {})


def test_a_type_without_a_schema_is_described_by_an_empty_one() -> None:
    assert handler_of(Callable[[int], int]).describe()[0]["schema"] == {}


def test_load_result() -> None:
    def returning(hint: Any) -> Parameters:
        def handler(ctx: Context) -> Any: ...

        handler.__annotations__["return"] = hint
        return Parameters.of(handler, name="shop:f")

    for hint, value, expected in ACCEPTED:
        assert returning(hint).returns.load_result(unpack(pack(value, "result"))) == expected
    assert Parameters.of(place_order).returns.load_result({"as": "is"}) == {"as": "is"}
    assert Parameters.of(untyped).returns.load_result({"as": "is"}) == {"as": "is"}
    with pytest.raises(InvalidValue, match=r"^shop:f: result\[0\].price: Field required \(got {'sku': 'a'}\)$"):
        returning(list[Line]).returns.load_result([{"sku": "a"}])


def test_one_parameters_serves_many_threads() -> None:
    with ThreadPoolExecutor(4) as threads:
        bound = threads.map(lambda cents: PLACE.bind(("o", cents), {})[0][1], range(2000))
        assert list(bound) == list(range(2000))


def test_text_for_bytes_becomes_bytes_by_the_schema_alone() -> None:
    # A str would be refused by the worker: "bytes" is not lax.
    def handler(ctx: object, data: bytes) -> None: ...

    (described,) = Parameters.of(handler, name="m:handler").describe()
    assert parse_text_by_schema(described["schema"], "ab") == b"ab"

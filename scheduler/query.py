"""What a query asks: a table or an index, equal fields, a range, an order, a place to go on from (C6.1)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar

from scheduler import sortkey, values
from scheduler.errors import InvalidDocument, InvalidOption
from scheduler.table import Index, Table

T = TypeVar("T")

_ABOVE: Final = b"\xff"
_LOWER: Final = ("gt", "gte")


class Position(NamedTuple):
    """Where a document stands: the sort key of its indexed values (b'' in a table), and its number of creation.

    Documents that a transaction has added and not committed have numbers above all others.
    """

    key: bytes
    created: int


class Bounds(NamedTuple):
    """Sort keys from `low`, inclusive, to `high`, exclusive."""

    low: bytes
    high: bytes

    def hold(self, key: bytes) -> bool:
        return self.low <= key < self.high


@dataclass(frozen=True, slots=True)
class Plan:
    """A query, checked as it is built."""

    table: str
    index: Index | None = None
    equal: tuple[bytes, ...] = ()
    low: tuple[str, bytes] | None = None
    high: tuple[str, bytes] | None = None
    order: str = "asc"
    start: tuple[Position, str] | None = None
    """The position and the id of the last document that was seen."""

    def walking(self, index: Index, equal: dict[str, Any]) -> Plan:
        """Along an index; `equal` names its first fields."""
        if self.index is not None:
            raise InvalidDocument("index: a query walks one index")
        leading = index.fields[: len(equal)]
        for name in equal:
            if name not in leading:
                raise InvalidDocument(
                    f"index: {name}: equalities are on the first fields of the index: {', '.join(index.fields)}"
                )
        return replace(self, index=index, equal=tuple(stored_key(name, equal[name]) for name in leading))

    def bounded(self, comparison: str, name: str, value: Any) -> Plan:
        """With a bound ('gt', 'gte', 'lt', 'lte') on the field after those that are equal."""
        index = self.index
        following = index.fields[len(self.equal)] if index is not None and len(self.equal) < len(index.fields) else None
        if name != following:
            after = f"is on {following!r}" if following is not None else "needs an index with a field left"
            raise InvalidDocument(f"{comparison}: {name}: the range of this query {after}")
        side = "low" if comparison in _LOWER else "high"
        if getattr(self, side) is not None:
            raise InvalidDocument(f"{comparison}: {name}: this side of the range has a bound already")
        bound = (comparison, stored_key(name, value))
        return replace(self, low=bound) if side == "low" else replace(self, high=bound)

    def ordered(self, order: str) -> Plan:
        if order not in ("asc", "desc"):
            raise InvalidOption(f"order: expected 'asc' or 'desc', got {order!r:.60}")
        return replace(self, order=order)

    def bounds(self) -> Bounds:
        """The sort keys that fit. Within the range, values of the kind of its bound."""
        prefix = b"".join(self.equal)
        low, high = prefix, prefix + _ABOVE
        if self.low is not None:
            comparison, key = self.low
            low = prefix + key + (_ABOVE if comparison == "gt" else b"")
            high = prefix + sortkey.kind_bounds(key)[1]
        if self.high is not None:
            comparison, key = self.high
            high = prefix + key + (_ABOVE if comparison == "lte" else b"")
            if self.low is None:
                low = prefix + sortkey.kind_bounds(key)[0]
        return Bounds(low, high)

    def resumed(self, cursor: object) -> Plan:
        """After the place that a page told.

        Raises:
            InvalidOption: It is no cursor, or that of another query.
        """
        return replace(self, start=_read_cursor(cursor, self._walked))

    def cursor(self, position: Position, document_id: str) -> str:
        """The place after a document, as text."""
        packed = values.pack([self._walked, position.key, position.created, document_id], "cursor")
        return base64.urlsafe_b64encode(packed).decode("ascii").rstrip("=")

    @property
    def _walked(self) -> str:
        return self.table if self.index is None else self.index.id


def stored_key(name: str, value: Any) -> bytes:
    """The sort key of a value as it would be stored: an Enum member by its value, a model by its fields."""
    return sortkey.sort_key(values.unpack(values.pack(value, name)))


def _read_cursor(cursor: object, walked: str) -> tuple[Position, str]:
    if not isinstance(cursor, str):
        raise InvalidOption(f"cursor: expected the text that a page had, got a {type(cursor).__name__}")
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found, key, created, document_id = values.unpack(data)
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidOption(f"cursor: not one that a page had: {cursor[:60]!r}") from error
    if not (isinstance(key, bytes) and type(created) is int and isinstance(document_id, str)) or created < 0:
        raise InvalidOption(f"cursor: not one that a page had: {cursor[:60]!r}")
    if found != walked:
        raise InvalidOption(f"cursor: of a query on {found!r}, not on {walked!r}")
    return Position(key, created), document_id


class Page(list[T]):
    """Documents, in order; `cursor` says where to go on, None where there are no more."""

    __slots__ = ("cursor",)

    def __init__(self, documents: list[T], cursor: str | None) -> None:
        super().__init__(documents)
        self.cursor = cursor


@dataclass(frozen=True)
class QueryBuilder(Generic[T]):
    """How a query is put together, the same for async and for blocking code; each call returns a new query."""

    table: Table[T]
    plan: Plan = field(repr=False)

    def index(self, name: str, /, **equal: Any) -> Self:
        """Walk a declared index instead of the table: in the order of its fields, then of creation.

        Args:
            name: The index, as `app.table(indexes=...)` calls it.
            equal: Values that its first fields must have; dotted paths go as `**{"address.city": "Bern"}`.

        Raises:
            InvalidDocument: The table has no such index, or these are not its first fields.
        """
        return replace(self, plan=self.plan.walking(self.table.index(name), equal))

    def gt(self, field: str, value: Any) -> Self:
        """Only where the field, the first that is not equal to something, is greater; of values of the same kind."""
        return replace(self, plan=self.plan.bounded("gt", field, value))

    def gte(self, field: str, value: Any) -> Self:
        """As `gt`, or equal."""
        return replace(self, plan=self.plan.bounded("gte", field, value))

    def lt(self, field: str, value: Any) -> Self:
        """Only where the field is less; see `gt`."""
        return replace(self, plan=self.plan.bounded("lt", field, value))

    def lte(self, field: str, value: Any) -> Self:
        """As `lt`, or equal."""
        return replace(self, plan=self.plan.bounded("lte", field, value))

    def order(self, order: str) -> Self:
        """'asc', as it is by default, or 'desc'."""
        return replace(self, plan=self.plan.ordered(order))

    def after(self, cursor: str) -> Self:
        """Go on after the last document of a page, by the page's `cursor`. It may be gone meanwhile.

        Raises:
            InvalidOption: Not a cursor of a page of this query.
        """
        return replace(self, plan=self.plan.resumed(cursor))

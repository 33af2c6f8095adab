"""Values as bytes whose order is the order of the values: what indexes are sorted by (C6.1).

Types come in this order: absent, None, bool, numbers, str, bytes, datetime, date, timedelta, UUID, list and tuple,
dict. int, float and Decimal are one kind: 1, 1.0 and Decimal("1.00") are equal, as in Python. A key says itself where
it ends, so keys of several fields can be joined, and no key begins with a byte above 0x7f: `key + b"\\xff"` is above
all that begins with `key`.

The idea is that of FoundationDB's tuple layer (https://github.com/apple/foundationdb/blob/main/design/tuple.md).
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any, Final
from uuid import UUID

from scheduler.errors import InvalidDocument

ABSENT: Final = b"\x01"
"""The key of a field that a document does not have."""

MOST_BYTES: Final = 512
"""A longer key is cut and ends in a digest: equal values stay equal, the order goes by its beginning."""

_DIGEST_BYTES = 32
_NAN = b"\x05" + bytes(8) + b"\x80"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXACT = Context(prec=1_200, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
"""A float has up to 767 digits; numbers are compared to 1,200."""


def sort_key(value: object) -> bytes:
    """The key of a value as it comes back from storage.

    Raises:
        InvalidDocument: It is of a type that is never stored.
    """
    key = _key(value)
    if len(key) <= MOST_BYTES:
        return key
    # Where the cut leaves just what is the whole of a shorter key, 0xff keeps the two apart, as within texts.
    return key[: MOST_BYTES - _DIGEST_BYTES - 1] + b"\xff" + hashlib.sha256(key).digest()


def kind_bounds(key: bytes) -> tuple[bytes, bytes]:
    """The lowest and the highest bound of all keys that can be compared with this one: of its kind, and not NaN."""
    return _NAN + b"\xff" if key[:1] == _NAN[:1] else key[:1], bytes([key[0] + 1])


def _key(value: object) -> bytes:
    encode = _ENCODERS.get(type(value))
    if encode is None:
        raise InvalidDocument(f"index: a {type(value).__name__} cannot be compared")
    return encode(value)


def _text(tag: bytes, data: bytes) -> bytes:
    """Ends with a zero; a zero inside is followed by 0xff."""
    return tag + data.replace(b"\x00", b"\x00\xff") + b"\x00"


def _number(value: int | float | Decimal) -> bytes:
    # Asked, as a signaling NaN cannot be compared.
    if value.is_nan() if isinstance(value, Decimal) else value != value:
        return _NAN
    near = _nearest(value)
    bits = int.from_bytes(struct.pack(">d", near + 0.0), "big")
    ordered = bits ^ 0xFFFFFFFFFFFFFFFF if bits >> 63 else bits | 1 << 63
    return b"\x05" + ordered.to_bytes(8, "big") + _rest(value, near)


def _nearest(value: int | float | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _rest(value: int | float | Decimal, near: float) -> bytes:
    """What the nearest float leaves out, between 0x00 (minus infinity itself) and 0xff (infinity itself)."""
    if isinstance(value, float) or (isinstance(value, Decimal) and value.is_infinite()):
        return {math.inf: b"\xff", -math.inf: b"\x00"}.get(near, b"\x80")
    exact = _EXACT.create_decimal(value)
    rest = exact if math.isinf(near) else _EXACT.subtract(exact, Decimal(near))
    if not rest:
        return b"\x80"
    digits = "".join(map(str, rest.as_tuple().digits)).strip("0")
    size = (rest.adjusted() + (1 << 63)).to_bytes(8, "big") + digits.encode("ascii") + b"\x00"
    return b"\x81" + size if rest > 0 else b"\x7f" + bytes(byte ^ 0xFF for byte in size)


def _moment(value: datetime) -> bytes:
    return b"\x08" + _number((value - _EPOCH) // _MICROSECOND)[1:]


def _items(tag: bytes, items: list[Any]) -> bytes:
    return tag + b"".join(map(_key, items)) + b"\x00"


def _pairs(value: dict[str, Any]) -> bytes:
    return _items(b"\x0d", [one for pair in sorted(value.items()) for one in pair])


_ENCODERS: Final[dict[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"\x02",
    bool: lambda value: b"\x03\x01" if value else b"\x03\x00",
    int: _number,
    float: _number,
    Decimal: _number,
    str: lambda value: _text(b"\x06", value.encode()),
    bytes: lambda value: _text(b"\x07", value),
    datetime: _moment,
    date: lambda value: b"\x09" + value.toordinal().to_bytes(4, "big"),
    timedelta: lambda value: b"\x0a" + _number(value // _MICROSECOND)[1:],
    UUID: lambda value: b"\x0b" + value.bytes,
    list: lambda value: _items(b"\x0c", value),
    tuple: lambda value: _items(b"\x0c", list(value)),
    dict: _pairs,
}

"""Arguments, results and documents as msgpack bytes, and back.

What comes back: every value as it was, except that an Enum member comes back as its value, a dataclass instance or a
pydantic model as the dict of its fields (the type hints make it whole again, see `parameters.py`), a subclass of a
built-in type as that type (namedtuple -> tuple, defaultdict -> dict), bytearray and memoryview as bytes. A datetime
keeps its instant, its UTC offset and, for a `ZoneInfo`, the zone's name. Nothing is ever pickled.

The format is plain msgpack with three additions, so that any language can read it:

* extension types, listed with their payloads in `_EXTENSIONS`;
* a tuple is a map with one entry whose key is the empty *bin*: ``{b"": [items]}``. The keys of a dict are always *str*,
  so the two are never confused. The way not taken, an extension type with a packed payload: msgpack decodes that by
  calling itself, and corrupt bytes nested deep enough overflow the C stack;
* the standard timestamp (extension type -1) is read, as a UTC datetime, but never written.

Source: contract C1.5.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from collections import OrderedDict
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack  # type: ignore[import-untyped]
from pydantic import BaseModel, RootModel

from scheduler.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Text = TypeVar("_Text", date, datetime, Decimal)
MAX_LEVELS: Final = 100  # lists, tuples, dicts, dataclasses and models, one in the other; a cycle ends here too
_MAX_STORED_LEVELS: Final = MAX_LEVELS + 8  # packed values are joined into records, which are lists around them
MAX_CONTAINERS: Final = 1024 * 1024  # `a = [a, a]`, repeated, would fill the memory within 30 levels
_SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes})
_CONTAINERS: Final = frozenset({list, tuple, dict})
_INT_RANGE: Final = range(-(2**63), 2**64)
_TUPLE_KEY: Final = b""
_INT, _DATETIME, _DATE, _TIMEDELTA, _UUID, _DECIMAL = range(1, 7)  # extension types, see _EXTENSIONS
_BIG_PACK: Final = 1024 * 1024  # bytes
_SMALL_UNPACK: Final = 1024  # bytes
_SHOWN_PARTS: Final = 12
_SHOWN_KEY: Final = 60
_MICROSECOND: Final = timedelta(microseconds=1)
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


def pack(value: object, path: str) -> bytes:
    """Make bytes of a value.

    `path` is the value's own name in error messages: "args", "result", "document". Raises `InvalidValue`, naming the
    path to the part that cannot be stored (``args.order.lines[3].price: a set cannot be stored``): a type that the
    contract does not list, a naive datetime, a key that is not a str, a lone surrogate, more than `MAX_LEVELS` levels.
    """
    try:
        if _plain_containers(value, MAX_LEVELS):
            return _packed(value)
    except _Refused as refused:
        raise InvalidValue(f"{path}: {refused}") from None
    except (OverflowError, ValueError, TypeError, RuntimeError):
        # An int past 64 bits, a lone surrogate, ...: the walk below stores it, or names the path to it.
        pass
    return _pack_by_walk(value, path)


def unpack(data: bytes) -> Any:
    """Make the value of bytes that `pack` made.

    Raises `InvalidValue`, and nothing else, for any other bytes: truncated, followed by more, an unknown extension
    type, a payload that `pack` would not write, a key that is not a str, far more than `MAX_LEVELS` levels. Memory
    stays in proportion to ``len(data)``, whatever lengths the bytes claim.
    """
    try:
        if len(data) > _SMALL_UNPACK:
            # unpackb makes room for a list when it has read its length, and bytes can claim one list inside the other:
            # some versions take a thousand times the memory. skip() makes nothing and costs 4 % of an unpack.
            unpacker = msgpack.Unpacker(max_buffer_size=len(data))
            unpacker.feed(data)
            unpacker.skip()
        # The max_*_len limits are left alone: unpackb sets each of them to len(data) by itself.
        value = msgpack.unpackb(data, object_hook=_opened_map, ext_hook=_opened_extension, timestamp=3)
    except (ValueError, ArithmeticError, TypeError, msgpack.UnpackException) as error:
        reason = str(error) or type(error).__name__
        raise InvalidValue(f"these bytes are not a stored value: {reason}") from error
    # A level takes at least one byte, so short data cannot be deep.
    if len(data) > _MAX_STORED_LEVELS and not _is_shallow(value, _MAX_STORED_LEVELS):
        raise InvalidValue(f"these bytes are not a stored value: nested deeper than {_MAX_STORED_LEVELS} levels")
    return value


def dotted(root: str, parts: Iterable[str | int]) -> str:
    """Write a path as Python would: ``args.lines[3].price``, odd keys as ``['odd key']``; a long one is shortened."""
    steps = [_step(part) for part in parts]
    if len(steps) > _SHOWN_PARTS:
        steps[_SHOWN_PARTS - 1 : -1] = ["…"]
    return root + "".join(steps)


def _step(part: str | int) -> str:
    short = part if isinstance(part, int) else part[:_SHOWN_KEY]
    return f".{part}" if isinstance(part, str) and part.isidentifier() and part == short else f"[{short!r}]"


class _Packers(threading.local):
    """A Packer for each thread: a new one for each value would cost four times the packing."""

    def __init__(self) -> None:
        self.packer = msgpack.Packer(strict_types=True)


_packers = _Packers()


def _packed(value: object) -> bytes:
    # Safe to share within the thread: with strict_types and no `default`, pack() runs no Python code that could enter
    # it again, and it empties its buffer when it raises.
    data: bytes = _packers.packer.pack(value)
    if len(data) > _BIG_PACK:
        _packers.packer = msgpack.Packer(strict_types=True)  # its buffer never shrinks
    return data


def _plain_containers(value: object, levels: int) -> int:
    """Count the lists and dicts of a value made of the exact types that msgpack stores as they are; else 0.

    msgpack itself would take any key that it can pack. A scalar counts 1. The loops are written out: this runs for
    each job, and three calls of `set(map(type, ...))` cost more than two items.
    """
    items: Iterable[object]
    if type(value) is list:
        items = value
    elif type(value) is dict:
        for key in value:
            if type(key) is not str:
                return 0
        items = value.values()
    else:
        return type(value) in _SCALARS
    if not levels:
        return 0
    count = 1
    for item in items:
        if type(item) not in _SCALARS:
            nested = _plain_containers(item, levels - 1)
            count += nested
            if count > MAX_CONTAINERS:
                raise _Refused(
                    f"more than {MAX_CONTAINERS} lists and dicts in one value"
                )  # at once: the walk that names the path would go as far again
            if not nested:
                return 0
    return count


class _Refused(Exception):
    """A part cannot be stored; each level on the way out appends its step, so a good value pays for no path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.parts: list[str | int] = []


class _Walk:
    """How many levels and containers the rest of the value may open."""

    __slots__ = ("containers", "levels")

    def __init__(self) -> None:
        self.levels = MAX_LEVELS
        self.containers = MAX_CONTAINERS

    def enter(self) -> None:
        if not self.levels:
            raise _Refused(f"nested deeper than {MAX_LEVELS} levels, or a cycle")
        if not self.containers:
            raise _Refused(f"more than {MAX_CONTAINERS} lists and dicts in one value")
        self.levels -= 1  # the caller gives it back; after a refusal nobody needs it
        self.containers -= 1


def _pack_by_walk(value: object, path: str) -> bytes:
    try:
        return _packed(_lower(value, _Walk()))
    except _Refused as refused:
        raise InvalidValue(f"{dotted(path, reversed(refused.parts))}: {refused}") from refused.__cause__
    except Exception as error:  # a part of more than 4 GiB
        raise InvalidValue(f"{path}: cannot be stored ({type(error).__name__})") from error


def _lower(value: Any, walk: _Walk) -> object:
    """Rewrite a value with the types that msgpack has."""
    lower = _LOWERERS.get(type(value))
    try:
        if lower is None:
            lower = _lowerer_of_kind(value)
        return lower(value, walk)
    except _Refused:
        raise
    except Exception as error:
        # A dict changed by another thread, or the user's own code: a field's descriptor, a tzinfo, a class that says it
        # is another. Only the type is named: the error's own __str__ may raise too.
        raise _Refused(f"cannot be stored ({type(error).__name__})") from error


def _lowerer_of_kind(value: object) -> Callable[[Any, _Walk], object]:
    # In this order: an IntEnum is an int too, and a dataclass may inherit from a dict.
    if isinstance(value, Enum):
        return lambda member, walk: _lower(member.value, walk)
    if isinstance(value, BaseModel):
        return _lower_model
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _lower_dataclass
    for base, lower in _LOWERERS.items():
        if isinstance(value, base):
            return lower
    raise _Refused(f"{_with_article(type(value).__name__)} cannot be stored")


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in tuple("aeiou") else f"a {noun}"


def _lower_items(items: Iterable[object], walk: _Walk) -> list[object]:
    walk.enter()
    lowered: list[object] = []
    try:
        for item in items:
            lowered.append(_lower(item, walk))  # noqa: PERF401 - its length is the path, when an item is refused
    except _Refused as refused:
        refused.parts.append(len(lowered))
        raise
    walk.levels += 1
    return lowered


def _lower_pairs(pairs: Iterable[tuple[object, object]], walk: _Walk) -> dict[str, object]:
    walk.enter()
    lowered: dict[str, object] = {}
    for key, item in pairs:
        if not isinstance(key, str):
            raise _Refused(f"{_with_article(type(key).__name__)} cannot be a key, only a str can")
        name = str.__str__(key)
        try:
            lowered[_lower_text(name, walk)] = _lower(item, walk)
        except _Refused as refused:
            refused.parts.append(name)
            raise
    walk.levels += 1
    return lowered


def _lower_text(value: str, _walk: _Walk) -> str:
    try:
        str.encode(value)
    except UnicodeEncodeError:
        raise _Refused("a str with a lone surrogate cannot be stored") from None
    return str.__str__(value)


def _lower_int(value: int, _walk: _Walk) -> object:
    exact = int.__int__(value)
    return exact if exact in _INT_RANGE else msgpack.ExtType(_INT, _int_payload(exact))


def _lower_dict(value: dict[Any, Any], walk: _Walk) -> dict[str, object]:
    # move_to_end changes an order that only OrderedDict's own items() knows.
    items = OrderedDict.items(value) if isinstance(value, OrderedDict) else dict.items(value)
    return _lower_pairs(items, walk)


def _lower_model(value: BaseModel, walk: _Walk) -> object:
    stored = value.__dict__
    if isinstance(value, RootModel):
        return _lower(stored.get("root"), walk)
    # Not all of __dict__: cached properties live there too. A model made by model_construct may lack fields.
    fields = [(name, stored[name]) for name in type(value).model_fields if name in stored]
    return _lower_pairs([*fields, *(value.model_extra or {}).items()], walk)


def _lower_dataclass(value: Any, walk: _Walk) -> dict[str, object]:
    return _lower_pairs(((field.name, getattr(value, field.name)) for field in dataclasses.fields(value)), walk)


def _lower_datetime(value: datetime, _walk: _Walk) -> object:
    if value.tzinfo is None or value.utcoffset() is None:
        raise _Refused("a naive datetime cannot be stored, only one with a time zone")
    text = datetime.isoformat(value)
    if isinstance(value.tzinfo, ZoneInfo) and _ZONE.fullmatch(value.tzinfo.key or ""):
        text += f"[{value.tzinfo.key}]"
    return msgpack.ExtType(_DATETIME, text.encode("ascii"))


_LOWERERS: Final[dict[type, Callable[[Any, _Walk], object]]] = {
    str: _lower_text,
    bool: lambda value, _: value,
    int: _lower_int,
    float: lambda value, _: float.__float__(value),
    type(None): lambda value, _: value,
    list: lambda value, walk: _lower_items(list.__iter__(value), walk),
    tuple: lambda value, walk: {_TUPLE_KEY: _lower_items(tuple.__iter__(value), walk)},
    dict: _lower_dict,
    bytes: lambda value, _: bytes(memoryview(value)),
    bytearray: lambda value, _: bytes(memoryview(value)),
    memoryview: lambda value, _: bytes(value),
    datetime: _lower_datetime,  # before date, its base
    date: lambda value, _: msgpack.ExtType(_DATE, date.isoformat(value).encode("ascii")),
    timedelta: lambda value, _: msgpack.ExtType(_TIMEDELTA, _int_payload(value // _MICROSECOND)),
    UUID: lambda value, _: msgpack.ExtType(_UUID, value.bytes),
    Decimal: lambda value, _: msgpack.ExtType(_DECIMAL, Decimal.__str__(value).encode("ascii")),
}
"""How each type is stored, and, in this order, its subclasses."""


def _opened_map(found: dict[str | bytes, Any]) -> dict[str | bytes, Any] | tuple[Any, ...]:
    for key in found:
        if type(key) is not str:
            items = found.get(_TUPLE_KEY)
            if len(found) != 1 or type(items) is not list:
                raise ValueError("a key that is not a str")
            return tuple(items)
    return found


def _opened_extension(code: int, payload: bytes) -> object:
    read = _EXTENSIONS.get(code)
    if read is None:
        raise ValueError(f"unknown extension type {code}")
    return read(payload)


def _is_shallow(value: object, levels: int) -> bool:
    items: Iterable[object]
    if type(value) is dict:
        items = value.values()
    elif type(value) is list or type(value) is tuple:
        items = value
    else:
        return True
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in items if type(item) in _CONTAINERS)


def _int_payload(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _read_int(payload: bytes) -> int:
    value = int.from_bytes(payload, "big", signed=True)
    if _int_payload(value) != payload:
        raise ValueError("an int with needless bytes")
    return value


def _read_text(payload: bytes, parse: Callable[[str], _Text]) -> _Text:
    text = payload.decode("ascii")
    value = parse(text)
    written = value.isoformat() if isinstance(value, date) else str(value)
    if written.upper() != text.upper():  # the case of a Decimal depends on the decimal context
        raise ValueError(f"a {type(value).__name__} in another form")
    return value


def _read_datetime(payload: bytes) -> datetime:
    stamp, bracket, zone = payload.partition(b"[")
    value = _read_text(stamp, datetime.fromisoformat)
    key = zone[:-1].decode("ascii")
    if value.tzinfo is None or (bracket and not (zone.endswith(b"]") and _ZONE.fullmatch(key))):
        raise ValueError("a datetime without a proper time zone")
    return _in_zone(value, key) if key else value


def _in_zone(value: datetime, key: str) -> datetime:
    try:
        zone = ZoneInfo(key)
    except (KeyError, ValueError, OSError):  # this host's time zone database lacks it
        return value
    for fold in (0, 1):
        local = value.replace(tzinfo=zone, fold=fold)
        if local.utcoffset() == value.utcoffset():
            return local
    return value  # this host has other rules for the zone: the instant and the offset count


_EXTENSIONS: Final[dict[int, Callable[[bytes], object]]] = {
    _INT: _read_int,  # an int outside -2**63 .. 2**64-1: two's complement, big-endian, no needless byte
    _DATETIME: _read_datetime,  # ASCII, RFC 9557: 2026-01-31T12:00:00.000001+01:00[Europe/Zurich], the zone optional
    _DATE: lambda payload: _read_text(payload, date.fromisoformat),  # ASCII: 2026-01-31
    _TIMEDELTA: lambda payload: timedelta(microseconds=_read_int(payload)),  # microseconds, as type 1 writes an int
    _UUID: lambda payload: UUID(bytes=payload),  # its 16 bytes, in network order
    _DECIMAL: lambda payload: _read_text(
        payload, Decimal
    ),  # ASCII: -12.50, 1E+3, NaN, -Infinity; the digits as they were
}
"""Every extension type: its code and how its payload is read. A code, once released, is never given another meaning."""

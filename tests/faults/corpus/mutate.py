"""Mutations of valid bytes, seeded: by structure, and of the raw bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped]

_HEADERS = (
    b"\xc1",
    b"\xc4",
    b"\xc6\xff\xff\xff\xff",
    b"\xc7\x05\x01",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xd4\x01",
    b"\xd8\x05",
    b"\xd6\xff",
    b"\xd7\xff",
    b"\xd9\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xdc\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xde\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x81\xc4\x00\x90",
    b"\x91",
    b"\x81\xa1a",
)
"""Beginnings of values: lengths of 4 GB, extensions, infinity, NaN, tuples."""

_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    2**64 - 1,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "1",
    "9" * 400,
    "\0",
    "inf",
    b"",
    b"\xff",
    [],
    {},
    [[]],
    {"": 0},
    {b"": []},
    {b"": [1, {}]},
    {1: 1},
    msgpack.ExtType(1, b""),
    msgpack.ExtType(2, b"2030-01-01T00:00:00+00:00"),
    msgpack.ExtType(5, b"x"),
    msgpack.ExtType(6, b"NaN"),
    msgpack.ExtType(42, b""),
)


class Mutator:
    """Makes bad bytes of good ones.

    Args:
        seed: The same seed makes the same bytes.
        samples: Valid bytes to begin with.
        load: Reads their structure.
        dump: Writes it.
    """

    def __init__(
        self,
        seed: int,
        samples: Sequence[bytes],
        load: Callable[[bytes], Any] = lambda data: msgpack.unpackb(data, strict_map_key=False),
        dump: Callable[[Any], bytes] = msgpack.packb,
    ) -> None:
        self._load = load
        self._dump = dump
        self._draw = random.Random(seed)
        self._samples = samples
        self._ways: tuple[Callable[[bytes], bytes], ...] = (
            self._flip,
            self._cut,
            self._grow,
            self._insert,
            self._repeat,
            self._header,
            self._header,
            self._splice,
            self._structure,
            self._structure,
            self._structure,
            self._noise,
        )

    def make(self) -> bytes:
        """One payload, of up to some ten kB; one in a hundred is a sample as it is."""
        data = self._draw.choice(self._samples)
        if self._draw.randrange(100) == 0:
            return data
        for _ in range(self._draw.choice((1, 1, 1, 2, 3, 5))):
            data = self._draw.choice(self._ways)(data)
        return data[:20_000]

    def _place(self, data: bytes) -> int:
        return self._draw.randrange(len(data) + 1)

    def _flip(self, data: bytes) -> bytes:
        changed = bytearray(data or b"\0")
        for _ in range(self._draw.choice((1, 1, 2, 8))):
            changed[self._draw.randrange(len(changed))] ^= 1 << self._draw.randrange(8)
        return bytes(changed)

    def _cut(self, data: bytes) -> bytes:
        return data[: self._place(data)]

    def _grow(self, data: bytes) -> bytes:
        return data + self._draw.randbytes(self._draw.randrange(1, 9))

    def _insert(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + self._draw.randbytes(self._draw.randrange(1, 5)) + data[at:]

    def _repeat(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + data[at : at + 16] * self._draw.choice((2, 5, 200)) + data[at:]

    def _header(self, data: bytes) -> bytes:
        at, header = self._place(data), self._draw.choice(_HEADERS)
        return data[:at] + header * self._draw.choice((1, 1, 1, 40)) + data[at + self._draw.choice((0, len(header))) :]

    def _splice(self, data: bytes) -> bytes:
        other = self._draw.choice(self._samples)
        return data[: self._place(data)] + other[self._place(other) :]

    def _noise(self, data: bytes) -> bytes:
        return self._draw.randbytes(self._draw.choice((1, 2, 8, 60, 400)))

    def _structure(self, data: bytes) -> bytes:
        """Another value somewhere inside: bytes that can be read, and say something else."""
        try:
            changed = self._dump(self._change(self._load(data)))
        except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException):
            return self._flip(data)
        return changed

    def _change(self, value: Any) -> Any:
        if isinstance(value, list) and value and self._draw.random() < 0.8:
            at = self._draw.randrange(len(value))
            match self._draw.randrange(4):
                case 0:
                    return [*value[:at], *value[at + 1 :]]
                case 1:
                    return [*value[:at], value[at], *value[at:]]
                case _:
                    return [*value[:at], self._change(value[at]), *value[at + 1 :]]
        if isinstance(value, dict) and value and self._draw.random() < 0.8:
            key = self._draw.choice(list(value))
            return {**value, key: self._change(value[key])}
        return self._draw.choice(_VALUES)

"""Where the messages of RESP end, and what a request says: all that a proxy has to know of the protocol."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import NamedTuple

from scheduler import scripts

_AGGREGATES = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2}
_BULKS = frozenset(b"$=!")


class Request(NamedTuple):
    """What a client sent.

    Attributes:
        step: The verb of a script (`commit`), or the command in small letters (`xreadgroup`).
        args: The command and its arguments.
        raw: The bytes on the wire.
        connection: The number of its connection, from 1 in order of arrival.
    """

    step: str
    args: tuple[bytes, ...]
    raw: bytes
    connection: int


class Framer:
    """Cuts a stream of bytes into whole messages; looks at no byte twice, however small the pieces come."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._values = 1
        self._bulk: int | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; returns the messages that they complete."""
        self._buffer += data
        messages = []
        while self._advance():
            if self._values == 0:
                messages.append(bytes(self._buffer[: self._at]))
                del self._buffer[: self._at]
                self._at, self._values = 0, 1
        return messages

    def _advance(self) -> bool:
        """Go past one value, or one head of a value; False where more bytes are needed."""
        if self._bulk is not None:
            if len(self._buffer) < self._at + self._bulk:
                return False
            self._at, self._bulk, self._values = self._at + self._bulk, None, self._values - 1
            return True
        end = self._buffer.find(b"\r\n", self._at)
        if end < 0:
            return False
        kind, length = self._buffer[self._at], self._buffer[self._at + 1 : end]
        self._at = end + 2
        if kind in _BULKS and not length.startswith(b"-"):
            self._bulk = int(length) + 2
            return True
        self._values += _AGGREGATES[kind] * max(0, int(length)) - 1 if kind in _AGGREGATES else -1
        return True


def read_request(raw: bytes, connection: int) -> Request:
    """Read a whole request, as client libraries send them: an array of bulk strings."""
    args: list[bytes] = []
    at = raw.index(b"\r\n") + 2
    while at < len(raw):
        end = raw.index(b"\r\n", at)
        start, length = end + 2, int(raw[at + 1 : end])
        args.append(raw[start : start + length])
        at = start + length + 2
    return Request(_step(args), tuple(args), raw, connection)


def _step(args: list[bytes]) -> str:
    command = args[0].decode(errors="replace").lower()
    if command == "evalsha":
        return _verbs().get(args[1].decode(errors="replace").lower(), command)
    if command == "eval":
        return _verbs().get(hashlib.sha1(args[1], usedforsecurity=False).hexdigest(), command)
    return command


@cache
def _verbs() -> dict[str, str]:
    """The verb of each script by the SHA1 of its text, in all renderings."""
    return {scripts.load(name, allow_oom=full).sha: name for name in scripts.NAMES for full in (False, True)}

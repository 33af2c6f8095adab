"""What a worker and its cells say to each other: frames of msgpack on a socket, four bytes of length before each.

Nothing is pickled, and a frame names what it means by its first word. From the worker: HELLO, JOB, REPLY, REFUSED; from
the cell: READY, UNUSABLE, CALL, COMMAND, LOG, ENTERED, ENDED.
"""

from __future__ import annotations

import asyncio
import struct
from enum import StrEnum
from typing import Any, BinaryIO

from scheduler import values
from scheduler.errors import InvalidValue

_LENGTH = struct.Struct(">I")
_MOST_BYTES = 2**32 - 1


class Say(StrEnum):
    """What a frame means, and what follows the word."""

    HELLO = "hello"
    """The search path for modules, the worker's process id, where the app is, the levels of loggers."""
    READY = "ready"
    """Nothing follows: the app is there, with all functions that it is to run."""
    UNUSABLE = "unusable"
    """Why the app cannot be had, in one line."""
    JOB = "job"
    """What to run; see `Errand`."""
    ENTERED = "entered"
    """Nothing follows: the handler is about to be called; from here on it may have done something."""
    ENDED = "ended"
    """How it ended; see `Ending`."""
    CALL = "call"
    """A number, the name of a script, whether it may run on a full server, its arguments."""
    COMMAND = "command"
    """A number, and a plain command of Redis."""
    REPLY = "reply"
    """The number of a call, and what the server answered."""
    REFUSED = "refused"
    """The number of a call, the name of an error, its message."""
    LOG = "log"
    """A record of `logging`, as a dict."""


Frame = list[Any]


def pack(word: Say, *rest: Any) -> bytes:
    """A frame as it goes over the socket.

    Raises:
        InvalidValue: It cannot be packed, or takes more than 4 GiB.
    """
    data = values.pack([word.value, *rest], word.value)
    if len(data) > _MOST_BYTES:
        raise InvalidValue(f"{word.value}: takes {len(data):,} bytes")
    return _LENGTH.pack(len(data)) + data


async def read(reader: asyncio.StreamReader) -> tuple[Say, Frame]:
    """The next frame.

    Raises:
        asyncio.IncompleteReadError, OSError: The other side is gone.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return _open(await reader.readexactly(length))


def read_blocking(stream: BinaryIO) -> tuple[Say, Frame] | None:
    """The next frame, None where the other side is gone."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    return _open(data) if len(data) == length else None


def _open(data: bytes) -> tuple[Say, Frame]:
    word, *rest = values.unpack(data)
    return Say(word), rest

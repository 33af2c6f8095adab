"""One call of a script, as data, and the words that scripts answer with; `store.py` runs it, async or blocking."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from scheduler.scripts import Script

T = TypeVar("T")

Argument = str | bytes | int


class Word(StrEnum):
    """The words that scripts answer with."""

    OK = "OK"
    ALREADY = "ALREADY"
    LOST = "LOST"
    CONFLICT = "CONFLICT"
    STALE = "STALE"
    CUT = "CUT"
    EXISTS = "EXISTS"
    KEY = "KEY"
    WATCHING = "WATCHING"
    FINISHED = "FINISHED"
    UNKNOWN = "UNKNOWN"
    LEAD = "LEAD"
    FOLLOW = "FOLLOW"
    CANCELED = "CANCELED"
    RUNNING = "RUNNING"
    SEALED = "SEALED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Transition(Generic[T]):
    """One call of a script. Sent again it is sent byte for byte, and changes nothing the second time."""

    script: Script
    argv: Sequence[Argument]
    read: Callable[[Any], T]


def nonce() -> str:
    """Unlike any other: 128 bits."""
    return secrets.token_urlsafe(16)


def clock_of(clock_ms: int | None) -> Argument:
    """The clock that a test gives, or the server's own."""
    return "" if clock_ms is None else clock_ms


def add_rows(argv: list[Argument], *lists: Sequence[Sequence[Argument]]) -> None:
    """Each list as the scripts take it: its length, then its rows."""
    for rows in lists:
        argv.append(len(rows))
        for row in rows:
            argv.extend(row)


def add_lists(argv: list[Argument], lists: Sequence[Sequence[Sequence[Argument]]]) -> None:
    """Several lists as `commit` takes them: their lengths as one argument, '' where all are empty, then all rows."""
    if not any(lists):
        argv.append("")
        return
    argv.append(" ".join(str(len(rows)) for rows in lists))
    for rows in lists:
        for row in rows:
            argv.extend(row)


def word_of(reply: bytes) -> Word:
    """Read one word of a reply."""
    return _WORDS[reply]


def words_of(reply: Any) -> list[Word]:
    """Read a reply of one word for each thing that was asked for."""
    return [_WORDS[word] for word in reply]


_WORDS: Final = {word.value.encode(): word for word in Word}

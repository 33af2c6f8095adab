"""What a transaction has buffered at one moment, and the nested mutations that may undo what came since (C3.9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.call import Request


@dataclass(frozen=True, slots=True)
class Write:
    """What is to become of a document.

    Attributes:
        op: 'add', 'put' or 'del'.
        data: Its new bytes, b'' for 'del'.
        number: Of an 'add', its place in the order in which the transaction added documents; it stays when others go.
    """

    op: str
    data: bytes
    number: int = 0


@dataclass(frozen=True, slots=True)
class Savepoint:
    """The buffered effects of a transaction at one moment."""

    level: int
    writes: Mapping[str, Write]
    written_bytes: int
    children: Mapping[str, Request]
    children_bytes: int
    cancels: Mapping[str, None]


class Scope:
    """One nested mutation of a transaction: what it left running can do nothing once it has ended (C3.9)."""

    def __init__(self) -> None:
        self._ended = False

    def end(self) -> None:
        self._ended = True

    def check(self) -> None:
        """Raise if it has ended."""
        if self._ended:
            raise RuntimeError("the nested mutation has ended: its context can do nothing more")

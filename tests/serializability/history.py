"""What transactions over lists did: the history that the checker judges.

A key holds a list; transactions append to it and read all of it. No value is appended twice, so a list that was read
tells who wrote before, and in which order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Read:
    """The whole list at `key` as it was seen, the transaction's own appends included; () where there is none."""

    key: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Append:
    """`value` was put at the end of the list at `key`."""

    key: str
    value: int


@dataclass(frozen=True, slots=True)
class Nested:
    """Operations of a nested transaction; `undone` if it raised and the caller caught that (C3.9)."""

    operations: tuple[Operation, ...]
    undone: bool


Operation = Read | Append | Nested


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction.

    Attributes:
        name: Unlike any other's, and no empty text.
        operations: In their order.
        committed: Whether its appends are to be there. Its reads are judged either way: a mutation that fails does so
            only for what was really there (C3.2).
    """

    name: str
    operations: tuple[Operation, ...]
    committed: bool = True


def appended(operations: Sequence[Operation], kept: bool = True) -> Iterator[tuple[Append, bool]]:
    """All appends in their order, each with whether it was kept: no nested transaction around it was undone."""
    for operation in operations:
        match operation:
            case Append():
                yield operation, kept
            case Nested(inner, undone):
                yield from appended(inner, kept and not undone)

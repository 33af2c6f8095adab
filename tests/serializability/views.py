"""What one transaction saw of others: its reads, with its own appends taken away and judged on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.serializability.history import Append, Nested, Operation, Read, Transaction

Strange = tuple[str, str]
"""The kind of an anomaly, and its story."""


@dataclass(frozen=True, slots=True)
class View:
    """The list at `key` as `reader` found it: what others had appended before."""

    reader: str
    key: str
    values: tuple[int, ...]


@dataclass(slots=True)
class _Walk:
    reader: str
    own: dict[str, tuple[int, ...]] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    strange: list[Strange] = field(default_factory=list)

    def go(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            match operation:
                case Append(key, value):
                    self.own[key] = (*self.own.get(key, ()), value)
                case Read():
                    self._read(operation)
                case Nested(inner, undone):
                    before = dict(self.own)
                    self.go(inner)
                    self.own = before if undone else self.own

    def _read(self, read: Read) -> None:
        own = self.own.get(read.key, ())
        others = read.values[: len(read.values) - len(own)]
        if read.values[len(others) :] != own:
            story = f"{self.reader} had appended {list(own)} to {read.key}, and read {list(read.values)}"
            self.strange.append(("internal", story))
            return
        first = self.views.setdefault(read.key, View(self.reader, read.key, others))
        if first.values != others:
            story = f"{self.reader} read {read.key} as {list(first.values)} and then as {list(others)}"
            self.strange.append(("unrepeatable read", story))


def views(transaction: Transaction) -> tuple[list[View], list[Strange]]:
    """What a transaction saw of others, one view for each key, and what is strange about its reads by themselves."""
    walk = _Walk(transaction.name)
    walk.go(transaction.operations)
    return list(walk.views.values()), walk.strange

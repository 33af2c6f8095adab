"""The table of `scheduler/keys.py`, read as it is written: which keys there are, their types and lifetimes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scheduler import keys

TYPES = {"sorted set": "zset", "string": "string", "hash": "hash", "stream": "stream", "list": "list", "set": "set"}
MOST_MS = {
    "its lease": 60_000, "10 s": 10_000, "60 s": 60_000, "10 min": 600_000, "heartbeat's life": 60_000,
}  # fmt: skip
"""Lifetimes that the server counts down, in ms at most."""

GONE = frozenset({"while jobs wait", "while they run"})
"""Lifetimes that have ended where nothing is left to do."""

STAYS = frozenset(
    {"stays", "until pruned", "with its job", "until taken", "with the worker", "until deleted", "while it has any"}
)
"""Lifetimes that end by somebody's hand: no time is set."""

EITHER_MS = {"until pruned, or 10 min after the end": 600_000}
"""Lifetimes that end by somebody's hand, or are counted down: for ever, or so many ms at most."""

_BEHIND = re.compile(r"<[a-z ]+>")


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of key: its pattern, its type as TYPE says it, its lifetime in words."""

    pattern: re.Pattern[str]
    type: str
    lives: str

    def objection(self, kind: str, ttl_ms: int) -> str | None:
        """What is wrong with a key of this row at rest; `ttl_ms` is -1 where it has none."""
        if kind != self.type:
            return f"is a {kind}, not a {self.type}"
        if self.lives in GONE:
            return f"is there, and lives {self.lives}"
        if self.lives in MOST_MS:
            return None if 0 <= ttl_ms <= MOST_MS[self.lives] else f"lives {ttl_ms} ms, not {self.lives}"
        if self.lives not in STAYS and self.lives not in EITHER_MS:
            return f"lives {self.lives!r}: this test does not know what that means"
        held = ttl_ms == -1 or 0 <= ttl_ms <= EITHER_MS.get(self.lives, -1)
        return None if held else f"lives {ttl_ms} ms, not {self.lives}"


def rows(table: str = str(keys.__doc__)) -> list[Row]:
    """The rows of the table."""
    lines = table.splitlines()
    rulers = [number for number, line in enumerate(lines) if line.startswith("====")]
    columns = [match.span() for match in re.finditer("=+", lines[rulers[0]])]
    return [_row(cells) for cells in _cells(lines[rulers[1] + 1 : rulers[2]], columns)]


def _cells(lines: Sequence[str], columns: Sequence[tuple[int, int]]) -> Iterator[list[str]]:
    """The cells of each row, cut where the ruler says; a line without a first cell goes on with the row before."""
    starts = [start for start, _ in columns]
    row: list[str] = []
    for line in lines:
        cells = [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        if cells[0] and row:
            yield row
        row = cells if cells[0] else [" ".join(filter(None, both)) for both in zip(row, cells, strict=True)]
    yield row


def _row(cells: Sequence[str]) -> Row:
    key = cells[0].strip("`")
    pattern = ".+".join(re.escape(part) for part in _BEHIND.split(key))
    return Row(re.compile(pattern, re.DOTALL), TYPES[cells[1]], cells[3])


def objections(prefix: str, found: Mapping[str, tuple[str, int]], table: Sequence[Row]) -> Iterator[str]:
    """What is wrong with keys: `found` has the type and the time to live of each, in ms."""
    for key, (kind, ttl_ms) in found.items():
        name = key.removeprefix(prefix)
        # "functions:seen" is of two rows' form where one has a placeholder; the first that fits wholly is meant.
        row = next((row for row in table if row.pattern.fullmatch(name)), None)
        said = "is in no row of keys.py" if row is None or name == key else row.objection(kind, ttl_ms)
        if said is not None:
            yield f"{key} {said}"

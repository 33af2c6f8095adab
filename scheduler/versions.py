"""Calls of the scripts that read documents, tables and indexes with their versions, and keep the indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scheduler import scripts
from scheduler.digits import count_of
from scheduler.errors import DamagedData
from scheduler.script_call import Argument, Transition, Word, add_rows, nonce


class Scan(NamedTuple):
    """A walk along a table or an index (see `lua/include/versions.lua`).

    Attributes:
        key: What is walked, after the prefix: `table:<table>` or `index:<table>:<fields>`.
        by: 'BYSCORE' for a table, 'BYLEX' for an index.
        lower, upper: The bounds, as ZRANGE takes them.
        order: 'asc' or 'desc'.
        most: Documents at most.
    """

    key: str
    by: str
    lower: str | bytes
    upper: str | bytes
    order: str
    most: int


class Document(NamedTuple):
    """A document as Redis has it: `created` is its number in the order of creation. Absent: version ''."""

    id: str
    version: str
    created: int
    data: bytes


class Walked(NamedTuple):
    """What a scan found; `cut` where it stopped for the size of what it found, `stale` where its index is not ready."""

    documents: Sequence[Document]
    cut: bool = False
    stale: bool = False


class Snapshot(NamedTuple):
    """What was read at one moment: the sequence of the last commit, the things and the scans that were asked for.

    Of a job's state and of an idempotency key only the version counts.
    """

    sequence: int
    things: Sequence[Document]
    walks: Sequence[Walked] = ()


class Checked(NamedTuple):
    """Whether what was read still holds, and the sequence of the last commit at that moment."""

    sequence: int
    holds: bool


class Catalog(NamedTuple):
    """All indexes that writers have to keep up: `'<table>:<fields>'`, and how far each has been built (None: ready)."""

    version: str
    indexes: Mapping[str, int | None]


def read(things: Sequence[tuple[str, str]], scans: Sequence[Scan] = ()) -> Transition[Snapshot]:
    """Read documents ('doc'), job states ('job') and idempotency keys ('key') with their versions, and walk scans."""
    argv: list[Argument] = [""]
    add_rows(argv, things, scans)

    def parse(reply: Any) -> Snapshot:
        found = [_document(key, *row) for (_, key), row in zip(things, reply[1:], strict=False)]
        walks = [
            Walked(
                [_document(row[0].decode(errors="replace"), *row[1:]) for row in walk[1:]],
                cut=walk[0] == Word.CUT.value.encode(),
                stale=walk[0] == Word.STALE.value.encode(),
            )
            for walk in reply[1 + len(things) :]
        ]
        return Snapshot(_sequence(reply[0]), found, walks)

    return Transition(scripts.load("read"), argv, parse)


def check(
    sets: Sequence[tuple[Sequence[tuple[str, str, str]], Sequence[tuple[Scan, str]]]],
) -> Transition[list[Checked]]:
    """Look whether sets of reads and scans still hold."""
    argv: list[Argument] = ["", len(sets)]
    for reads, scans in sets:
        add_rows(argv, reads, [(*scan, found) for scan, found in scans])
    return Transition(scripts.load("check"), argv, lambda r: [Checked(_sequence(r[0]), bool(holds)) for holds in r[1:]])


def declare(indexes: Sequence[str] = ()) -> Transition[Catalog]:
    """Make indexes known, and read all there are."""

    def parse(reply: Any) -> Catalog:
        states = zip(reply[1::2], reply[2::2], strict=True)
        built = {
            index.decode(errors="replace"): None if state == b"ready" else count_of(state) for index, state in states
        }
        return Catalog(reply[0].decode(), built)

    return Transition(scripts.load("declare"), ["", nonce(), *indexes], parse)


def reindex(
    index: str, before: int, after: int | None, rows: Sequence[tuple[str, str, bytes]], catalog: str
) -> Transition[Word]:
    """Build a part of an index: (document id, version, sort key) of what was created up to `after`; None: the rest.

    `catalog` is the version by which it was known, before the part was read, that the index has to be built.
    """
    argv: list[Argument] = ["", index, before, "ready" if after is None else after, catalog]
    add_rows(argv, rows)
    return Transition(scripts.load("reindex"), argv, lambda reply: Word(reply.decode()))


def forget(index: str) -> Transition[bool]:
    """Drop an index. Reads whether it was there."""
    return Transition(scripts.load("forget"), ["", nonce(), index], bool)


def _document(document_id: str, version: bytes, created: bytes, data: bytes) -> Document:
    try:
        return Document(document_id, version.decode(), int(created or 0), data)
    except ValueError:
        raise DamagedData(f"document {document_id}: its version or number of creation is damaged") from None


def _sequence(text: bytes) -> int:
    """The sequence of the last commit.

    Raises:
        DamagedData: It is no number, so no read can tell what it has seen.
    """
    if not text.isdigit():
        raise DamagedData(f"the sequence of commits is damaged: {text[:60]!r}")
    return int(text)

"""Walking along a table or an index inside a transaction, its own writes among what is committed (C6.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from scheduler import values
from scheduler.catalog import IndexCatalog
from scheduler.errors import IndexBuilding, InvalidOption
from scheduler.query import Plan, Position
from scheduler.reading import Reads, Survey
from scheduler.transaction import Transaction
from scheduler.versions import Document, Scan

STEP = 128
"""Documents a call at most: less than a millisecond of the server."""

_PENDING = 1 << 53
"""Numbers of creation of what is not committed begin here, above any that Redis can count to."""


class Row(NamedTuple):
    """A document that a query found, at its place."""

    position: Position
    document_id: str
    data: bytes


def walk(transaction: Transaction, catalog: IndexCatalog, plan: Plan, most: int) -> Reads[tuple[list[Row], bool]]:
    """The next `most` rows of a query, and whether there may be more. Nothing is read beyond them.

    Raises:
        IndexBuilding: Its index is not ready yet.
        InvalidOption: It goes on after a document that was never committed.
    """
    if plan.start is not None and plan.start[0].created >= _PENDING and not transaction.has_added(plan.start[1]):
        raise InvalidOption("cursor: of a document that a mutation had not committed yet")
    yield from _await_index(catalog, plan)
    found, more = yield from _committed_rows(transaction, plan, most)
    own = _own_rows(transaction, plan)
    descending = plan.order == "desc"
    if more:
        # Behind the last committed row that was read there may be others before the next row of one's own.
        last = found[-1].position
        own = [row for row in own if (row.position > last if descending else row.position < last)]
    rows = sorted([*own, *found], key=lambda row: row.position, reverse=descending)
    return rows[:most], more or len(rows) > most


def _await_index(catalog: IndexCatalog, plan: Plan) -> Reads[None]:
    if plan.index is None or catalog.is_ready(plan.index):
        return
    catalog.learn((yield Survey()))
    if not catalog.is_ready(plan.index):
        raise _not_ready(plan)


def _not_ready(plan: Plan) -> IndexBuilding:
    of = "" if plan.index is None else plan.index.id
    return IndexBuilding(f"index: {of} is not built yet (a worker whose app declares it builds it; try again)")


def _own_rows(transaction: Transaction, plan: Plan) -> list[Row]:
    """What this transaction has written and the query covers."""
    rows = []
    bounds, table = plan.bounds(), f"{plan.table}:"
    for document_id, write in transaction.buffered.items():
        if write.op == "del" or not document_id.startswith(table):
            continue
        key = b"" if plan.index is None else transaction.sort_key(plan.index, document_id)
        if not bounds.hold(key):
            continue
        known = transaction.committed(document_id)
        created = known.created if known is not None else _PENDING + write.number
        position = Position(key, created)
        if _is_after_start(plan, position):
            rows.append(Row(position, document_id, write.data))
    return rows


def _committed_rows(transaction: Transaction, plan: Plan, most: int) -> Reads[tuple[list[Row], bool]]:
    """What is committed and not written by this transaction, and whether there may be more behind it."""
    rows: list[Row] = []
    while len(rows) < most:
        wanted = min(STEP, most - len(rows))
        walked = yield from transaction.walk(_scan(plan, wanted))
        if walked.stale:
            raise _not_ready(plan)
        rows += _visible(transaction, plan, walked.documents)
        if not walked.cut and len(walked.documents) < wanted:
            return rows, False
        last = walked.documents[-1]
        plan = replace(plan, start=(_position(plan, last.created, last.data), last.id))
    return rows, True


def _visible(transaction: Transaction, plan: Plan, documents: Sequence[Document]) -> Iterator[Row]:
    for document in documents:
        if document.id not in transaction.buffered:
            yield Row(_position(plan, document.created, document.data), document.id, document.data)


def _position(plan: Plan, created: int, data: bytes) -> Position:
    return Position(b"" if plan.index is None else plan.index.key_of(values.unpack(data)), created)


def _is_after_start(plan: Plan, position: Position) -> bool:
    if plan.start is None:
        return True
    return position > plan.start[0] if plan.order == "asc" else position < plan.start[0]


def _scan(plan: Plan, most: int) -> Scan:
    if plan.index is None:
        return Scan(f"table:{plan.table}", "BYSCORE", *_scores(plan), plan.order, most)
    return Scan(f"index:{plan.index.id}", "BYLEX", *_entries(plan), plan.order, most)


def _scores(plan: Plan) -> tuple[str, str]:
    if plan.start is None:
        return "-inf", "+inf"
    place = f"({plan.start[0].created}"
    return (place, "+inf") if plan.order == "asc" else ("-inf", place)


def _entries(plan: Plan) -> tuple[bytes, bytes]:
    low, high = plan.bounds()
    lower, upper = b"[" + low, b"(" + high
    if plan.start is None:
        return lower, upper
    # What an entry has behind its number is its document's id: all of one number are one document.
    place = plan.start[0].key + b"%016d" % plan.start[0].created
    if plan.order == "asc":
        return max(lower, b"(" + place + b"\xff", key=_place), upper
    return lower, min(upper, b"(" + place, key=_place)


def _place(bound: bytes) -> bytes:
    return bound[1:]

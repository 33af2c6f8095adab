"""Queries on a real server against a plain list: order, bounds, pages, a transaction's own writes (C6.1, C6.2)."""

from __future__ import annotations

import copy
import functools
import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler import App, BlockingQuery, Document, Table, transitions, versions
from scheduler import documents as documents_module
from scheduler import walk as walk_module
from scheduler.catalog import IndexCatalog
from scheduler.clients import blocking_client
from scheduler.db import BlockingDatabase
from scheduler.documents import Documents, Tables
from scheduler.ids import JobIds
from scheduler.job import JobState
from scheduler.keys import Keys
from scheduler.reading import Check, Question, Reads, transition_of
from scheduler.role import Role
from scheduler.script_call import Word
from scheduler.settings import Limits
from scheduler.store import BlockingStore
from scheduler.transaction import Transaction
from scheduler.transitions import Commit, Delivery
from scheduler.versions import Checked
from tests.acl import as_user

KEYS = [f"k{number}" for number in range(12)]
INDEXES = {"by_a": ["a"], "by_a_b": ["a", "b"], "by_nested": ["n.x", "b"]}
ABSENT = object()

numbers = st.sampled_from([0, 1, 1.0, Decimal("1.5"), 2])
few = numbers | numbers | st.sampled_from([None, False, True, -1, 2**70, "", "a", "a\0", "b", b"a", [1], [1, 2]])
documents = st.builds(
    lambda fields, nested: fields | ({"n": nested} if nested is not None else {}),
    st.fixed_dictionaries({"a": few, "b": few}) | st.dictionaries(st.sampled_from("ab"), few, max_size=1),
    st.none() | st.just(5) | st.fixed_dictionaries({"x": few}),
)
# Insert where it is absent; else replace it, delete it, or delete it and insert it again.
verbs = st.sampled_from(["put", "put", "delete", "anew"])
change_one = st.tuples(st.sampled_from(KEYS), verbs, documents)
changes = st.lists(change_one, max_size=8)
history = st.lists(st.lists(change_one, min_size=4, max_size=16), min_size=1, max_size=3)


@dataclass(frozen=True)
class Asked:
    """A query as data."""

    index: str | None
    equal: tuple[Any, ...]
    bounds: dict[str, Any]
    order: str
    size: int

    def build(self, query: BlockingQuery[Document]) -> BlockingQuery[Document]:
        if self.index is not None:
            fields = INDEXES[self.index]
            query = query.index(self.index, **dict(zip(fields, self.equal, strict=False)))
            for comparison, value in self.bounds.items():
                query = getattr(query, comparison)(fields[len(self.equal)], value)
        return query.order(self.order)


@st.composite
def questions(draw: st.DrawFn) -> Asked:
    index = draw(st.sampled_from([None, *INDEXES]))
    equal: tuple[Any, ...] = ()
    bounds: dict[str, Any] = {}
    if index is not None:
        equal = tuple(draw(st.lists(numbers, max_size=1) | st.lists(few, max_size=len(INDEXES[index]))))
        if len(equal) < len(INDEXES[index]):
            for side in (["gt", "gte"], ["lt", "lte"]):
                comparison = draw(st.none() | st.sampled_from(side))
                if comparison is not None:
                    bounds[comparison] = draw(numbers | few)
    return Asked(index, equal, bounds, draw(st.sampled_from(["asc", "desc"])), draw(st.integers(1, 9)))


@dataclass
class Model:
    """The documents by key, and their numbers in order of creation."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    last: int = 0

    def insert(self, key: str, row: dict[str, Any], before: dict[str, int]) -> None:
        """One that was deleted in the same transaction was never away for others, and keeps its place."""
        self.last += 1
        self.rows[key], self.numbers[key] = row, before.get(key, self.last)

    def delete(self, key: str) -> None:
        del self.rows[key], self.numbers[key]

    def find(self, asked: Asked) -> list[tuple[str, dict[str, Any]]]:
        rows = [(f"t:{key}", self.rows[key]) for key in sorted(self.rows, key=self.numbers.__getitem__)]
        if asked.index is not None:
            fields = INDEXES[asked.index]
            rows = [row for row in rows if fits(row[1], fields, asked)]
            rows.sort(key=lambda row: tuple(ordered(value_of(row[1], name)) for name in fields))
        return rows if asked.order == "asc" else rows[::-1]


def value_of(row: dict[str, Any], name: str) -> Any:
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return ABSENT
        value = value[part]
    return value


def kind_of(value: Any) -> int:
    kinds: list[tuple[type, ...]] = [(type(None),), (bool,), (int, float, Decimal), (str,), (bytes,), (list,)]
    if value is ABSENT:
        return -1
    return next(number for number, kind in enumerate(kinds) if isinstance(value, kind))


def compare(one: Any, other: Any) -> int:
    """-1, 0 or 1: by kind, then as Python does."""
    if kind_of(one) != kind_of(other):
        return -1 if kind_of(one) < kind_of(other) else 1
    if one is other or one == other:
        return 0
    return -1 if one < other else 1


ordered = functools.cmp_to_key(compare)
HOLDS = {"gt": lambda c: c > 0, "gte": lambda c: c >= 0, "lt": lambda c: c < 0, "lte": lambda c: c <= 0}


def fits(row: dict[str, Any], fields: list[str], asked: Asked) -> bool:
    found = [value_of(row, name) for name in fields]
    if any(compare(one, other) for one, other in zip(found, asked.equal, strict=False)):
        return False
    return all(in_range(found[len(asked.equal)], asked.bounds, comparison) for comparison in asked.bounds)


def in_range(value: Any, bounds: dict[str, Any], comparison: str) -> bool:
    """A bound alone takes values of its kind; of two, each its side."""
    bound = bounds[comparison]
    return HOLDS[comparison](compare(value, bound)) and (len(bounds) == 2 or kind_of(value) == kind_of(bound))


class Place:
    """A table of its own on the server."""

    def __init__(self, store: BlockingStore, app: App) -> None:
        self._store = store
        self.table: Table[Document] = app.table("t", indexes=INDEXES)
        self._catalog = IndexCatalog(app.indexes)
        self._catalog.learn(store.run(versions.declare([index.id for index in app.indexes])))
        self._tables = Tables(app.tables, self._catalog)
        self._numbers = itertools.count(1)

    def begin(self) -> tuple[Transaction, BlockingDatabase]:
        transaction = Transaction(Limits(), self._catalog)
        documents = Documents(transaction, self._tables, JobIds(lambda: next(self._numbers)))
        system: Any = None
        return transaction, BlockingDatabase(documents, self._answer, system)

    def commit(self, transaction: Transaction) -> None:
        delivery = Delivery("", "", "", f"{secrets.token_urlsafe(16)}:0", 1)
        commit = transaction.with_effects(Commit(delivery, "f", "", 0, JobState.SUCCESS, b""))
        assert self._store.run(transitions.commit([commit], "")) == [Word.OK]

    def _answer(self, reads: Reads[Any], /) -> Any:
        reply: Any = None
        while True:
            try:
                question = reads.send(reply)
            except StopIteration as stop:
                return stop.value
            reply = self._ask(question)

    def _ask(self, question: Question) -> Any:
        if isinstance(question, Check):
            checked: list[Checked] = self._store.run(versions.check([question]))
            return checked[0]
        return self._store.run(transition_of(question))


def change(db: BlockingDatabase, model: Model, changed: list[Any], began: dict[str, int] | None = None) -> None:
    """Make the same changes to both; `began`: the numbers when the transaction began, where it is not now."""
    before = dict(model.numbers) if began is None else began
    for key, verb, row in changed:
        document_id, there = f"t:{key}", key in model.rows
        if there and verb == "put":
            db.replace(document_id, row)
            model.rows[key] = row
            continue
        if there:
            db.delete(document_id)
            model.delete(key)
        if verb != "delete":
            db.insert("t", row, key=key)
            model.insert(key, row, before)


def pages(query: BlockingQuery[Document], size: int) -> Iterator[Document]:
    while True:
        page = query.take(size)
        assert len(page) <= size
        yield from page
        if page.cursor is None:
            return
        assert len(page) > 0
        query = query.after(page.cursor)


def check(place: Place, db: BlockingDatabase, model: Model, asked: Asked) -> None:
    """The server finds what the model finds, at once and page by page."""
    expected = model.find(asked)
    query = asked.build(db.query(place.table))
    assert [(one.id, dict(one)) for one in query.collect()] == expected
    assert [(one.id, dict(one)) for one in pages(query, asked.size)] == expected
    whole = Asked(asked.index, (), {}, asked.order, asked.size)
    page = whole.build(db.query(place.table)).take(asked.size)
    assert [(one.id, dict(one)) for one in page] == model.find(whole)[: asked.size]
    if page.cursor is not None:  # of another part of the same index
        rest = [row for row in model.find(whole)[asked.size :] if row in expected]
        assert [(one.id, dict(one)) for one in query.after(page.cursor).collect()] == rest


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history, changes, changes, changes, st.lists(questions(), min_size=8, max_size=20),
    st.sampled_from([1, 2, 3, 128]),
)  # fmt: skip
def test_queries_find_what_a_list_would(
    namespace: str,
    url: str,
    before: list[Any],
    own: list[Any],
    undone: list[Any],
    more: list[Any],
    asked: list[Asked],
    step: int,
) -> None:
    """`before` is committed, one transaction after the other; `own` and `more` are when all has been asked once.

    `undone` is what a nested mutation did that failed; `step` is how many documents a call takes at most.
    """
    with blocking_client(url) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents_module, "STEP", step)
        patch.setattr(walk_module, "STEP", step)
        client.flushall()
        place, model = Place(as_user(BlockingStore(Keys(namespace), client), Role.WORKER), App(namespace)), Model()
        for changed in before:
            transaction, db = place.begin()
            change(db, model, changed)
            place.commit(transaction)
        transaction, db = place.begin()
        began = dict(model.numbers)
        change(db, model, own, began)
        savepoint = transaction.savepoint()
        change(db, copy.deepcopy(model), undone, began)
        transaction.restore(savepoint)
        change(db, model, more, began)
        for one in asked:
            check(place, db, model, one)
        place.commit(transaction)
        _, db = place.begin()
        for one in asked:
            check(place, db, model, one)

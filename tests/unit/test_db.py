"""`ctx.db` on a buffered transaction: what is packed, what is refused (C6.1)."""

from __future__ import annotations

from typing import Any, cast

import pytest

from scheduler import values
from scheduler.catalog import IndexCatalog
from scheduler.db import Database, SystemTables
from scheduler.documents import Documents, Tables
from scheduler.errors import InvalidDocument, InvalidValue
from scheduler.ids import JobIds
from scheduler.settings import Limits
from scheduler.table import check_document_id
from scheduler.transaction import Transaction
from tests.answers import Answers

STORED = {"people:ada": {"name": "Ada", "born": 1815}}


@pytest.fixture
def transaction() -> Transaction:
    return Transaction(Limits())


@pytest.fixture
def db(transaction: Transaction) -> Database:
    redis = Answers()
    for document_id, fields in STORED.items():
        redis.commit("doc", document_id, "1-a", values.pack(fields, "document"))
    documents = Documents(transaction, Tables({}, IndexCatalog()), JobIds(lambda: 5))
    return Database(documents, redis.reader, cast("SystemTables", None))


def written(transaction: Transaction) -> list[tuple[str, str, Any]]:
    return [(op, document_id, data and values.unpack(data)) for op, document_id, data in transaction.writes]


async def test_each_method_buffers_one_write(db: Database, transaction: Transaction) -> None:
    assert await db.insert("people", {"name": "Eve"}, key="eve") == "people:eve"
    await db.patch("people:ada", {"born": 1816, "field": None})
    assert written(transaction) == [
        ("add", "people:eve", {"name": "Eve"}),
        ("put", "people:ada", {"name": "Ada", "born": 1816, "field": None}),
    ]
    await db.replace("people:ada", {})
    await db.delete("people:eve")
    assert written(transaction) == [("put", "people:ada", {})]
    await db.delete("people:ada")
    assert written(transaction) == [("del", "people:ada", b"")]


async def test_an_insert_with_a_key_reads_that_it_is_free_and_one_without_reads_nothing(
    db: Database, transaction: Transaction
) -> None:
    # C6.2: reads of absent documents count
    await db.insert("people", {}, key="eve")
    assert transaction.reads == [("doc", "people:eve", "")]
    first, second = await db.insert("people", {}), await db.insert("people", {})
    assert first < second
    assert len(transaction.reads) == 1


async def test_a_patch_of_a_patch_sees_the_first(db: Database) -> None:
    await db.patch("people:ada", {"a": 1})
    await db.patch("people:ada", {"b": 2})
    assert await db.get("people:ada") == {"name": "Ada", "born": 1815, "a": 1, "b": 2}


async def test_a_document_that_was_deleted_can_be_inserted_again(db: Database, transaction: Transaction) -> None:
    await db.delete("people:ada")
    with pytest.raises(InvalidDocument, match="does not exist"):
        await db.patch("people:ada", {})
    await db.insert("people", {"name": "new"}, key="ada")
    assert written(transaction) == [("put", "people:ada", {"name": "new"})]


@pytest.mark.parametrize("table", ["", "1a", "a:b", "a b", "{x}", "a\n", "ä", "x" * 65, None, 5, b"a", "-a"])
async def test_bad_tables(db: Database, transaction: Transaction, table: Any) -> None:
    with pytest.raises(InvalidDocument, match=r"^table: expected"):
        await db.insert(table, {})
    assert transaction.writes == []


@pytest.mark.parametrize("key", ["", "a b", "{x}", "a\n", "ä", "x" * 201, 5, b"a", "a\0", "*"])
async def test_bad_keys(db: Database, transaction: Transaction, key: Any) -> None:
    with pytest.raises(InvalidDocument, match=r"^key: expected"):
        await db.insert("people", {}, key=key)
    assert transaction.writes == []


@pytest.mark.parametrize(
    "document_id", ["", ":", "a:", ":a", "people", "a b:c", "a:b c", "a:{x}", 5, None, b"a:b", "x" * 9999]
)
async def test_bad_document_ids(db: Database, document_id: Any) -> None:
    acts: list[Any] = [db.get, db.delete, lambda one: db.patch(one, {}), lambda one: db.replace(one, {})]
    for act in acts:
        with pytest.raises(InvalidDocument, match=r"^document id: expected '<table>:<key>'") as caught:
            await act(document_id)
        assert len(str(caught.value)) < 150


def test_good_document_ids() -> None:
    for document_id in ("a:b", "_t.x-1:ada@example.com/5+5=10~:x"):
        assert check_document_id(document_id) == document_id


@pytest.mark.parametrize("document", [None, [], "text", 5, [("a", 1)]], ids=repr)
async def test_a_document_is_a_dict(db: Database, document: Any) -> None:
    acts: list[Any] = [
        lambda: db.insert("people", document),
        lambda: db.patch("people:ada", document),
        lambda: db.replace("people:ada", document),
    ]
    for act in acts:
        with pytest.raises(InvalidDocument, match=r"^document: expected a dict"):
            await act()


async def test_what_cannot_be_stored_is_named(db: Database, transaction: Transaction) -> None:
    for document, message in (({"a": [{1}]}, r"document\.a\[0\]: a set"), ({1: 2}, "an int cannot be a key")):
        with pytest.raises(InvalidValue, match=message):
            await db.insert("people", document)
    assert transaction.writes == []

"""`db get`, `db list`, `db tables`, `db indexes`, `db drop-index`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from scheduler import transitions, values, versions
from scheduler.script_call import Word
from scheduler.table import Index
from scheduler.transitions import Commit
from tests.cli.conftest import Room

BY_OWNER = "orders:owner,cents"
OPENED = datetime(2030, 1, 1, 9, tzinfo=UTC)


@dataclass
class Strict:
    cents: int


def write(room: Room, documents: dict[str, dict[str, Any]], op: str = "add") -> None:
    """Commit documents with their index entries, as one mutation does."""
    catalog = room.call(versions.declare())
    entries = [
        ("add", index_id, document_id, Index.of_id(index_id).key_of(fields))
        for document_id, fields in documents.items()
        for index_id in catalog.indexes
        if index_id.startswith(f"{document_id.partition(':')[0]}:")
    ]
    writes = [(op, document_id, values.pack(fields, "document")) for document_id, fields in documents.items()]
    room.scheduler.run_after(0, "shop:order", item=1)
    commit = Commit(
        room.claim("orders"), "shop:order", "", 3, "success", values.pack(None, "result"),
        writes=writes, entries=entries, catalog=catalog.version,
    )  # fmt: skip
    assert room.call(transitions.commit([commit], "worker-1")) == [Word.OK]


def declare(room: Room, *indexes: str) -> None:
    room.call(versions.declare(indexes))


def orders(room: Room) -> None:
    """Five orders, of two owners in turn, of 40, 30, 20, 10 and 0 cents."""
    owners = ("alice", "bob")
    write(room, {f"orders:o{n}": {"owner": owners[n % 2], "cents": 40 - 10 * n} for n in range(5)})


def listed(room: Room, *words: str) -> list[str]:
    return [one["id"] for one in room.json("db", "list", *words)["documents"]]


def test_get_says_fields_and_types(room: Room) -> None:
    fields = {
        "owner": "alice\nsmith\x1b[31m",
        "cents": 1250,
        "price": Decimal("12.50"),
        "opened": OPENED,
        "day": date(2030, 1, 1),
        "key": UUID(int=7),
        "tags": ["a", 1],
        "gift": None,
    }
    write(room, {"orders:o1": fields})
    head, *rows = room.ok("db", "get", "orders:o1").splitlines()
    assert head.split() == ["FIELD", "TYPE", "VALUE"]
    assert [row.split(maxsplit=2) for row in rows] == [
        ["owner", "str", "alice smith\N{REPLACEMENT CHARACTER}[31m"],
        ["cents", "int", "1250"],
        ["price", "Decimal", '"12.50"'],
        ["opened", "datetime", '"2030-01-01T09:00:00Z"'],
        ["day", "date", '"2030-01-01"'],
        ["key", "UUID", f'"{UUID(int=7)}"'],
        ["tags", "list", '["a", 1]'],
        ["gift", "None", "null"],
    ]
    found = room.json("db", "get", "orders:o1")
    assert found["id"] == "orders:o1"
    assert found["fields"]["owner"] == "alice\nsmith\x1b[31m"
    assert found["fields"]["price"] == "12.50"


def test_get_what_is_not_there_and_what_is_no_id(room: Room) -> None:
    result = room.run("db", "get", "orders:o1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: document orders:o1: {room.app.namespace} has no such document\n"
    result = room.run("db", "get", "o1", "--json")
    assert result.exit_code == 1
    message = "document id: expected '<table>:<key>', got 'o1'"
    assert json.loads(result.stdout) == {"error": {"type": "InvalidDocument", "message": message}}
    assert result.stderr == "error: document id: expected '<table>:<key>', got 'o1'\n"


def test_a_document_that_does_not_fit_the_schema_can_be_looked_at(room: Room) -> None:
    room.app.table("strict", schema=Strict)
    write(room, {"strict:o1": {"cents": "many"}})
    found = room.run("db", "get", "strict:o1", "-a", f"{room.module}:app", DUESTREAM_NAMESPACE=None)
    assert found.exit_code == 0, found.output
    assert "many" in found.stdout


def test_list_in_order_of_creation_by_pages(room: Room) -> None:
    orders(room)
    seen: list[str] = []
    cursor: list[str] = []
    while True:
        page = room.json("db", "list", "orders", "--limit", "2", *cursor)
        seen += [one["id"] for one in page["documents"]]
        if page["cursor"] is None:
            break
        cursor = ["--after", page["cursor"]]
    assert seen == [f"orders:o{n}" for n in range(5)]
    assert listed(room, "orders", "--desc") == seen[::-1]


def test_list_for_people_says_where_to_go_on(room: Room) -> None:
    orders(room)
    result = room.run("db", "list", "orders", "--limit", "1")
    head, row = result.stdout.splitlines()
    assert head.split() == ["ID", "FIELDS"]
    assert row.split(maxsplit=1) == ["orders:o0", '{"owner": "alice", "cents": 40}']
    told = result.stderr.removeprefix("There may be more: --after '").removesuffix("'\n")
    assert listed(room, "orders", "--limit", "1", "--after", told) == ["orders:o1"]


def test_list_along_an_index(room: Room) -> None:
    declare(room, BY_OWNER)
    orders(room)
    assert listed(room, "orders", "--index", "owner,cents") == [f"orders:o{n}" for n in (4, 2, 0, 3, 1)]
    assert listed(room, "orders", "--index", BY_OWNER, "--desc") == [f"orders:o{n}" for n in (1, 3, 0, 2, 4)]
    alice = ("orders", "--index", "owner,cents", "--where", "owner=alice")
    assert listed(room, *alice) == [f"orders:o{n}" for n in (4, 2, 0)]
    assert listed(room, *alice, "--where", "cents=20") == ["orders:o2"]
    assert listed(room, *alice, "--where", "cents:Decimal=20.0") == ["orders:o2"]
    assert listed(room, *alice, "--where", "cents:str=20") == []
    page = room.json("db", "list", *alice, "--limit", "1")
    assert listed(room, *alice, "--after", page["cursor"]) == ["orders:o2", "orders:o0"]


def test_where_with_types_that_json_does_not_have(room: Room) -> None:
    declare(room, "visits:at,by")
    write(room, {"visits:v1": {"at": OPENED, "by": UUID(int=7)}, "visits:v2": {"at": OPENED, "by": "bob"}})
    at = ("visits", "--index", "at,by", "--where", "at:datetime=2030-01-01T10:00+01:00")
    assert listed(room, *at) == ["visits:v2", "visits:v1"]
    assert listed(room, *at, "--where", f"by:UUID={UUID(int=7)}") == ["visits:v1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no table"], "table: expected a letter"),
        (["orders", "--after", "x"], "--after: not one that a page had"),
        (["orders", "--index", "owner"], "has no index 'orders:owner' (there are: orders:owner,cents)"),
        (["orders", "--index", "owner,"], "expected names like 'owner'"),
        (["orders", "--index", "owner,cents", "--where", "cents=1"], "equalities are on the first fields"),
        (["orders", "--index", "owner,cents", "--where", "owner"], "--where: expected FIELD=VALUE"),
        (["orders", "--index", "owner,cents", "--where", "owner:set=1"], "--where: owner: expected one of str, int"),
        (["orders", "--index", "owner,cents", "--where", "owner:int=x"], "--where: owner: Input should be a valid int"),
        (
            ["orders", "--index", "owner,cents", "--where", "owner:datetime=2030-01-01T00:00"],
            "owner: a naive datetime",
        ),
        (
            ["orders", "--index", "owner,cents", "--where", "owner=a", "--where", "owner=b"],
            "--where: owner: stands there twice",
        ),
    ],
)
def test_a_list_that_cannot_be_is_one_line(room: Room, words: list[str], message: str) -> None:
    declare(room, BY_OWNER)
    result = room.run("db", "list", *words)
    wrong_usage = message.startswith(("--", "expected names"))
    assert (result.exit_code, result.stdout) == (2 if wrong_usage else 1, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_where_needs_an_index(room: Room) -> None:
    result = room.run("db", "list", "orders", "--where", "owner=alice")
    assert result.exit_code == 2
    assert "--where goes with --index." in result.stderr


def test_an_index_that_is_not_built_is_not_walked(room: Room) -> None:
    orders(room)
    declare(room, BY_OWNER)
    result = room.run("db", "list", "orders", "--index", "owner,cents")
    assert result.exit_code == 1
    assert f"index: {BY_OWNER} is not built yet" in result.stderr


def test_tables(room: Room) -> None:
    declare(room, BY_OWNER)
    orders(room)
    write(room, {"users.old:u1": {}})
    assert room.json("db", "tables") == {"documents": {"orders": 5, "users.old": 1}, "complete": True}
    rows = [line.split() for line in room.ok("db", "tables").splitlines()]
    assert rows == [["TABLE", "DOCUMENTS"], ["orders", "5"], ["users.old", "1"]]


def test_tables_where_the_server_holds_too_many_keys(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    orders(room)
    monkeypatch.setattr("scheduler.inspector.SCAN_COUNT", 1)
    monkeypatch.setattr("scheduler.inspector.MOST_SCANS", 1)
    result = room.run("db", "tables", "--json")
    assert '"complete": false' in result.stdout
    assert "there may be more" in result.stderr


def test_indexes_and_how_far_they_are(room: Room) -> None:
    declare(room, "users:name")
    orders(room)
    write(room, {"orders:o9": {"owner": "carol"}})
    declare(room, BY_OWNER)
    room.call(versions.reindex(BY_OWNER, 0, 2, [], room.call(versions.declare()).version))
    first, second = room.json("db", "indexes")
    assert first == {
        "id": BY_OWNER,
        "table": "orders",
        "fields": ["owner", "cents"],
        "ready": False,
        "built": 2,
        "documents": 6,
    }
    assert (second["id"], second["ready"], second["documents"]) == ("users:name", True, 0)
    _, *rows = room.ok("db", "indexes").splitlines()
    assert rows[0].split(maxsplit=3) == [BY_OWNER, "orders", "owner,cents", "being built: 2 of 6 documents"]
    assert rows[1].split() == ["users:name", "users", "name", "ready"]


def test_drop_index(room: Room) -> None:
    declare(room, BY_OWNER, "users:name")
    orders(room)
    result = room.run("db", "drop-index", BY_OWNER, stdin="y\n")
    assert (result.exit_code, result.stdout) == (
        0,
        f"dropped {BY_OWNER}: a worker whose app still declares it makes it again and builds it anew\n",
    )
    assert f"Drop index {BY_OWNER} of {room.app.namespace}? Workers whose app declares it will miss" in result.stderr
    assert room.json("db", "drop-index", "users:name", "--yes") == {"dropped": "users:name"}
    assert room.json("db", "indexes") == []
    assert len(listed(room, "orders")) == 5


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_no_index_is_dropped(room: Room, answer: str) -> None:
    declare(room, BY_OWNER)
    result = room.run("db", "drop-index", BY_OWNER, stdin=answer)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("error: nothing was dropped (--yes drops without asking)\n")
    assert [one["id"] for one in room.json("db", "indexes")] == [BY_OWNER]


@pytest.mark.parametrize(("yes", "hint"), [([], " (there are: none)"), (["--yes"], "; see db indexes")])
def test_drop_an_index_that_is_not_there(room: Room, yes: list[str], hint: str) -> None:
    result = room.run("db", "drop-index", BY_OWNER, *yes)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: index: {room.app.namespace} has no index '{BY_OWNER}'{hint}\n"


def test_nothing_to_list_is_said_on_stderr(room: Room) -> None:
    for words, what in ((["tables"], "tables"), (["indexes"], "indexes"), (["list", "orders"], "documents")):
        result = room.run("db", *words)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"no {what}\n")

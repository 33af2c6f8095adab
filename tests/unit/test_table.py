"""Tables: schemas, the field `id`, declarations of indexes, ids of documents (C6.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NotRequired

import pytest
from pydantic import BaseModel, Field, field_validator
from typing_extensions import TypedDict

from scheduler import App, Document, values
from scheduler.documents import UNSET
from scheduler.errors import InvalidDocument, InvalidOption, InvalidValue
from scheduler.sortkey import ABSENT, sort_key
from scheduler.table import Index, Table, check_document_id, check_key, check_table, name_of


class Person(BaseModel):
    id: str = ""
    name: str
    born: int = 0


@dataclass
class Order:
    owner: str
    lines: list[str] = field(default_factory=list)
    id: str = ""


class Note(TypedDict):
    id: str
    text: str
    tag: NotRequired[str]


class Plain(BaseModel):
    name: str
    opened: datetime = datetime(2000, 1, 1, tzinfo=UTC)


def fields(table: Table[Any], document_id: str, document: object) -> Any:
    return values.unpack(table.dump(document_id, document))


# Documents with and without a schema


def test_without_a_schema_a_document_is_its_fields_and_its_id() -> None:
    table = Table[Document]("people", None, {})
    data = table.dump("people:ada", {"name": "Ada", "id": "its own field"})
    found = table.load("people:ada", data)
    assert isinstance(found, Document)
    assert found == {"name": "Ada", "id": "its own field"}
    assert found.id == "people:ada"


@pytest.mark.parametrize(
    ("schema", "given", "stored", "back"),
    [
        (Person, Person(name="Ada"), {"name": "Ada", "born": 0}, Person(id="t:x", name="Ada")),
        (Person, {"name": "A", "born": "5"}, {"name": "A", "born": 5}, Person(id="t:x", name="A", born=5)),
        (Order, Order("ada", ["a"]), {"owner": "ada", "lines": ["a"]}, Order("ada", ["a"], "t:x")),
        (Order, {"owner": "ada"}, {"owner": "ada", "lines": []}, Order("ada", [], "t:x")),
        (Note, {"text": "hello"}, {"text": "hello"}, {"id": "t:x", "text": "hello"}),
        (Note, {"text": "a", "tag": "b"}, {"text": "a", "tag": "b"}, {"id": "t:x", "text": "a", "tag": "b"}),
    ],
)  # fmt: skip
def test_a_schema_fills_in_validates_and_makes_whole_again(schema: Any, given: Any, stored: Any, back: Any) -> None:
    table: Table[Any] = Table("t", schema, {})
    data = table.dump("t:x", given)
    assert values.unpack(data) == stored
    found = table.load("t:x", data)
    assert found == back
    assert type(found) is type(back)
    assert table.dump("t:x", found) == data


def test_a_schema_without_an_id() -> None:
    table = Table("t", Plain, {})
    assert table.load("t:x", table.dump("t:x", Plain(name="Ada"))) == Plain(name="Ada")


@pytest.mark.parametrize("document_id", ["t:other", "x", 5, "T:X"])
def test_a_document_with_another_id_is_refused(document_id: Any) -> None:
    for table in (Table[Any]("t", Note, {}), Table[Any]("t", Person, {})):
        with pytest.raises(InvalidDocument, match=r"^document: its id is 't:x', the field says "):
            table.dump("t:x", {"id": document_id, "text": "a", "name": "a"})


@pytest.mark.parametrize("nothing", [None, "", "t:x"])
def test_an_id_that_is_not_filled_in_yet_is_fine(nothing: Any) -> None:
    table = Table[Any]("t", Person, {})
    assert fields(table, "t:x", {"id": nothing, "name": "a"}) == {"name": "a", "born": 0}


@pytest.mark.parametrize("document", [{}, {"name": 5}, {"name": None}, {"name": "a", "born": "x"}])
def test_what_does_not_fit_the_schema_names_the_field(document: Any) -> None:
    with pytest.raises(InvalidDocument, match=r"^t:x: document\.(name|born)"):
        Table("t", Person, {}).dump("t:x", document)


@pytest.mark.parametrize("document", [None, 5, "text", [], ["name"]])
def test_what_is_no_document_at_all(document: Any) -> None:
    with pytest.raises(InvalidDocument, match=r"^document: expected a dict"):
        Table("t", None, {}).dump("t:x", document)
    with pytest.raises(InvalidDocument, match=r"^document: expected a Person, got a "):
        Table("t", Person, {}).dump("t:x", document)


@pytest.mark.parametrize("schema", [None, Person])
def test_unset_is_no_value(schema: Any) -> None:
    with pytest.raises(InvalidValue, match="Unset cannot be stored"):
        Table("t", schema, {}).dump("t:x", {"name": UNSET})
    assert repr(UNSET) == "UNSET"


def test_a_stored_document_that_no_longer_fits_names_itself_and_the_field() -> None:
    old = values.pack({"name": "Ada", "born": "long ago"}, "document")
    with pytest.raises(InvalidDocument, match=r"^t:x: document\.born: "):
        Table("t", Person, {}).load("t:x", old)


def test_a_validator_may_change_what_is_stored() -> None:
    class Tidy(BaseModel):
        name: str = Field(alias="Name")

        @field_validator("name")
        @classmethod
        def strip(cls, name: str) -> str:
            return name.strip()

    table = Table("t", Tidy, {})
    data = table.dump("t:x", {"Name": "  Ada "})
    assert values.unpack(data) == {"name": "Ada"}
    assert table.load("t:x", data).name == "Ada"


@pytest.mark.parametrize("schema", [int, dict, dict[str, int], list, object, "Person", 5, Person | None])
def test_what_is_no_schema(schema: Any) -> None:
    with pytest.raises(TypeError, match=r"^schema: "):
        Table("t", schema, {})


# Indexes


def test_the_key_of_an_index_goes_by_dotted_paths() -> None:
    index = Index("t", ("owner", "address.city"))
    assert index.id == "t:owner,address.city"
    assert Index.of_id(index.id) == index
    assert index.key_of({"owner": 1, "address": {"city": "Bern"}}) == sort_key(1) + sort_key("Bern")
    for address in ({"zip": 1}, "Bern", None, ["city"]):
        assert index.key_of({"owner": None, "address": address}) == sort_key(None) + ABSENT
    assert index.key_of({}) == ABSENT + ABSENT


@pytest.mark.parametrize(
    ("indexes", "message"),
    [
        ({"": ["a"]}, "expected names"), ({5: ["a"]}, "expected names"), ({"i": "owner"}, "a list of 1 to 16 fields"),
        ({"i": []}, "a list of 1 to 16 fields"), ({"i": [f"f{n}" for n in range(17)]}, "a list of 1 to 16 fields"),
        ({"i": None}, "a list of 1 to 16 fields"), ({"i": {"owner"}}, "a list of 1 to 16 fields"),
        ({"i": [""]}, "names like"), ({"i": [5]}, "names like"), ({"i": ["a b"]}, "names like"),
        ({"i": ["a,b"]}, "names like"), ({"i": [".a"]}, "names like"), ({"i": ["a."]}, "names like"),
        ({"i": ["a..b"]}, "names like"), ({"i": ["a\n"]}, "names like"), ({"i": ["ä"]}, "names like"),
        ({"i": ["x" * 65]}, "names like"), ({"i": [".".join("abcdefghi")]}, "names like"),
        ({"i": b"owner"}, "names like|a list"), ({"i": ["a", "b", "a"]}, "a field stands there twice"),
        (["owner"], "expected a dict"), ("owner", "expected a dict"),
    ],
)  # fmt: skip
def test_bad_declarations_of_indexes(indexes: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=rf"^indexes: .*({message})"):
        Table("t", None, indexes)


def test_an_index_that_is_not_declared_is_named() -> None:
    table = Table[Document]("t", None, {"by_b": ["b"], "by_a": ["a"]})
    assert table.index("by_a") == Index("t", ("a",))
    with pytest.raises(InvalidDocument, match=r"table 't' has no index 'by_c' \(declared: by_a, by_b\)"):
        table.index("by_c")
    with pytest.raises(InvalidDocument, match=r"\(declared: none\)"):
        Table("t", None, {}).index("by_a")


# Declarations in an app


def test_an_app_knows_its_tables_and_indexes() -> None:
    app = App("shop")
    orders = app.table("orders", indexes={"by_owner": ["owner"], "by_state": ("state", "amount")})
    people = app.table("people", schema=Person)
    assert dict(app.tables) == {"orders": orders, "people": people}
    assert [index.id for index in app.indexes] == ["orders:owner", "orders:state,amount"]
    assert (repr(orders), name_of(orders), name_of("people")) == ("<table orders>", "orders", "people")


def test_a_name_is_declared_once() -> None:
    app = App("shop")
    first = app.table("orders")
    with pytest.raises(InvalidOption, match=r"^table: 'orders' is declared already"):
        app.table("orders")
    assert app.tables["orders"] is first


# Names and ids


@pytest.mark.parametrize("name", ["", "1a", "a:b", "a b", "{x}", "a\n", "ä", "x" * 65, None, 5, b"a", "-a"])
def test_bad_names_of_tables(name: Any) -> None:
    for check in (check_table, name_of, App("shop").table):
        with pytest.raises(InvalidDocument, match=r"^table: expected"):
            check(name)


@pytest.mark.parametrize("key", ["", "a b", "{x}", "a\n", "ä", "x" * 201, 5, b"a", None, "a\0", "*"])
def test_bad_keys(key: Any) -> None:
    with pytest.raises(InvalidDocument, match=r"^key: expected"):
        check_key(key)


def test_ids_are_plain_texts() -> None:
    class Text(str):
        __slots__ = ()

    for check, text in ((check_table, "people"), (check_key, "ada"), (check_document_id, "people:ada")):
        assert type(check(Text(text))) is str


@pytest.mark.parametrize("document_id", ["", ":", "a:", ":a", "people", "a b:c", "a:b c", "a:{x}", 5, None, b"a:b"])
def test_malformed_ids(document_id: Any) -> None:
    with pytest.raises(InvalidDocument, match=r"^document id: expected '<table>:<key>'"):
        check_document_id(document_id)


def test_foreign_ids() -> None:
    people = Table[Document]("people", None, {})
    assert check_document_id("people:a:b", people) == "people:a:b"
    for foreign in ("orders:a", "peopl:a", "people2:a", "People:a"):
        with pytest.raises(InvalidDocument, match=r"^document id: expected one of table 'people', got "):
            check_document_id(foreign, people)

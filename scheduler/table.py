"""Tables of documents: their names, schemas and indexes (C6.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from scheduler import sortkey, values
from scheduler.errors import DamagedData, InvalidDocument, InvalidOption, InvalidValue
from scheduler.parameters import Shape

T = TypeVar("T")

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_KEY = re.compile(r"[A-Za-z0-9_.@:+/=~-]{1,200}")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}(\.[A-Za-z_][A-Za-z0-9_]{0,63}){0,7}")
_MOST_FIELDS = 16
_ID = "id"


def unpack_document(document_id: str, data: bytes) -> dict[str, Any]:
    """The fields of a stored document.

    Raises:
        DamagedData: They cannot be read.
    """
    try:
        fields = values.unpack(data)
    except InvalidValue as error:
        raise DamagedData(f"document {document_id}: {error}") from error
    if type(fields) is not dict:
        raise DamagedData(f"document {document_id}: is damaged: expected fields, got a {type(fields).__name__}")
    return fields


class Document(dict[str, Any]):
    """A document without a schema: the dict of its fields, and its `id`. Changing it changes nothing that is stored."""

    __slots__ = ("id",)

    def __init__(self, document_id: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.id = document_id


@dataclass(frozen=True)
class Index:
    """Documents of a table in the order of some fields, then of creation.

    Attributes:
        table: The table's name.
        fields: Dotted paths of fields: "owner", "address.city".
    """

    table: str
    fields: tuple[str, ...]

    @cached_property
    def id(self) -> str:
        """What the scripts call it. An index is what it sorts by: its name in an app is only a word for it."""
        return f"{self.table}:{','.join(self.fields)}"

    @classmethod
    def of_id(cls, index_id: str) -> Index:
        table, _, fields = index_id.partition(":")
        return cls(table, tuple(fields.split(",")))

    def key_of(self, document: Mapping[str, Any]) -> bytes:
        """The sort key of a stored document's fields."""
        return b"".join([_field_key(document, field) for field in self.fields])


class Table(Generic[T]):
    """A table that an app declares with `app.table(...)`.

    Type parameter: what its documents come back as, `Document` without a schema.

    Attributes:
        name: Its name; document ids begin with it.
        indexes: Its indexes by name.
    """

    def __init__(self, name: str, schema: type[T] | None, indexes: Mapping[str, Sequence[str]]) -> None:
        self.name = check_table(name)
        self.schema = schema
        if not isinstance(indexes, Mapping):
            raise InvalidOption(f"indexes: expected a dict of names and fields, got {indexes!r:.60}")
        self.indexes = {word: _index(name, word, fields) for word, fields in indexes.items()}
        self._shape = None if schema is None else Shape(schema)

    def index(self, name: str) -> Index:
        """One of its indexes.

        Raises:
            InvalidDocument: None has that name.
        """
        found = self.indexes.get(name) if isinstance(name, str) else None
        if found is None:
            known = ", ".join(sorted(self.indexes)) or "none"
            raise InvalidDocument(f"index: table {self.name!r} has no index {name!r} (declared: {known})")
        return found

    def load(self, document_id: str, data: bytes) -> T:
        """What a stored document comes back as.

        Raises:
            InvalidDocument: It does not fit the schema, which has changed since it was written.
        """
        fields = unpack_document(document_id, data)
        if self._shape is None:
            return cast("T", Document(document_id, fields))
        if _ID in self._shape.fields:
            fields[_ID] = document_id
        return cast("T", self._validated(document_id, fields))

    def dump(self, document_id: str, document: object) -> bytes:
        """The bytes of a document: a dict, or an instance of the schema, whose own field `id` is not stored.

        Raises:
            InvalidDocument: It is not a dict, does not fit the schema, or carries another id.
            InvalidValue: A part cannot be stored.
        """
        if self._shape is None:
            return values.pack(fields_of(document), "document")
        fields = values.unpack(values.pack(document, "document"))
        if not isinstance(fields, dict):
            raise InvalidDocument(f"document: expected {_named(self.schema)}, got a {type(document).__name__}")
        if _ID in self._shape.fields:
            if fields.get(_ID) not in (None, "", document_id):
                raise InvalidDocument(f"document: its id is {document_id!r}, the field says {fields[_ID]!r:.60}")
            fields[_ID] = document_id
        packed = values.pack(self._validated(document_id, fields), "document")
        if _ID not in self._shape.fields:
            return packed
        stored = values.unpack(packed)
        del stored[_ID]
        return values.pack(stored, "document")

    def _validated(self, document_id: str, fields: dict[str, Any]) -> object:
        assert self._shape is not None
        try:
            return self._shape.load("document", fields)
        except InvalidValue as error:
            raise InvalidDocument(f"{document_id}: {error}") from error

    def __repr__(self) -> str:
        return f"<table {self.name}>"


def name_of(table: Table[Any] | str) -> str:
    """The name of a table, given itself or its name."""
    return table.name if isinstance(table, Table) else check_table(table)


def check_table(table: object) -> str:
    """Check a table's name.

    Raises:
        InvalidDocument: It cannot be one.
    """
    if not isinstance(table, str) or not _TABLE.fullmatch(table):
        raise InvalidDocument(f"table: expected a letter or '_' and letters, digits, '_', '.', '-', got {table!r:.60}")
    return str.__str__(table)


def check_key(key: object) -> str:
    """Check the name of a document within its table. Raises as `check_table` does."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidDocument(f"key: expected 1 to 200 letters, digits or _.@:+/=~-, got {key!r:.60}")
    return str.__str__(key)


def check_document_id(document_id: object, table: Table[Any] | None = None) -> str:
    """Check that a value has the form "<table>:<key>", of this table where one is given.

    Raises:
        InvalidDocument: It has not.
    """
    if not isinstance(document_id, str):
        raise InvalidDocument(f"document id: expected '<table>:<key>', got a {type(document_id).__name__}")
    name, colon, key = document_id.partition(":")
    if not colon or not _TABLE.fullmatch(name) or not _KEY.fullmatch(key):
        raise InvalidDocument(f"document id: expected '<table>:<key>', got {document_id[:60]!r}")
    if table is not None and name != table.name:
        raise InvalidDocument(f"document id: expected one of table {table.name!r}, got {document_id[:60]!r}")
    return str.__str__(document_id)


def fields_of(document: object) -> dict[str, Any]:
    """A document as a plain dict.

    Raises:
        InvalidDocument: It is no mapping.
    """
    if not isinstance(document, Mapping):
        raise InvalidDocument(f"document: expected a dict, got a {type(document).__name__}")
    return dict(document)


def _index(table: str, word: object, fields: object) -> Index:
    if not isinstance(word, str) or not word:
        raise InvalidOption(f"indexes: expected names, got {word!r:.60}")
    if isinstance(fields, str) or not isinstance(fields, Sequence) or not 1 <= len(fields) <= _MOST_FIELDS:
        raise InvalidOption(f"indexes: {word}: expected a list of 1 to {_MOST_FIELDS} fields, got {fields!r:.60}")
    for field in fields:
        if not isinstance(field, str) or not _FIELD.fullmatch(field):
            raise InvalidOption(f"indexes: {word}: expected names like 'owner' or 'address.city', got {field!r:.60}")
    if len(set(fields)) != len(fields):
        raise InvalidOption(f"indexes: {word}: a field stands there twice")
    return Index(table, tuple(fields))


def _field_key(document: Mapping[str, Any], field: str) -> bytes:
    value: Any = document
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            return sortkey.ABSENT
        value = value[part]
    return sortkey.sort_key(value)


def _named(schema: object) -> str:
    return f"a {getattr(schema, '__name__', schema)}"

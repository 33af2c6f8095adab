"""What `ctx.db` does to documents, each written once, as reads and buffered writes; `db.py` has its two faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from scheduler.catalog import IndexCatalog
from scheduler.errors import InvalidDocument, NotUnique
from scheduler.ids import JobIds
from scheduler.query import Page, Plan
from scheduler.reading import Reads
from scheduler.savepoints import Scope
from scheduler.table import (
    Document,
    Table,
    check_document_id,
    check_key,
    check_table,
    fields_of,
    name_of,
    unpack_document,
)
from scheduler.transaction import Transaction
from scheduler.walk import STEP, walk

T = TypeVar("T")


class Unset:
    """The type of `UNSET`."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()
"""In a patch: the field is removed."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What is known of the tables of an app.

    Attributes:
        declared: Those that it declares, by name.
        catalog: The indexes that writers have to keep up.
    """

    declared: Mapping[str, Table[Any]]
    catalog: IndexCatalog

    def of(self, name: str) -> Table[Any]:
        """A table by its name; one that is not declared has no schema and no index."""
        found = self.declared.get(name)
        return Table[Document](name, None, {}) if found is None else found

    def of_id(self, document_id: str) -> Table[Any]:
        return self.of(document_id.partition(":")[0])


class Documents:
    """The documents of an app as one transaction sees and changes them."""

    def __init__(self, transaction: Transaction, tables: Tables, ids: JobIds, scope: Scope | None = None) -> None:
        self._transaction = transaction
        self._tables = tables
        self._ids = ids
        self._scope = scope or Scope()

    def within(self, scope: Scope) -> Documents:
        """The same as a nested mutation sees them."""
        return Documents(self._transaction, self._tables, self._ids, scope)

    def table(self, table: Table[Any] | str) -> Table[Any]:
        """A declared table, given itself or its name.

        Raises:
            InvalidDocument: It is another's.
        """
        if not isinstance(table, Table):
            return self._tables.of(check_table(table))
        if self._tables.declared.get(table.name) is not table:
            raise InvalidDocument(f"table: {table.name!r} is not one that this app has declared")
        return table

    def insert(self, table: Table[Any] | str, document: object, key: str | None) -> Reads[str]:
        of = self.table(table)
        document_id = f"{name_of(table)}:{self._ids.new() if key is None else check_key(key)}"
        data = of.dump(document_id, document)
        if key is not None and (yield from self._transaction.get(document_id)) is not None:
            raise InvalidDocument(f"document {document_id!r} exists already (use replace or patch)")
        self._scope.check()
        self._transaction.put(document_id, data, new=True)
        return document_id

    def get(self, document_id: str, table: Table[Any] | None) -> Reads[Any]:
        document_id = check_document_id(document_id, None if table is None else self.table(table))
        data = yield from self._transaction.get(document_id)
        return None if data is None else self._tables.of_id(document_id).load(document_id, data)

    def patch(self, document_id: str, fields: Mapping[str, Any]) -> Reads[None]:
        found = unpack_document(document_id, (yield from self._existing(document_id)))
        for name, value in fields_of(fields).items():
            if value is UNSET:
                found.pop(name, None)
            else:
                found[name] = value
        self._put(document_id, found)

    def replace(self, document_id: str, document: object) -> Reads[None]:
        yield from self._existing(document_id)
        self._put(document_id, document)

    def delete(self, document_id: str) -> Reads[None]:
        yield from self._existing(document_id)
        self._scope.check()
        self._transaction.delete(document_id)

    def page(self, table: Table[T], plan: Plan, most: int) -> Reads[Page[T]]:
        """The next documents of a query, `most` at most."""
        rows, more = yield from walk(self._transaction, self._tables.catalog, plan, most)
        documents, ids = [table.load(row.document_id, row.data) for row in rows], [row.document_id for row in rows]
        return Page(documents, ids, plan.cursor(rows[-1].position, rows[-1].document_id) if more else None)

    def all(self, table: Table[T], plan: Plan) -> Reads[Page[T]]:
        """All documents of a query."""
        found: Page[T] = Page([], [], None)
        while True:
            page = yield from self.page(table, plan, STEP)
            found += page
            found.ids += page.ids
            if page.cursor is None:
                return found
            plan = plan.resumed(page.cursor)

    def unique(self, table: Table[T], plan: Plan) -> Reads[T | None]:
        """The only document of a query, None where there is none."""
        found = yield from self.page(table, plan, 2)
        if len(found) > 1:
            raise NotUnique(f"unique: more than one document of table {table.name!r} was found")
        return found[0] if found else None

    def _existing(self, document_id: str) -> Reads[bytes]:
        data = yield from self._transaction.get(check_document_id(document_id))
        if data is None:
            raise InvalidDocument(f"document {document_id!r} does not exist")
        return data

    def _put(self, document_id: str, document: object) -> None:
        data = self._tables.of_id(document_id).dump(document_id, document)
        self._scope.check()
        self._transaction.put(document_id, data, new=False)

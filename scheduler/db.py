"""`ctx.db`: documents and queries, for `async def` handlers and for plain ones (C6.1, C6.2).

A document is a dict of storable values, or what the table's schema says; its id is "<table>:<key>".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, overload

from scheduler.documents import Documents
from scheduler.job import Job
from scheduler.query import Page, Plan, QueryBuilder
from scheduler.reading import BlockingReader, Reader
from scheduler.settings import check_count
from scheduler.table import Table
from scheduler.walk import STEP

T = TypeVar("T")


class SystemTables(Protocol):
    """The records of jobs, seen from inside a function (C5.4)."""

    async def get(self, job_id: str) -> Job | None:
        """A job's record, None where there is none. In a mutation its state is part of what was read."""


class BlockingSystemTables(Protocol):
    """The records of jobs, for a plain handler."""

    def get(self, job_id: str) -> Job | None:
        """A job's record, None where there is none."""


@dataclass(frozen=True)
class Query(QueryBuilder[T]):
    """A query, put together and then awaited: `await ctx.db.query("orders").order("desc").take(10)`."""

    documents: Documents
    reader: Reader

    async def take(self, most: int) -> Page[T]:
        """The next documents, at most so many; the page's `cursor` says where to go on.

        Raises:
            InvalidOption: Not a number from 1 to 10,000.
            IndexBuilding: The index is not built yet.
            LimitExceeded: The mutation has read too much.
        """
        return await self.reader(self.documents.page(self.table, self.plan, check_count("take", most)))

    async def first(self) -> T | None:
        """The first document, None where there is none."""
        return next(iter(await self.take(1)), None)

    async def unique(self) -> T | None:
        """The only document, None where there is none.

        Raises:
            NotUnique: There are more.
        """
        reads = self.documents.unique(self.table, self.plan)
        return await self.reader(reads)

    async def collect(self) -> list[T]:
        """All documents, as far as a mutation may read."""
        return await self.reader(self.documents.all(self.table, self.plan))

    async def __aiter__(self) -> AsyncIterator[T]:
        query = self
        while True:
            page = await query.take(STEP)
            for document in page:
                yield document
            if page.cursor is None:
                return
            query = query.after(page.cursor)


@dataclass(frozen=True)
class BlockingQuery(QueryBuilder[T]):
    """`Query` for a plain handler; the same methods, blocking."""

    documents: Documents
    reader: BlockingReader

    def take(self, most: int) -> Page[T]:
        """See `Query.take`."""
        return self.reader(self.documents.page(self.table, self.plan, check_count("take", most)))

    def first(self) -> T | None:
        """See `Query.first`."""
        return next(iter(self.take(1)), None)

    def unique(self) -> T | None:
        """See `Query.unique`."""
        reads = self.documents.unique(self.table, self.plan)
        return self.reader(reads)

    def collect(self) -> list[T]:
        """See `Query.collect`."""
        return self.reader(self.documents.all(self.table, self.plan))

    def __iter__(self) -> Iterator[T]:
        query = self
        while True:
            page = query.take(STEP)
            yield from page
            if page.cursor is None:
                return
            query = query.after(page.cursor)


class DatabaseReader:
    """`ctx.db` of a query function, and the reading half of a mutation's."""

    def __init__(self, documents: Documents, reader: Reader, system: SystemTables) -> None:
        self._documents = documents
        self._reader = reader
        self.system = system
        """The records of jobs: `await ctx.db.system.get(job_id)`."""

    @overload
    async def get(self, document_id: str, table: Table[T]) -> T | None: ...
    @overload
    async def get(self, document_id: str, table: None = None) -> Any: ...
    async def get(self, document_id: str, table: Table[Any] | None = None) -> Any:
        """A document, None where there is none. Changing what is returned changes nothing.

        Args:
            document_id: Its id.
            table: The table it must be of; the result is typed by it.

        Raises:
            InvalidDocument: Not an id, or one of another table; or the document no longer fits the table's schema.
        """
        return await self._reader(self._documents.get(document_id, table))

    @overload
    def query(self, table: Table[T]) -> Query[T]: ...
    @overload
    def query(self, table: str) -> Query[Any]: ...
    def query(self, table: Table[Any] | str) -> Query[Any]:
        """The documents of a table in order of creation, or of an index: see `Query`."""
        of = self._documents.table(table)
        return Query(of, Plan(of.name), self._documents, self._reader)


class Database(DatabaseReader):
    """`ctx.db` of a mutation: reads that are one consistent state, and writes that are applied with the commit."""

    @overload
    async def insert(self, table: Table[T], document: T | Mapping[str, Any], *, key: str | None = None) -> str: ...
    @overload
    async def insert(self, table: str, document: object, *, key: str | None = None) -> str: ...
    async def insert(self, table: Table[Any] | str, document: object, *, key: str | None = None) -> str:
        """Add a document.

        Args:
            table: Its table, or the table's name: a letter or '_', then up to 63 letters, digits, '_', '.' or '-'.
            document: A dict of its fields, or an instance of the table's schema.
            key: Its name within the table, 1 to 200 characters; a new one in order of creation where None.

        Returns:
            Its id, "<table>:<key>".

        Raises:
            InvalidDocument: The table's name, the key or the document cannot be used, or the id exists.
            LimitExceeded: The document or the mutation is too large.
        """
        return await self._reader(self._documents.insert(table, document, key))

    async def patch(self, document_id: str, fields: Mapping[str, Any]) -> None:
        """Set some fields of a document and leave the others; `UNSET` removes one.

        Raises:
            InvalidDocument: There is no such document, or it would not fit its schema.
            InvalidValue: A field cannot be stored.
        """
        await self._reader(self._documents.patch(document_id, fields))

    async def replace(self, document_id: str, document: object) -> None:
        """Set all of a document. Raises as `patch` does."""
        await self._reader(self._documents.replace(document_id, document))

    async def delete(self, document_id: str) -> None:
        """Remove a document. Raises as `patch` does."""
        await self._reader(self._documents.delete(document_id))


class BlockingDatabaseReader:
    """`DatabaseReader` for a plain handler; the same methods, blocking."""

    def __init__(self, documents: Documents, reader: BlockingReader, system: BlockingSystemTables) -> None:
        self._documents = documents
        self._reader = reader
        self.system = system

    @overload
    def get(self, document_id: str, table: Table[T]) -> T | None: ...
    @overload
    def get(self, document_id: str, table: None = None) -> Any: ...
    def get(self, document_id: str, table: Table[Any] | None = None) -> Any:
        """See `DatabaseReader.get`."""
        return self._reader(self._documents.get(document_id, table))

    @overload
    def query(self, table: Table[T]) -> BlockingQuery[T]: ...
    @overload
    def query(self, table: str) -> BlockingQuery[Any]: ...
    def query(self, table: Table[Any] | str) -> BlockingQuery[Any]:
        """See `DatabaseReader.query`."""
        of = self._documents.table(table)
        return BlockingQuery(of, Plan(of.name), self._documents, self._reader)


class BlockingDatabase(BlockingDatabaseReader):
    """`Database` for a plain handler; the same methods, blocking."""

    @overload
    def insert(self, table: Table[T], document: T | Mapping[str, Any], *, key: str | None = None) -> str: ...
    @overload
    def insert(self, table: str, document: object, *, key: str | None = None) -> str: ...
    def insert(self, table: Table[Any] | str, document: object, *, key: str | None = None) -> str:
        """See `Database.insert`."""
        return self._reader(self._documents.insert(table, document, key))

    def patch(self, document_id: str, fields: Mapping[str, Any]) -> None:
        """See `Database.patch`."""
        self._reader(self._documents.patch(document_id, fields))

    def replace(self, document_id: str, document: object) -> None:
        """See `Database.replace`."""
        self._reader(self._documents.replace(document_id, document))

    def delete(self, document_id: str) -> None:
        """See `Database.delete`."""
        self._reader(self._documents.delete(document_id))

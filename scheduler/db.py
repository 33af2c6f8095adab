"""`ctx.db`: documents in the same Redis, read and written inside a mutation (C6.1, C6.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from scheduler import values
from scheduler.errors import InvalidDocument
from scheduler.ids import JobIds
from scheduler.job import Job
from scheduler.transaction import Transaction

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_KEY = re.compile(r"[A-Za-z0-9_.@:+/=~-]{1,200}")

Document = dict[str, Any]


class Database:
    """Tables of documents. A document is a dict of storable values; its id is "<table>:<key>"."""

    def __init__(self, transaction: Transaction, ids: JobIds, system: SystemTables) -> None:
        self._transaction = transaction
        self._ids = ids
        self.system = system
        """The records of jobs: `await ctx.db.system.get(job_id)`."""

    async def insert(self, table: str, document: Mapping[str, Any], *, key: str | None = None) -> str:
        """Add a document.

        Args:
            table: Its table: a letter or '_', then up to 63 letters, digits, '_', '.' or '-'.
            document: Its fields.
            key: Its name within the table, 1 to 200 characters; a new one in order of creation where None.

        Returns:
            Its id, "<table>:<key>".

        Raises:
            InvalidDocument: The table's name, the key or the document cannot be used, or the id exists.
            LimitExceeded: The document or the mutation is too large.
        """
        document_id = f"{_check_table(table)}:{self._ids.new() if key is None else _check_key(key)}"
        data = _pack(document)
        if key is not None and await self._transaction.get(document_id) is not None:
            raise InvalidDocument(f"document {document_id!r} exists already (use replace or patch)")
        self._transaction.put(document_id, data, new=True)
        return document_id

    async def get(self, document_id: str) -> Document | None:
        """A document, None where there is none. Changing the dict that is returned changes nothing."""
        data = await self._transaction.get(check_document_id(document_id))
        return None if data is None else values.unpack(data)

    async def patch(self, document_id: str, fields: Mapping[str, Any]) -> None:
        """Set some fields of a document and leave the others.

        Raises:
            InvalidDocument: There is no such document, or the fields cannot be stored.
        """
        found = await self._existing(document_id)
        self._transaction.put(document_id, _pack({**values.unpack(found), **_mapping(fields)}), new=False)

    async def replace(self, document_id: str, document: Mapping[str, Any]) -> None:
        """Set all of a document. Raises as `patch` does."""
        await self._existing(document_id)
        self._transaction.put(document_id, _pack(document), new=False)

    async def delete(self, document_id: str) -> None:
        """Remove a document. Raises as `patch` does."""
        await self._existing(document_id)
        self._transaction.delete(document_id)

    async def _existing(self, document_id: str) -> bytes:
        data = await self._transaction.get(check_document_id(document_id))
        if data is None:
            raise InvalidDocument(f"document {document_id!r} does not exist")
        return data


class SystemTables(Protocol):
    """The records of jobs, seen from inside a function (C5.4)."""

    async def get(self, job_id: str) -> Job | None:
        """A job's record, None where there is none. In a mutation its state is part of what was read."""


def check_document_id(document_id: object) -> str:
    """Check that a value has the form "<table>:<key>".

    Raises:
        InvalidDocument: It has not.
    """
    if not isinstance(document_id, str):
        raise InvalidDocument(f"document id: expected '<table>:<key>', got a {type(document_id).__name__}")
    table, colon, key = document_id.partition(":")
    if not colon or not _TABLE.fullmatch(table) or not _KEY.fullmatch(key):
        raise InvalidDocument(f"document id: expected '<table>:<key>', got {document_id[:60]!r}")
    return document_id


def _check_table(table: object) -> str:
    if not isinstance(table, str) or not _TABLE.fullmatch(table):
        raise InvalidDocument(f"table: expected a letter or '_' and letters, digits, '_', '.', '-', got {table!r:.60}")
    return table


def _check_key(key: object) -> str:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidDocument(f"key: expected 1 to 200 letters, digits or _.@:+/=~-, got {key!r:.60}")
    return key


def _mapping(document: object) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise InvalidDocument(f"document: expected a dict, got a {type(document).__name__}")
    return document


def _pack(document: Mapping[str, Any]) -> bytes:
    return values.pack(dict(_mapping(document)), "document")

"""Documents that cannot be read, and indexes that are not built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scheduler import values, versions
from scheduler.doctor.findings import Finding, counted
from scheduler.errors import DuestreamError
from scheduler.operations import Steps
from scheduler.versions import Catalog, Document

PAGE: Final = 100


def check_documents(ids: Sequence[str]) -> Steps[list[Finding]]:
    """Documents whose data, version or number is damaged; those that are gone meanwhile are none."""
    damaged: list[str] = []
    for start in range(0, len(ids), PAGE):
        some = ids[start : start + PAGE]
        snapshot = yield versions.read([("doc", document_id) for document_id in some])
        damaged += [one.id for one in snapshot.things if not _is_sound(one)]
    return [Finding("document-damaged", counted(len(damaged), "document"), tuple(damaged))] if damaged else []


def _is_sound(document: Document) -> bool:
    if not document.version and not document.created and not document.data:
        return True
    try:
        fields = values.unpack(document.data)
    except DuestreamError:
        return False
    return isinstance(fields, dict) and bool(document.version) and document.created > 0


def check_indexes(before: Catalog, after: Catalog) -> list[Finding]:
    """Indexes that are not ready, and have not come further between two looks a second apart."""
    stuck = tuple(
        index for index, built in after.indexes.items() if built is not None and before.indexes.get(index) == built
    )
    return [Finding("index-unbuilt", counted(len(stuck), "index", "indexes"), stuck)] if stuck else []

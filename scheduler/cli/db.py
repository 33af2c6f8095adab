"""`duestream db`: documents, tables and indexes. Documents are only read."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import click

from scheduler.cli.consent import ask
from scheduler.cli.group import Noun
from scheduler.cli.output import as_text, clipped, json_option, print_json, print_table, shorten
from scheduler.cli.session import Session, Target, target_options
from scheduler.errors import InvalidDocument

if TYPE_CHECKING:
    from scheduler.db import BlockingDatabaseReader
    from scheduler.inspector import IndexView
    from scheduler.query import Plan
    from scheduler.table import Document, Index

SHOWN: Final = 400
"""Characters of a document in a list for people."""


@click.group(cls=Noun)
def db() -> None:
    """Look at documents, tables and indexes."""


@db.command()
@click.argument("document_id", metavar="ID")
@json_option
@target_options
def get(target: Target, document_id: str, as_json: bool) -> None:
    """Print one document, as it is stored."""
    with target.open() as session:
        found: Document | None = _reader(session).get(document_id)
        if found is None:
            raise InvalidDocument(f"document {document_id}: {session.app.namespace} has no such document")
    if as_json:
        print_json(_plain(found))
        return
    from scheduler.cli.conditions import type_name

    rows = [(field, type_name(value), clipped(as_text(value))) for field, value in found.items()]
    print_table(("field", "type", "value"), rows, empty="no fields")


@db.command("list")
@click.argument("table")
@click.option("--index", "fields", metavar="FIELDS", help='Along this index: "owner,opened_ms", see db indexes.')
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Only where the first fields of the index are so. VALUE is JSON, or else text; FIELD:TYPE=VALUE says the "
    "type, as db get prints it.",
)
@click.option("--desc", is_flag=True, help="Backwards.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="Most documents.")
@click.option("--after", "cursor", metavar="CURSOR", help="Go on where the list before ended.")
@json_option
@target_options
def list_(target: Target, table: str, limit: int, as_json: bool, **options: Any) -> None:
    """List documents of TABLE.

    In order of creation, or of the fields of an index.

    \b
    duestream db list orders --index owner,opened_ms --where owner=alice --desc
    """
    if options["conditions"] and options["fields"] is None:
        raise click.UsageError("--where goes with --index.")
    with target.open() as session:
        query = _reader(session).query(table)
        page = dataclasses.replace(query, plan=_plan(session, query.plan, **options)).take(limit)
    if as_json:
        print_json({"documents": [_plain(one) for one in page], "cursor": page.cursor})
        return
    print_table(("id", "fields"), [(one.id, shorten(as_text(one), SHOWN)) for one in page], empty="no documents")
    if page.cursor is not None:
        click.echo(f"There may be more: --after '{page.cursor}'", err=True)


@db.command()
@json_option
@target_options
def tables(target: Target, as_json: bool) -> None:
    """List the tables that have documents."""
    from scheduler.inspector import read_tables

    with target.open() as session:
        found = session.store.drive(read_tables(session.store.keys))
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        rows = [(name, f"{documents:,}") for name, documents in found.documents.items()]
        print_table(("table", ">documents"), rows, empty="no tables")
    if not found.complete:
        click.echo("The server holds too many keys to look at all of them: there may be more.", err=True)


@db.command()
@json_option
@target_options
def indexes(target: Target, as_json: bool) -> None:
    """List indexes and how far they are built."""
    from scheduler.inspector import read_indexes

    with target.open() as session:
        found = session.store.drive(read_indexes(session.store.keys))
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
        return
    rows = [(one.id, one.table, ",".join(one.fields), _state(one)) for one in found]
    print_table(("index", "table", "fields", "state"), rows, empty="no indexes")


@db.command("drop-index")
@click.argument("index_id", metavar="INDEX")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@target_options
def drop_index(target: Target, index_id: str, yes: bool, as_json: bool) -> None:
    """Drop INDEX and its entries, no document.

    INDEX is named like "orders:owner,opened_ms".

    For one that no running worker declares any more. A worker whose app still does goes on as if it were there: its
    queries along it find nothing or too little until it has noticed, made the index again and built it anew.
    """
    from scheduler import versions

    with target.open() as session:
        if not yes:
            _check_known(session, index_id)
            ask(
                f"Drop index {index_id} of {session.app.namespace}? "
                "Workers whose app declares it will miss documents until it is built again.",
                "nothing was dropped (--yes drops without asking)",
            )
        if not session.store.run(versions.forget(index_id)):
            raise InvalidDocument(f"index: {session.app.namespace} has no index {index_id!r:.300}; see db indexes")
    if as_json:
        print_json({"dropped": index_id})
    else:
        click.echo(f"dropped {index_id}: a worker whose app still declares it makes it again and builds it anew")


def _reader(session: Session) -> BlockingDatabaseReader:
    """Documents as they are stored: what no longer fits the schema of an app that was named can be looked at too."""
    from scheduler.catalog import IndexCatalog
    from scheduler.db import BlockingDatabaseReader
    from scheduler.documents import Documents, Tables
    from scheduler.glance import Glance
    from scheduler.reading import answer_blocking

    documents = Documents(Glance(session.app.limits), Tables({}, IndexCatalog()), session.producer.ids)
    return BlockingDatabaseReader(documents, lambda reads: answer_blocking(reads, session.store.run), session.scheduler)


def _plan(
    session: Session, plan: Plan, *, fields: str | None, conditions: tuple[str, ...], desc: bool, cursor: str | None
) -> Plan:
    from scheduler.cli.conditions import read_conditions

    if fields is not None:
        wanted = read_conditions(conditions)
        plan = plan.walking(_index(session, plan.table, fields), wanted)
    if desc:
        plan = plan.ordered("desc")
    return plan if cursor is None else plan.resumed(cursor)


def _index(session: Session, table: str, fields: str) -> Index:
    """The index of a table by its fields, or by all that `db indexes` calls it."""
    from scheduler.table import Table

    names = fields.removeprefix(f"{table}:").split(",")
    index = Table(table, None, {"--index": [name.strip() for name in names]}).index("--index")
    _check_known(session, index.id)
    return index


def _check_known(session: Session, index_id: str) -> None:
    """Raises `InvalidDocument` where there is no such index."""
    from scheduler import versions

    known = sorted(session.store.run(versions.declare()).indexes)
    if index_id not in known:
        listed = "; ".join(known[:20]) + ("; …" if len(known) > 20 else "") or "none"
        raise InvalidDocument(f"index: {session.app.namespace} has no index {index_id!r:.300} (there are: {listed})")


def _plain(document: Document) -> dict[str, Any]:
    return {"id": document.id, "fields": dict(document)}


def _state(one: IndexView) -> str:
    return "ready" if one.ready else f"being built: {one.built:,} of {one.documents:,} documents"

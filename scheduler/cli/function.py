"""`duestream function list`: what can be scheduled, and what has become of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.group import Noun
from scheduler.cli.output import json_option, print_json, print_table
from scheduler.cli.session import Target, target_options

if TYPE_CHECKING:
    from scheduler.inspector import FunctionView

_STARS = {"var_positional": "*", "var_keyword": "**"}


@click.group(cls=Noun)
def function() -> None:
    """Look at functions."""


@function.command("list")
@json_option
@target_options
def list_(target: Target, as_json: bool) -> None:
    """List functions and how their jobs ended.

    Those that live workers registered; with how many conflicts they met, and how many were refused for their signature.

    With --app those of the app are listed, without a look at the server.
    """
    functions = _read(target)
    if as_json:
        print_json([dataclasses.asdict(one) for one in functions])
        return
    rows = [
        (
            one.name, one.kind, "internal" if one.internal else "public", one.queue,
            ", ".join(map(_parameter, one.parameters)) or "-",
            _finished(one), _conflicts(one), _refused(one), one.doc or "-",
        )
        for one in functions
    ]  # fmt: skip
    columns = ("name", "kind", "visibility", "queue", "parameters", "finished", ">conflicts", ">refused", "doc")
    print_table(columns, rows, empty="no functions")


def _read(target: Target) -> list[FunctionView]:
    from scheduler.inspector import FunctionView, read_functions

    app = target.load()
    if app is not None:
        return [FunctionView.of(name, one.describe()) for name, one in sorted(app.functions.items())]
    with target.open() as session:
        return session.store.drive(read_functions(session.store.keys))


def _finished(one: FunctionView) -> str:
    counts = one.finished or {}
    return ", ".join(f"{number:,} {state}" for state, number in counts.items() if number) or "-"


def _conflicts(one: FunctionView) -> str:
    return "-" if one.conflicts is None else f"{one.conflicts:,}"


def _refused(one: FunctionView) -> str:
    return "-" if one.refused is None else f"{one.refused:,}"


def _parameter(one: Mapping[str, Any]) -> str:
    """A parameter as in a signature: its name, its type, and a question mark where it may be left out."""
    star = _STARS.get(str(one["kind"]), "")
    optional = "" if one["required"] or star else "?"
    types = type_of(one["schema"])
    return f"{star}{one['name']}{optional}" + (f": {types}" if types else "")


def type_of(schema: Mapping[str, Any]) -> str:
    """The type that a JSON schema means, in short."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " | ".join(dict.fromkeys(type_of(one) or "any" for one in choices))
    found = schema.get("format") or schema.get("title") if "properties" in schema else schema.get("format")
    name = found or schema.get("type") or str(schema.get("$ref", "")).rpartition("/")[2]
    if name == "array" and isinstance(schema.get("items"), dict):
        return f"{type_of(schema['items']) or 'any'}[]"
    return str(name)

"""What is printed: tables for people, JSON for programs, times as both read them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

WIDTH: Final = 160
"""Columns of what goes into a pipe or a file."""

_MOST_BITS: Final = 10_000
CLIP: Final = 20_000
"""Characters of one value that people are shown."""

PRINTED: Final = "duestream.printed"
"""In the meta of a command's context: it has printed JSON."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"))

json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def one_line(text: str) -> str:
    """The same without line breaks, and without what a terminal would obey."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def printable(text: str) -> str:
    """The same with its line breaks and tabs, and without what a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def clipped(text: str) -> str:
    """The beginning of a long text: nobody reads megabytes on a terminal, and laying them out takes half a minute."""
    if len(text) <= CLIP:
        return text
    return f"{text[:CLIP]}… (the first {CLIP:,} of {len(text):,} characters; --json prints all)"


def shorten(text: str, limit: int) -> str:
    """One line of at most `limit` characters."""
    line = one_line(text)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def as_json(value: object) -> str:
    """A value as JSON; what JSON has no type for is written as pydantic does, bytes as base64, NaN as a string."""
    from pydantic_core import to_jsonable_python

    plain = to_jsonable_python(value, bytes_mode="base64", fallback=str, by_alias=False)
    return json.dumps(_finite(plain), ensure_ascii=True, indent=2)


def as_text(value: object) -> str:
    """A value for people: a str as it is, else compact JSON."""
    if isinstance(value, str):
        return printable(value)
    from pydantic_core import to_jsonable_python

    plain = to_jsonable_python(value, bytes_mode="base64", fallback=str, by_alias=False)
    return printable(json.dumps(_finite(plain), ensure_ascii=False))


def print_json(value: object) -> None:
    """Print a value for programs."""
    click.echo(as_json(value))
    if (ctx := click.get_current_context(silent=True)) is not None:
        ctx.meta[PRINTED] = True


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print rows under a heading; the first column is never cut. Nothing but a word on stderr where there are none."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        right = column.startswith(">")
        table.add_column(
            column.lstrip(">").upper(), justify="right" if right else "left", no_wrap=place == 0 or right,
            overflow="fold",
        )  # fmt: skip
    for row in rows:
        table.add_row(*(Text(one_line(cell), style=_STYLES.get(cell, "")) for cell in row))
    if table.row_count:
        _print(table)
    else:
        click.echo(empty, err=True)


def print_fields(fields: Mapping[str, str]) -> None:
    """Print names and values, one below the other; values may have several lines."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(Text(name, style="bold"), Text(printable(value), style=_STYLES.get(value, "")))
    _print(table)


def _print(table: Any) -> None:
    from rich.console import Console

    fixed = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH
    console = Console(width=fixed, highlight=False)
    with console.capture() as captured:
        console.print(table)
    # Through click, which knows the stream; without the spaces that a table fills its lines with.
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()), color=console.is_terminal or None)


def ago(then_ms: int, now_ms: int) -> str:
    """How far a time is from now: "in 5m 3s", "2h 4m ago", "now"."""
    span = interval(abs(then_ms - now_ms))
    if span == "0s":
        return "now"
    return f"in {span}" if then_ms > now_ms else f"{span} ago"


def interval(ms: int) -> str:
    """A span of time in its two largest units: "1h 5m"."""
    parts: list[str] = []
    for size, unit in _UNITS:
        count, ms = divmod(ms, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0s"


def moment(ms: int | None, now_ms: int) -> str:
    """A time as an ISO datetime in UTC, and how far away it is; a dash where it was not reached."""
    if ms is None:
        return "-"
    try:
        text = (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")
    except OverflowError:  # damaged: no calendar goes so far
        return f"{ms} ms"
    return f"{text.removesuffix('+00:00')}Z  ({ago(ms, now_ms)})"


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity, and an int may be too long to be written; they become strings."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return hex(value)  # Python writes no longer one in decimals
    return str(value) if isinstance(value, float) and value - value != 0 else value


_STYLES: Final = {
    "failed": "red",
    "error": "red",
    "warning": "yellow",
    "unknown": "red",
    "success": "green",
    "inProgress": "cyan",
    "pending": "yellow",
    "canceled": "dim",
}

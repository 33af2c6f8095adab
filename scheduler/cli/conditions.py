"""Equalities on the fields of an index, as `--where` has them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from scheduler.errors import InvalidOption

_TYPES: Final[dict[str, Any]] = {
    one.__name__: one for one in (str, int, float, bool, datetime, date, timedelta, UUID, Decimal)
}


def type_name(value: object) -> str:
    """What `--where` and people call the type of a stored value."""
    return "None" if value is None else type(value).__name__


def read_conditions(texts: Iterable[str]) -> dict[str, Any]:
    """Values by field, of `field=value` (JSON, or else the text) and `field:type=value`.

    Raises:
        InvalidOption: One is neither, or a field stands there twice.
    """
    conditions: dict[str, Any] = {}
    for text in texts:
        left, equals, value = text.partition("=")
        field, colon, kind = left.partition(":")
        if not equals or not field:
            raise InvalidOption(f"where: expected FIELD=VALUE or FIELD:TYPE=VALUE, got {text[:60]!r}")
        if field in conditions:
            raise InvalidOption(f"where: {field}: stands there twice")
        conditions[field] = _typed(field, kind, value) if colon else _json_or_text(value)
    return conditions


def _typed(field: str, kind: str, text: str) -> Any:
    if kind not in _TYPES:
        raise InvalidOption(f"where: {field}: expected one of {', '.join(_TYPES)} as its type, got {kind[:60]!r}")
    try:
        return TypeAdapter(_TYPES[kind]).validate_strings(text)
    except ValidationError as error:
        raise InvalidOption(f"where: {field}: {error.errors()[0]['msg']} (got {text[:60]!r})") from error


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text

"""Durations and points in time, as they are written on a command line and in NDJSON."""

from __future__ import annotations

import math
import re
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

import click

from scheduler import due
from scheduler.errors import InvalidDelay, InvalidTimestamp

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


def parse_duration(text: str) -> int:
    """Read "500ms", "30s", "1h30m" as milliseconds, fractions rounded up.

    Raises:
        InvalidDelay: It is not a duration; a bare number has no unit.
    """
    found = text.strip().lower()
    if _NUMBER.fullmatch(found):
        raise InvalidDelay(f"delay: {text!r} has no unit: write {found}ms, {found}s, {found}m, {found}h or {found}d")
    if not _DURATION.fullmatch(found):
        raise InvalidDelay(f"delay: {text!r:.60} is not a duration like 500ms, 30s, 5m, 2h, 1d or 1h30m")
    return math.ceil(sum(Fraction(number) * _UNITS_MS[unit] for number, unit in _PART.findall(found)))


def parse_timestamp(text: str) -> due.Timestamp:
    """Read epoch milliseconds or an ISO datetime with a time zone.

    Raises:
        InvalidTimestamp: It is neither, or naive.
    """
    found = text.strip()
    if _NUMBER.fullmatch(found) and len(found) < 20:
        return float(found) if "." in found else int(found)
    try:
        timestamp = datetime.fromisoformat(found)
    except ValueError:
        raise InvalidTimestamp(
            f"timestamp: {text!r:.60} is neither an ISO datetime like 2030-01-01T09:00Z nor epoch milliseconds"
        ) from None
    if timestamp.tzinfo is None:
        raise InvalidTimestamp(f"timestamp: {text!r} has no time zone: write {text}Z or {text}+02:00")
    return timestamp


class Duration(click.ParamType):  # type: ignore[type-arg] # generic since click 8.4 only
    """A duration as milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_duration(str(value))
        except InvalidDelay as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType):  # type: ignore[type-arg] # as above
    """A point in time, as `run_at` takes it."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> due.Timestamp:
        if isinstance(value, int | float | datetime):
            return value
        try:
            return parse_timestamp(str(value))
        except InvalidTimestamp as error:
            self.fail(str(error), param, ctx)

"""Delays and timestamps (C2.1, C2.3, C2.5)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any

from scheduler import InvalidDelay, InvalidTimestamp
from scheduler.due import LIMIT_MS
from tests.faults.corpus.case import Bad, Good

HUGE = 10**400


class NoOffset(tzinfo):
    """A time zone that does not say how far it is from UTC."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> None:
        return None


def delay(id: str, value: Any, text: str | None = None, json: str | None = None) -> Bad:  # noqa: A002
    return Bad(f"delay {id}", lambda: value, InvalidDelay, "delay", text, json)


def timestamp(id: str, value: Any, text: str | None = None, json: str | None = None) -> Bad:  # noqa: A002
    return Bad(f"timestamp {id}", lambda: value, InvalidTimestamp, "timestamp", text, json)


DELAYS = (
    delay("NaN", float("nan"), "nan", "NaN"),
    delay("infinity", float("inf"), "inf", "Infinity"),
    delay("minus infinity", float("-inf"), "-inf", "-Infinity"),
    delay("-1", -1, "-1ms", "-1"),
    delay("-1e-300", -1e-300, "-0.0001ms", "-1e-300"),
    delay("1e308", 1e308, "1e308ms", "1e308"),
    delay("10**400", HUGE, f"{HUGE}ms", str(HUGE)),
    delay("-10**400", -HUGE, f"-{HUGE}ms", str(-HUGE)),
    delay("2**53+1", 2**53 + 1, f"{2**53 + 1}ms", str(2**53 + 1)),
    delay("five years and a ms", LIMIT_MS + 1, f"{LIMIT_MS + 1}ms", str(LIMIT_MS + 1)),
    delay("five years and a fraction", LIMIT_MS + 0.5, f"{LIMIT_MS + 0.5}ms", str(LIMIT_MS + 0.5)),
    delay("five years and a microsecond", timedelta(milliseconds=LIMIT_MS, microseconds=1)),
    delay("True", True, "true", "true"),
    delay("False", False, "false", "false"),
    delay("a str of digits", "5", "5", '"5"'),
    delay("a word", "soon", "soon", '"soon"'),
    delay("an empty str", "", "", '""'),
    delay("a str with a NUL", "5\0ms", None, '"5\\u0000ms"'),
    delay("None", None),
    delay("Decimal", Decimal(5)),
    delay("Fraction", Fraction(1, 2)),
    delay("complex", 5 + 0j),
    delay("bytes", b"5"),
    delay("a list", [5], None, "[5]"),
    delay("a dict", {"ms": 5}, None, '{"ms": 5}'),
    delay("an object", object()),
    delay("a class", int),
    delay("a date", date(2030, 1, 1), "2030-01-01", '"2030-01-01"'),
    delay("a datetime", datetime(2030, 1, 1, tzinfo=UTC), "2030-01-01T00:00Z", '"2030-01-01T00:00Z"'),
    delay("a negative timedelta", timedelta(microseconds=-1)),
    delay("the longest timedelta", timedelta.max, "999999999d", '"999999999d"'),
    delay("the most negative timedelta", timedelta.min, "-999999999d", '"-999999999d"'),
    delay("a duration without a unit", "1h30", "1h30", '"1h30"'),
    delay("units that are none", "1y", "1y", '"1y"'),
    delay("other digits", "\u0665ms", "\u0665ms", '"\\u0665ms"'),
    delay("10 kB", "5" * 10_000 + "ms", "5" * 10_000 + "ms", '"' + "5" * 10_000 + 'ms"'),
)

TIMESTAMPS = (
    timestamp("NaN", float("nan"), "nan", "NaN"),
    timestamp("infinity", float("inf"), "inf", "Infinity"),
    timestamp("minus infinity", float("-inf"), "-inf", "-Infinity"),
    timestamp("1e308", 1e308, "1e308", "1e308"),
    timestamp("-1e308", -1e308, "-1e308", "-1e308"),
    timestamp("10**400", HUGE, str(HUGE), str(HUGE)),
    timestamp("-10**400", -HUGE, None, str(-HUGE)),
    timestamp("2**53+1", 2**53 + 1, str(2**53 + 1), str(2**53 + 1)),
    timestamp("zero", 0, "0", "0"),
    timestamp("minus zero", -0.0, "-0.0", "-0.0"),
    timestamp("-1", -1, "-1", "-1"),
    timestamp("seconds instead of milliseconds", 1_800_000_000, "1800000000", "1800000000"),
    timestamp("True", True, "true", "true"),
    timestamp("a str of digits", "1800000000", None, '"1800000000"'),
    timestamp("a word", "tomorrow", "tomorrow", '"tomorrow"'),
    timestamp("an empty str", "", "", '""'),
    timestamp("None", None),
    timestamp("Decimal", Decimal(1_800_000_000_000)),
    timestamp("bytes", b"1800000000000"),
    timestamp("a list", [1], None, "[1]"),
    timestamp("an object", object()),
    timestamp("a timedelta", timedelta(days=1), "1d", '"1d"'),
    timestamp("a date", date(2030, 1, 1), "2030-01-01", '"2030-01-01"'),
    timestamp("a time", time(9, 0, tzinfo=UTC), "09:00Z", '"09:00Z"'),
    timestamp("naive", datetime(2030, 1, 1), "2030-01-01T00:00", '"2030-01-01T00:00"'),  # noqa: DTZ001
    timestamp("a zone without an offset", datetime(2030, 1, 1, tzinfo=NoOffset())),
    timestamp("year 9999", datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59Z", '"9999-12-31T23:59:59Z"'),
    timestamp("year 1", datetime.min.replace(tzinfo=UTC), "0001-01-01T00:00Z", '"0001-01-01T00:00Z"'),
    timestamp(
        "past the last year of UTC",
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))),
        "9999-12-31T23:59:59-23:00",
        '"9999-12-31T23:59:59-23:00"',
    ),
    timestamp(
        "before the first year of UTC",
        datetime.min.replace(tzinfo=timezone(timedelta(hours=23))),
        "0001-01-01T00:00+23:00",
        '"0001-01-01T00:00+23:00"',
    ),
    timestamp("the 30th of February", "2030-02-30T00:00Z", "2030-02-30T00:00Z", '"2030-02-30T00:00Z"'),
    timestamp("hour 25", "2030-01-01T25:00Z", "2030-01-01T25:00Z", '"2030-01-01T25:00Z"'),
    timestamp("an offset of a day", "2030-01-01T00:00+24:00", "2030-01-01T00:00+24:00", '"2030-01-01T00:00+24:00"'),
    timestamp("CRLF", "2030-01-01\r\nT00:00Z", "2030-01-01\r\nT00:00Z", '"2030-01-01\\r\\nT00:00Z"'),
)

DELAYS_TAKEN = (
    Good("delay zero", lambda: 0, "0"),
    Good("delay minus zero", lambda: -0.0, "-0.0"),
    Good("delay of the smallest float", lambda: 5e-324, "5e-324"),
    Good("delay of exactly five years", lambda: LIMIT_MS, str(LIMIT_MS)),
    Good("delay of exactly five years as a timedelta", lambda: timedelta(milliseconds=LIMIT_MS)),
    Good("delay of a microsecond", lambda: timedelta(microseconds=1)),
)

"""Delays and timestamps: what is taken, and every bad input that faults.md lists (C2.1 to C2.5)."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from scheduler import due
from scheduler.due import LIMIT_MS, Due
from scheduler.errors import InvalidDelay, InvalidTimestamp

NOW = 1_800_000_000_000  # January 2027
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NO_NUMBERS: list[Any] = [
    math.nan, math.inf, -math.inf, True, False, "5", b"5", None, Decimal(5), Fraction(5), 5j, [5], {}, object(), "",
]  # fmt: skip


@pytest.mark.parametrize(
    ("delay", "ms"),
    [
        (0, 0), (-0.0, 0), (0.0, 0), (1, 1), (1.0, 1), (0.001, 1), (1.5, 2), (LIMIT_MS, LIMIT_MS),
        (float(LIMIT_MS), LIMIT_MS), (timedelta(), 0), (timedelta(microseconds=1), 1), (timedelta(seconds=1.5), 1500),
        (timedelta(milliseconds=1), 1), (timedelta(days=5 * 366), LIMIT_MS),
    ],
)  # fmt: skip
def test_a_delay_is_rounded_up_to_milliseconds(delay: due.Delay, ms: int) -> None:
    # C2.1, C2.5, C7.3
    taken = due.after(delay)
    assert taken == Due("after", ms)
    assert type(taken.ms) is int


@pytest.mark.parametrize("delay", [*NO_NUMBERS, datetime(2027, 1, 1, tzinfo=UTC)], ids=repr)
def test_what_is_no_finite_number_is_no_delay(delay: Any) -> None:
    # C2.1
    with pytest.raises(InvalidDelay, match=r"^delay: expected ") as caught:
        due.after(delay)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "delay", [-1, -0.001, -1e-320, -1e308, -(10**400), timedelta(microseconds=-1), timedelta.min], ids=lambda _: ""
)
def test_a_negative_delay_is_refused(delay: due.Delay) -> None:
    # C2.1
    with pytest.raises(InvalidDelay, match=r"^delay: must not be negative") as caught:
        due.after(delay)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "delay",
    [
        LIMIT_MS + 1, LIMIT_MS + 0.5, 1e308, 10**400, 2**53 + 1, timedelta(days=5 * 366, microseconds=1), timedelta.max,
        timedelta(days=5 * 366, milliseconds=1),
    ],
    ids=lambda _: "",
)  # fmt: skip
def test_more_than_five_years_is_refused(delay: due.Delay) -> None:
    # C2.5
    with pytest.raises(InvalidDelay, match=r"^delay: more than five years ahead") as caught:
        due.after(delay)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("delay", "got"),
    [
        (LIMIT_MS + 1, "got 158112000001 ms (most: 158112000000 ms)"),
        (timedelta(days=5 * 366 + 1), "got datetime.timedelta(days=1831) (most: 158112000000 ms)"),
        (10**400, "got an int of 1329 bits (most: 158112000000 ms)"),
    ],
    ids=["number", "timedelta", "huge"],
)
def test_what_is_too_far_away_is_said_with_its_unit(delay: due.Delay, got: str) -> None:
    # C2.5
    with pytest.raises(InvalidDelay) as caught:
        due.after(delay)
    assert str(caught.value) == f"delay: more than five years ahead, {got}"
    with pytest.raises(InvalidTimestamp, match=rf"ahead, got {NOW + LIMIT_MS + 1} ms since 1970$"):
        due.at(NOW + LIMIT_MS + 1, NOW)


def stamp(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


@pytest.mark.parametrize(
    ("timestamp", "ms"),
    [
        (NOW, NOW), (float(NOW), NOW), (NOW + 0.25, NOW + 1), (NOW - 1, NOW - 1),
        (NOW + LIMIT_MS, NOW + LIMIT_MS), (NOW - LIMIT_MS, NOW - LIMIT_MS),
        (stamp(NOW), NOW), (stamp(NOW) + timedelta(microseconds=1), NOW + 1), (stamp(NOW + LIMIT_MS), NOW + LIMIT_MS),
        (stamp(NOW - LIMIT_MS), NOW - LIMIT_MS), (stamp(NOW).astimezone(timezone(timedelta(hours=-7))), NOW),
        (stamp(NOW).astimezone(ZoneInfo("Asia/Kathmandu")), NOW),
    ],
)  # fmt: skip
def test_a_timestamp_is_rounded_up_to_milliseconds(timestamp: due.Timestamp, ms: int) -> None:
    # C2.3, C2.5
    taken = due.at(timestamp, NOW)
    assert taken == Due("at", ms)
    assert type(taken.ms) is int


@pytest.mark.parametrize(
    "timestamp",
    [*NO_NUMBERS, timedelta(seconds=1), date(2027, 1, 1)],
    ids=repr,
)
def test_what_is_no_finite_number_is_no_timestamp(timestamp: Any) -> None:
    # C2.3
    with pytest.raises(InvalidTimestamp, match=r"^timestamp: expected "):
        due.at(timestamp, NOW)
    with pytest.raises(InvalidTimestamp, match=r"^timestamp: expected "):
        due.check_timestamp(timestamp)


def test_a_naive_datetime_is_refused() -> None:
    # C2.3
    with pytest.raises(InvalidTimestamp, match=r"^timestamp: a datetime needs a time zone, got the naive 2027-01-01"):
        due.at(datetime(2027, 1, 1), NOW)  # noqa: DTZ001  naive, that is the point


@pytest.mark.parametrize(
    ("timestamp", "where"),
    [
        (NOW + LIMIT_MS + 1, "ahead"), (NOW - LIMIT_MS - 1, "ago"), (NOW + LIMIT_MS + 0.5, "ahead"),
        (stamp(NOW + LIMIT_MS + 1), "ahead"), (stamp(NOW - LIMIT_MS - 1), "ago"),
        (stamp(NOW + LIMIT_MS) + timedelta(microseconds=1), "ahead"),
        (0, "ago"), (-0.0, "ago"), (-1, "ago"), (1e308, "ahead"), (-1e308, "ago"), (10**400, "ahead"),
        (-(10**400), "ago"), (2**53 + 1, "ahead"), (datetime.max.replace(tzinfo=UTC), "ahead"),
        (datetime(9999, 12, 31, tzinfo=UTC), "ahead"), (datetime.min.replace(tzinfo=UTC), "ago"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))), "ahead"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=23))), "ago"),
    ],
    ids=lambda _: "",
)  # fmt: skip
def test_more_than_five_years_away_is_refused(timestamp: due.Timestamp, where: str) -> None:
    # C2.5
    with pytest.raises(InvalidTimestamp, match=f"^timestamp: more than five years {where}") as caught:
        due.at(timestamp, NOW)
    assert len(str(caught.value)) < 200


def test_the_hour_that_a_clock_change_repeats_is_two_instants() -> None:
    # C2.3
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2027, 10, 31, 2, 30, tzinfo=berlin, fold=0)
    second = first.replace(fold=1)
    assert due.at(second, NOW).ms - due.at(first, NOW).ms == 3_600_000
    assert due.at(first, NOW).ms == due.at(first.astimezone(UTC), NOW).ms


def test_seconds_for_milliseconds_get_a_hint() -> None:
    # C2.5
    with pytest.raises(InvalidTimestamp, match="epoch seconds"):
        due.at(NOW // 1000, NOW)
    with pytest.raises(InvalidTimestamp) as caught:
        due.at(0, NOW)
    assert "seconds" not in str(caught.value)

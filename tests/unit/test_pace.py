"""The pace: how much a worker claims ahead, with a clock by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from worker.pace import Pace


class Clock:
    now = 1_000.0


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    with patch.object(time, "monotonic", lambda: clock.now):
        yield clock


def run(pace: Pace, clock: Clock, ends: int, seconds: float) -> int:
    for _ in range(ends):
        pace.ended()
    clock.now += seconds
    return pace.ahead()


@pytest.mark.parametrize(("a_second", "ahead"), [(0, 0), (10, 0), (49, 0), (2_000, 20), (9_900, 99), (30_000, 100)])
def test_what_would_start_within_ten_ms_is_claimed_ahead_up_to_the_most(
    clock: Clock, a_second: int, ahead: int
) -> None:
    # C3.7: what takes long is left to others.
    pace = Pace(100)
    assert pace.ahead() == 0
    assert run(pace, clock, a_second, 1.0) == ahead


def test_it_is_the_pace_of_the_last_moment(clock: Clock) -> None:
    pace = Pace(100)
    assert run(pace, clock, 1_000, 0.1) == 100
    assert run(pace, clock, 0, 0.01) == 100  # too soon to tell
    assert run(pace, clock, 1, 0.1) == 0


def test_after_a_pause_it_begins_anew(clock: Clock) -> None:
    pace = Pace(100)
    assert run(pace, clock, 1_000, 0.1) == 100
    assert run(pace, clock, 100, 60.0) == 0

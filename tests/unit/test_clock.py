"""Redis time, counted on by the monotonic clock."""

from __future__ import annotations

import time

import pytest

from scheduler.clock import RedisClock


def test_the_clock_is_not_read_before_redis_told_the_time() -> None:
    clock = RedisClock()
    assert not clock.known
    with pytest.raises(RuntimeError, match="before Redis told the time"):
        clock.now_ms()


class Monotonic:
    """The monotonic clock by hand, in seconds; the wall clock must not be asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(time, "time", lambda: pytest.fail("the wall clock was asked"))


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    return Monotonic(monkeypatch)


START_MS = 1_800_000_000_000


def test_it_counts_on_with_the_monotonic_clock_and_never_asks_the_wall(monotonic: Monotonic) -> None:
    clock = RedisClock()
    clock.observe(START_MS, 100.0)
    assert clock.known
    assert clock.now_ms() == START_MS
    monotonic.now_s = 101.5
    assert clock.now_ms() == START_MS + 1_500
    clock.observe(1_700_000_000_000, 101.5)  # Redis was set back: it alone decides
    assert clock.now_ms() == 1_700_000_000_000


def test_a_slow_answer_does_not_set_it_back(monotonic: Monotonic) -> None:
    # It was: a handler saw a time before its own job was due.
    clock = RedisClock()
    clock.observe(START_MS, 100.0)
    monotonic.now_s = 103.0
    clock.observe(START_MS + 2_000, 102.0)  # on its way for a second
    assert clock.now_ms() == START_MS + 3_000
    clock.observe(START_MS + 3_500, 103.0)  # Redis runs ahead
    assert clock.now_ms() == START_MS + 3_500


def test_what_was_written_at_a_time_sets_it_ahead_as_far_as_the_last_answer_allows(monotonic: Monotonic) -> None:
    clock = RedisClock()
    clock.advance(START_MS)
    assert not clock.known
    monotonic.now_s = 101.0
    clock.observe(START_MS, 100.0)
    assert clock.now_ms() == START_MS
    clock.advance(START_MS + 400)
    assert clock.now_ms() == START_MS + 400
    clock.advance(START_MS + 10**9)  # nobody's time
    assert clock.now_ms() == START_MS + 1_000
    clock.advance(START_MS)
    assert clock.now_ms() == START_MS + 1_000

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


def test_it_counts_on_with_the_monotonic_clock_and_never_asks_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    elapsed_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: elapsed_s)
    monkeypatch.setattr(time, "time", lambda: pytest.fail("the wall clock was asked"))
    clock = RedisClock()
    clock.observe(1_800_000_000_000)
    assert clock.known
    assert clock.now_ms() == 1_800_000_000_000
    elapsed_s = 101.5
    assert clock.now_ms() == 1_800_000_001_500
    clock.observe(1_700_000_000_000)  # Redis was set back: it alone decides
    assert clock.now_ms() == 1_700_000_000_000

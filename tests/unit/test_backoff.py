"""Waiting before the next try (C3.3)."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest

from scheduler.backoff import Outage, jittered_ms


@pytest.mark.parametrize(
    ("attempt", "ceiling"), [(1, 500), (2, 1000), (5, 8000), (14, 4_096_000), (15, 7_200_000), (10**9, 7_200_000)]
)
def test_the_ceiling_doubles_up_to_the_cap(monkeypatch: pytest.MonkeyPatch, attempt: int, ceiling: int) -> None:
    asked = []

    def randint(low: int, high: int) -> int:
        asked.append((low, high))
        return high

    monkeypatch.setattr(random, "randint", randint)
    assert jittered_ms(attempt, 500, 2 * 3600 * 1000) == ceiling
    assert asked == [(0, ceiling)]  # full jitter: from 0


def test_it_spreads() -> None:
    waits = {jittered_ms(1, 500, 10_000) for _ in range(200)}
    assert len(waits) > 50
    assert min(waits) >= 0
    assert max(waits) <= 500


async def test_an_outage_is_told_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    outage = Outage()
    before = outage.contact_since
    with caplog.at_level(logging.WARNING, "duestream.outage"):
        outage.over()
        assert caplog.messages == []
        assert outage.contact_since == before
        for _ in range(50):
            await outage.wait(ConnectionError("refused"))
        assert [text for text in caplog.messages if "redis is away" in text and "refused" in text] == caplog.messages
        assert len(caplog.messages) == 1
        outage.over()
        outage.over()
    assert len(caplog.messages) == 2
    assert "redis is back" in caplog.messages[1]
    assert all(0.02 <= seconds <= 2.02 for seconds in waited)
    assert outage.contact_since >= before

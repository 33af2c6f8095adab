"""The janitor's patience: when it judges no lease, and when it must."""

from __future__ import annotations

import time
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from scheduler.backoff import Outage
from scheduler.clients import async_client
from scheduler.janitor import Janitor
from scheduler.keys import Keys
from scheduler.store import AsyncStore

LEASE_MS = 2_000


class Times:
    """Monotonic seconds by hand, and the server's time with them."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.server_ms = 1_800_000_000_000

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.server_ms += round(seconds * 1000)


@pytest.fixture
def times() -> Iterator[Times]:
    times = Times()
    with patch.object(time, "monotonic", lambda: times.now):
        yield times


@pytest.fixture
async def janitor(times: Times) -> Janitor:
    """One that has been in contact for long."""
    outage = Outage()
    store = AsyncStore(Keys("never"), async_client("redis://127.0.0.1:1"))
    janitor = Janitor(store, lease_ms=LEASE_MS, max_deliveries=5, leads=lambda: True, outage=outage)
    janitor.observe(times.server_ms, times.now)
    times.passes(60)
    janitor.observe(times.server_ms, times.now)
    assert janitor._may_judge()
    return janitor


async def test_it_judges_though_answers_are_read_late(janitor: Janitor, times: Times) -> None:
    """A process that got no turn for a second after the answer took that for a jump of the server's clock, and for
    another one at the next answer: nothing of a dead worker was taken up for two leases."""
    # C3.3
    for late_s in (3.0, 0.0, 0.0):
        times.passes(0.4)
        asked, told_ms = times.now, times.server_ms
        times.passes(late_s)
        janitor.observe(told_ms, asked)
        assert janitor._may_judge()


async def test_it_judges_though_answers_come_late(janitor: Janitor, times: Times) -> None:
    # C3.3: a slow server tells the time at the end of the wait.
    for slow_s in (3.0, 0.0, 2.0):
        asked = times.now
        times.passes(slow_s)
        janitor.observe(times.server_ms, asked)
        times.passes(0.4)
        assert janitor._may_judge()


@pytest.mark.parametrize("jump_ms", [1_500, 3_600_000, -1_500, -3_600_000])
async def test_after_a_jump_of_the_clock_everybody_gets_a_lease(janitor: Janitor, times: Times, jump_ms: int) -> None:
    # C3.5
    times.passes(0.4)
    times.server_ms += jump_ms
    janitor.observe(times.server_ms, times.now)
    assert not janitor._may_judge()
    times.passes(LEASE_MS / 1000 - 0.1)
    assert not janitor._may_judge()
    times.passes(0.2)
    assert janitor._may_judge()

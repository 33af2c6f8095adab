"""Time limits: whom they interrupt when, with a loop by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from scheduler.transitions import Delivery
from worker.delivery import Held, Interruption
from worker.time_limits import TimeLimits


@dataclass(eq=False)
class Timer:
    at: float
    callback: Callable[[], None]
    canceled: bool = False

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.canceled = True


@dataclass
class HandLoop:
    """A loop whose time passes when a test says so."""

    now: float = 0.0
    timers: list[Timer] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(when, callback))
        return self.timers[-1]

    def armed(self) -> list[float]:
        return [timer.at for timer in self.timers if not timer.canceled]

    def passes(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer.at <= self.now]
        self.timers = [timer for timer in self.timers if timer not in due]
        for timer in due:
            if not timer.canceled:
                timer.callback()


class Running(Held):
    """A handler that notes why it is interrupted."""

    def interrupt(self, reason: Interruption) -> None:
        self.interruption = reason


@pytest.fixture
def loop() -> HandLoop:
    return HandLoop()


@pytest.fixture
def limits(loop: HandLoop) -> TimeLimits:
    return TimeLimits(cast("asyncio.AbstractEventLoop", loop))


def running() -> Running:
    return Running(Delivery("JOB", "q", "1-0", "T", 1), None)


def test_each_is_interrupted_at_the_end_of_its_own_time(loop: HandLoop, limits: TimeLimits) -> None:
    # C3.2
    first, short, later = running(), running(), running()
    limits.start(first, 10)
    limits.start(short, 2)
    loop.passes(1)
    limits.start(later, 10)
    loop.passes(1)
    assert [one.interruption for one in (first, short, later)] == [None, Interruption.TIME_LIMIT, None]
    loop.passes(8)
    assert [first.interruption, later.interruption] == [Interruption.TIME_LIMIT, None]
    loop.passes(1)
    assert later.interruption is Interruption.TIME_LIMIT
    assert loop.armed() == []


def test_one_that_has_ended_is_left_alone(loop: HandLoop, limits: TimeLimits) -> None:
    ended, other = running(), running()
    limits.start(ended, 5)
    loop.passes(1)
    limits.start(other, 5)
    limits.end(ended, 5)
    loop.passes(5)
    assert [ended.interruption, other.interruption] == [None, Interruption.TIME_LIMIT]


def test_there_is_one_timer_for_all(loop: HandLoop, limits: TimeLimits) -> None:
    for _ in range(100):
        limits.start(running(), 5)
        limits.start(running(), 300)
        loop.passes(0.01)
    assert loop.armed() == [5]


def test_one_that_starts_again_has_its_time_anew(loop: HandLoop, limits: TimeLimits) -> None:
    again, other = running(), running()
    limits.start(again, 5)
    limits.end(again, 5)
    loop.passes(3)
    limits.start(other, 5)
    limits.start(again, 5)
    loop.passes(3)
    assert again.interruption is None
    loop.passes(2)
    assert [again.interruption, other.interruption] == [Interruption.TIME_LIMIT] * 2


def test_closed_it_interrupts_nobody(loop: HandLoop, limits: TimeLimits) -> None:
    one = running()
    limits.start(one, 5)
    limits.close()
    loop.passes(5)
    assert one.interruption is None

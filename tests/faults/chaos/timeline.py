"""Plays a phase's faults at their time, one thread for all of them."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from itertools import count

from tests.faults.chaos.faults import KINDS, Fault
from tests.faults.chaos.timetable import Phase
from tests.faults.chaos.world import World

AGAIN_S = 0.05
MOST_LATE_S = 60.0

Tell = Callable[[str], None]
_Event = tuple[float, int, Fault, bool]


def play(phase: Phase, world: World, tell: Tell) -> None:
    """Inject and undo every fault of a phase; ends when the last one is undone.

    Raises:
        TimeoutError: A fault found nothing to strike for a minute.
    """
    started, number = time.monotonic(), count()
    events: list[_Event] = [(one.at_s, next(number), KINDS[one.kind](one), False) for one in phase.faults]
    heapq.heapify(events)
    told_s = 0.0
    while events:
        at_s, _, fault, undo = heapq.heappop(events)
        time.sleep(max(0.0, started + at_s - time.monotonic()))
        now_s = time.monotonic() - started
        if not _strike(fault, world, undo):
            if now_s > fault.timed.at_s + MOST_LATE_S:
                raise TimeoutError(f"{fault.timed}: nothing to strike for {MOST_LATE_S:g} s")
            heapq.heappush(events, (now_s + AGAIN_S, next(number), fault, undo))
            continue
        world.struck_at = time.monotonic()
        if not undo:
            world.injected[fault.timed.kind] += 1
            heapq.heappush(events, (now_s + fault.timed.lasts_s, next(number), fault, True))
        if now_s > told_s + 10:
            told_s = now_s
            tell(f"{phase.name}: {now_s:.0f} of {phase.seconds:g} s, {sum(world.injected.values())} faults")


def _strike(fault: Fault, world: World, undo: bool) -> bool:
    if undo:
        return fault.undo(world)
    if fault.needs_server and not world.server.is_up:
        return False
    return fault.inject(world)

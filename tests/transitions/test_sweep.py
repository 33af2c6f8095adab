"""sweep: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.keys import GROUP
from scheduler.script_call import Word
from tests.transitions.conftest import NOW, WORKER, World


def join(world: World, worker: str = WORKER) -> None:
    world.run(transitions.join(worker, 5000, {}, {}, {}, ["q"], NOW))


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.sweep(1000, 10, NOW)) == 0


@pytest.mark.parametrize(("at", "removed"), [(999, 0), (1000, 1), (1001, 1)], ids=["before", "exact", "after"])
def test_silence(world: World, at: int, removed: int) -> None:
    join(world)
    assert world.run(transitions.sweep(1000, 10, NOW + at)) == removed
    assert world.exists("workers", f"worker:{WORKER}") == 2 - 2 * removed


def test_twice_and_limit(world: World) -> None:
    for i in range(3):
        join(world, f"w{i}")
    call = transitions.sweep(1000, 2, NOW + 1000)
    assert [world.run(call), world.run(call), world.changes_nothing(call)] == [2, 1, 0]


def test_what_it_holds_is_not_lost(world: World) -> None:
    # C7.3: redeliver comes first.
    join(world)
    delivery = world.deliver()
    assert world.changes_nothing(transitions.sweep(1000, 10, NOW + 1000)) == 0
    assert world.commit(delivery) is Word.OK
    assert world.run(transitions.sweep(1000, 10, NOW + 1000)) == 1
    assert world.command("XINFO", "CONSUMERS", world.keys.ready("q"), GROUP) == []


def test_a_destroyed_group(world: World) -> None:
    join(world)
    world.command("XGROUP", "DESTROY", world.keys.ready("q"), GROUP)
    assert world.run(transitions.sweep(1000, 10, NOW + 1000)) == 1

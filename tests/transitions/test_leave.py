"""leave: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.keys import GROUP
from scheduler.script_call import Transition, Word
from tests.transitions.conftest import NOW, WORKER, World


def leave(*queues: str, worker: str = WORKER) -> Transition[int]:
    return transitions.leave(worker, "p1", queues, NOW)


def consumers(world: World, queue: str = "q") -> set[bytes]:
    return {row[1] for row in world.command("XINFO", "CONSUMERS", world.keys.ready(queue), GROUP)}


def test_empty(world: World) -> None:
    assert world.changes_nothing(leave()) == 0
    assert world.changes_nothing(leave("q")) == 0


def test_what_it_holds_is_given_back(world: World) -> None:
    # C3.3: at once, and it counts neither as a start nor as a death.
    world.run(transitions.join(WORKER, 5000, {}, {}, {}, ["q"], NOW))
    delivery = world.deliver()
    assert world.run(leave("q")) == 1
    assert (world.exists("workers", f"worker:{WORKER}"), consumers(world)) == (0, set())
    (again,) = world.claim(worker="w2")
    assert (again.job_id, again.attempt, again.token != delivery.token) == (delivery.job_id, 1, True)
    assert "deaths" not in world.status(delivery.job_id)
    assert (world.commit(delivery), world.commit(again)) == (Word.LOST, Word.OK)


def test_twice(world: World) -> None:
    world.deliver()
    call = leave("q")
    assert world.run(call) == 1
    assert world.changes_nothing(call) == 0


def test_what_others_hold_stays_theirs(world: World) -> None:
    # C3.1
    delivery = world.deliver()
    assert world.changes_nothing(leave("q", worker="w2")) == 0
    assert world.commit(delivery) is Word.OK


def test_actions_in_progress_stay(world: World) -> None:
    # C3.5
    delivery = world.begin()
    assert world.run(leave("q")) == 0
    assert (world.state(delivery.job_id), world.finish(delivery)) == ("inProgress", Word.OK)


@pytest.mark.parametrize("change", ["state", "token"])
def test_entries_that_do_not_count_go(world: World, change: str) -> None:
    # C3.1
    delivery = world.deliver()
    world.command("HSET", world.keys.status(delivery.job_id), change, "canceled")
    assert (world.run(leave("q")), world.entries()) == (0, [])


@pytest.mark.parametrize(("leader", "left"), [("p1", 0), ("p2", 1)])
def test_the_promoters_lease(world: World, leader: str, left: int) -> None:
    # C7.3: a follower takes over at once.
    world.run(transitions.promote(leader, 2000, 10, NOW))
    world.run(leave())
    assert (world.exists("promoter"), world.exists("succession")) == (left, 1 - left)


@pytest.mark.parametrize("key", ["job", "status"])
def test_a_damaged_job_keeps_no_other_from_being_given_back(world: World, key: str) -> None:
    # C3.3: what has neither begun nor ended runs; without a spec the next worker fails it.
    damaged, sound = world.deliver(), world.deliver()
    world.break_key(f"{key}:{damaged.job_id}")
    assert world.run(leave("q")) == 2
    assert [one.job_id for one in world.claim()] == [damaged.job_id, sound.job_id]

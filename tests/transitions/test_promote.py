"""promote: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.script_call import Transition, Word
from scheduler.transitions import Lead
from tests.transitions.conftest import NOW, World


def promote(at: int = NOW, limit: int = 100, name: str = "p1") -> Transition[Lead]:
    return transitions.promote(name, 2000, limit, at)


def test_empty(world: World) -> None:
    assert world.run(promote()) == Lead(True, 0, None, NOW)
    assert world.all_keys() == [world.keys.promoter.encode()]


@pytest.mark.parametrize(
    ("at", "moved"), [(NOW + 99, 0), (NOW + 100, 1), (NOW + 101, 1)], ids=["before", "exact", "after"]
)
def test_due(world: World, at: int, moved: int) -> None:
    # C7.3: nothing runs before it is due.
    job_id = world.schedule(delay=100)
    assert world.run(promote(at)) == Lead(True, moved, None if moved else NOW + 100, at)
    assert world.ready() == [job_id] * moved


def test_twice(world: World) -> None:
    world.schedule(delay=5)
    call = promote(NOW + 5)
    assert world.run(call).moved == 1
    assert world.changes_nothing(call).moved == 0


def test_order(world: World) -> None:
    # C3.7: by due time, ties in order of scheduling.
    late, tie1, tie2, early = (world.schedule(delay=delay) for delay in (30, 20, 20, 10))
    assert world.run(promote(NOW + 30)) == Lead(True, 4, None, NOW + 30)
    assert world.ready() == [early, tie1, tie2, late]


def test_limit(world: World) -> None:
    jobs = [world.schedule(delay=i + 1) for i in range(5)]
    assert world.run(promote(NOW + 9, limit=2)) == Lead(True, 2, NOW + 3, NOW + 9)
    assert world.ready() == jobs[:2]
    assert world.run(promote(NOW + 9, limit=10)) == Lead(True, 3, None, NOW + 9)


def test_the_time_to_the_next_one_is_counted_from_the_microsecond(world: World) -> None:
    # By the server's own clock.
    asked_us = _time_us(world)
    world.run(transitions.schedule([world.request(delay=60_000)]))
    lead = world.run(transitions.promote("p1", 2000, 100))
    assert asked_us <= lead.now_ms * 1_000 + lead.micros <= _time_us(world)
    assert lead.micros in range(1_000)
    assert lead.next_due_ms is not None
    assert lead.next_due_s == pytest.approx((lead.next_due_ms - lead.now_ms - lead.micros / 1_000) / 1_000)


def _time_us(world: World) -> int:
    seconds, micros = world.command("TIME")
    return int(seconds) * 1_000_000 + int(micros)


@pytest.mark.parametrize(("limit", "share"), [(10, 5), (4, 2), (1, 1)])
def test_a_long_queue_does_not_starve_another(world: World, limit: int, share: int) -> None:
    # C3.7
    for queue in ("long", "short"):
        world.run(transitions.schedule([world.request(queue=queue, delay=1) for _ in range(8)], NOW))
    assert world.run(promote(NOW + 1, limit=limit)).moved == 2 * share
    assert (len(world.ready("long")), len(world.ready("short"))) == (share, share)


def test_the_next_due_time_is_that_of_all_queues(world: World) -> None:
    # C7.3
    for queue, delay in (("a", 30), ("b", 20), ("c", 40)):
        world.schedule(queue=queue, delay=delay)
    assert world.run(promote()).next_due_ms == NOW + 20


def test_one_leads(world: World) -> None:
    world.schedule(delay=5)
    assert world.run(promote()).leads
    before = world.dump()
    other = world.run(promote(NOW + 5, name="p2"))
    assert (other.leads, other.moved, 0 < other.lease_left_ms <= 2000) == (False, 0, True)
    assert world.dump() == before
    assert world.run(promote(NOW + 5)).moved == 1


def test_the_lease_ends(world: World) -> None:
    assert world.run(promote()).leads
    world.command("DEL", world.keys.promoter)
    assert world.run(promote(name="p2")).leads
    assert not world.run(promote()).leads


def test_the_lease_is_renewed(world: World) -> None:
    world.run(promote())
    world.command("PEXPIRE", world.keys.promoter, 100)
    world.run(promote())
    assert int(world.command("PTTL", world.keys.promoter)) > 1000


@pytest.mark.parametrize("state", ["success", "failed", "canceled"])
def test_final_states_are_dropped(world: World, state: str) -> None:
    # C5.1
    delivery = world.in_state(state)
    world.command("ZADD", world.keys.due("q"), NOW, delivery.job_id)
    assert world.run(promote()).moved == 1
    assert (world.ready(), world.due(), world.state(delivery.job_id)) == ([], {}, state)


def test_missing(world: World) -> None:
    world.schedule(delay=9)
    world.command("ZADD", world.keys.due("q"), NOW, "missing")
    assert world.run(promote()).moved == 1
    assert (world.ready(), world.exists("status:missing")) == ([], 0)


def test_attempts_go_on(world: World) -> None:
    # C5.2
    delivery = world.deliver()
    world.run(transitions.retry([transitions.Retry(delivery, 4, 10)], NOW))
    world.run(promote(NOW + 10))
    (again,) = world.claim()
    assert (again.attempt, world.commit(again)) == (5, Word.OK)


def test_a_call_that_is_sent_again_hands_out_no_token_twice(world: World) -> None:
    # C3.1: the nonce of a call alone would come twice.
    world.schedule(delay=1)
    call, tokens = promote(NOW + 10), []
    for _ in range(2):
        world.run(call)
        (delivery,) = world.claim()
        tokens.append(delivery.token)
        world.run(transitions.retry([transitions.Retry(delivery, 1, 5)], NOW))
    assert tokens[0] != tokens[1]


@pytest.mark.parametrize("key", ["due:q", "ready:q"])
def test_a_damaged_queue_holds_up_no_other(world: World, key: str) -> None:
    # C7.3
    world.schedule(delay=1)
    other = world.schedule(delay=1, queue="r")
    world.break_key(key)
    lead = world.run(promote(NOW + 1))
    assert (lead.leads, lead.moved, lead.damaged) == (True, 1, ("q",))
    assert world.ready("r") == [other]


@pytest.mark.parametrize("key", ["status", "job"])
def test_a_damaged_job_holds_up_no_other(world: World, key: str) -> None:
    # C7.3: it is delivered: what has not begun can begin, and without a spec the worker fails it.
    damaged, sound = world.schedule(delay=1), world.schedule(delay=2)
    world.break_key(f"{key}:{damaged}")
    assert world.run(promote(NOW + 2)).moved == 2
    assert world.ready() == [damaged, sound]
    assert ["spec" in fields for _, fields in world.entries()] == [key == "status", True]
    assert [world.commit(one) for one in world.claim()] == [Word.OK, Word.OK]


@pytest.mark.parametrize("key", ["promoter", "queues"])
def test_wrong_type(world: World, key: str) -> None:
    # C7.3
    world.schedule(delay=1)
    world.schedule(delay=1, queue="r")
    world.break_key(key)
    world.refuses(promote(NOW + 1))

"""Lanes: who waits for whom after a conflict (C3.3)."""

from __future__ import annotations

from scheduler.transitions import Delivery
from worker.delivery import Held
from worker.lanes import Lanes


def held(*contended: str) -> Held:
    return Held(Delivery("JOB", "q", "1-0", "T", 1), None, contended=contended)


def test_those_over_one_document_run_one_after_the_other_in_their_order() -> None:
    lanes, (first, second, third) = Lanes(), (held("t:x"), held("t:x"), held("t:x"))
    assert [lanes.join(one) for one in (first, second, third)] == [True, False, False]
    assert lanes.join(first)  # lost again: still its turn
    assert [lanes.is_waiting(one) for one in (first, second, third)] == [False, True, True]
    assert lanes.leave(first) is second
    assert lanes.join(second)
    assert lanes.leave(second) is third
    assert lanes.leave(third) is None


def test_those_over_other_documents_do_not_wait() -> None:
    lanes = Lanes()
    assert all(lanes.join(held(f"t:{n}")) for n in range(3))


def test_a_lane_is_of_the_document_that_most_lost_over() -> None:
    lanes, one = Lanes(), held("t:cold", "t:hot")
    for _ in range(3):
        lanes.leave(lanes_joined(lanes, held("t:hot")))
    lanes.join(one)
    assert one.lane == "t:hot"


def lanes_joined(lanes: Lanes, one: Held) -> Held:
    lanes.join(one)
    return one


def test_one_that_leaves_before_its_turn_hands_over_to_nobody() -> None:
    lanes, (first, second, third) = Lanes(), (held("t:x"), held("t:x"), held("t:x"))
    for one in (first, second, third):
        lanes.join(one)
    assert lanes.leave(second) is None
    assert lanes.leave(second) is None
    assert lanes.leave(first) is third


def test_one_that_is_in_no_lane_can_leave() -> None:
    lanes, one = Lanes(), held("t:x")
    assert lanes.leave(one) is None
    assert not lanes.is_waiting(one)


def test_when_all_are_let_go_those_that_waited_are_told() -> None:
    lanes, (first, second, third, other) = Lanes(), (held("t:x"), held("t:x"), held("t:x"), held("t:y"))
    for one in (first, second, third, other):
        lanes.join(one)
    assert lanes.dissolve() == [second, third]
    assert [one.lane for one in (first, second, third, other)] == [None] * 4
    assert lanes.dissolve() == []

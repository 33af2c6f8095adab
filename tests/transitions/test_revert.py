"""revert: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.script_call import Word
from scheduler.transitions import Delivery
from tests.transitions.conftest import NOW, WORKER, World

AGAIN = {"attempts": b"0", "retried": str(NOW).encode()}


def revert(world: World, delivery: Delivery, delay_ms: int = 500, now: int = NOW) -> Word:
    (word,) = world.run(transitions.revert([delivery], WORKER, delay_ms, now))
    return word


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.revert([], WORKER, 500, NOW)) == []


def test_normal(world: World) -> None:
    # C7.2: given back unstarted; it is as if it had not begun.
    delivery = world.begin()
    world.command("DEL", world.keys.wake)
    assert revert(world, delivery) is Word.OK
    assert (world.state(delivery.job_id), world.status(delivery.job_id)) == ("pending", AGAIN)
    assert world.command("ZCARD", world.keys.running) == 0
    assert (world.ready(), world.due(), world.wakes()) == ([], {delivery.job_id: NOW + 500}, 1)
    job = world.job(delivery.job_id)
    assert job is not None
    assert (job.started_time, job.worker, job.attempts) == (None, None, 0)


def test_it_comes_again_as_the_same_attempt_and_not_before(world: World) -> None:
    # C7.2
    delivery = world.begin()
    assert revert(world, delivery) is Word.OK
    world.run(transitions.promote("p", 1000, 10, NOW + 499))
    assert world.ready() == []
    world.run(transitions.promote("p", 1000, 10, NOW + 500))
    (again,) = world.claim()
    assert (again.job_id, again.attempt) == (delivery.job_id, 1)
    assert again.token != delivery.token
    assert world.run(transitions.begin([again], "w2", 1000, NOW + 500)) == [Word.OK]


def test_the_old_delivery_is_void(world: World) -> None:
    # C3.5: it cannot be started by whoever still holds it.
    delivery = world.begin()
    assert revert(world, delivery) is Word.OK
    assert world.changes_nothing(transitions.begin([delivery], WORKER, 1000, NOW)) == [Word.LOST]
    assert world.finish(delivery) is Word.LOST


def test_without_delay_it_goes_on_at_once(world: World) -> None:
    delivery = world.begin()
    assert revert(world, delivery, 0) is Word.OK
    assert (world.ready(), world.due()) == ([delivery.job_id], {})


def test_the_begin_was_lost_with_the_server(world: World) -> None:
    # C7.2: a replica that never had it was promoted, so the entry is pending there.
    delivery = world.deliver(kind="action")
    assert revert(world, delivery) is Word.OK
    assert (world.ready(), world.due()) == ([], {delivery.job_id: NOW + 500})
    assert world.command("XPENDING", world.keys.ready("q"), "workers")[0] == 0
    assert world.status(delivery.job_id) == AGAIN


def test_twice(world: World) -> None:
    call = transitions.revert([world.begin(), world.begin()], WORKER, 500, NOW)
    assert world.run(call) == [Word.OK, Word.OK]
    assert world.changes_nothing(call) == [Word.LOST, Word.LOST]


def test_twice_in_one_call(world: World) -> None:
    # C3.5: one delivery comes of one.
    delivery = world.begin()
    call = transitions.revert([delivery._replace(token="old"), delivery, delivery], WORKER, 500, NOW)
    assert world.run(call) == [Word.LOST, Word.OK, Word.LOST]
    assert world.due() == {delivery.job_id: NOW + 500}


def test_deaths_are_forgotten(world: World) -> None:
    # C3.4: its worker lived to tell.
    delivery = world.begin()
    world.command("HSET", world.keys.status(delivery.job_id), "deaths", 2)
    assert revert(world, delivery) is Word.OK
    assert "deaths" not in world.status(delivery.job_id)


@pytest.mark.parametrize("state", ["success", "failed", "canceled", "canceled action"])
def test_final_states(world: World, state: str) -> None:
    # C5.1, C4: canceled meanwhile, it does not come back.
    call = transitions.revert([world.in_state(state)], WORKER, 500, NOW)
    assert world.changes_nothing(call) == [Word.LOST]


@pytest.mark.parametrize("change", [{"token": "x"}, {"job_id": "missing"}], ids=["token", "missing"])
def test_not_the_owner(world: World, change: dict[str, str]) -> None:
    delivery = world.begin()._replace(**change)  # type: ignore[arg-type]
    assert world.changes_nothing(transitions.revert([delivery], WORKER, 500, NOW)) == [Word.LOST]


def test_another_worker(world: World) -> None:
    # C3.5: it may have started there.
    call = transitions.revert([world.begin()], "w2", 500, NOW)
    assert world.changes_nothing(call) == [Word.LOST]


@pytest.mark.parametrize("key", ["status", "job"])
def test_a_damaged_job_keeps_no_other_from_being_given_back(world: World, key: str) -> None:
    # C7.2
    damaged, sound = world.begin(), world.begin()
    world.break_key(f"{key}:{damaged.job_id}")
    words = world.run(transitions.revert([damaged, sound], WORKER, 500, NOW))
    assert words == [Word.LOST if key == "status" else Word.OK, Word.OK]
    assert sound.job_id in world.due()


@pytest.mark.parametrize("key", ["wake", "running", "due:q", "ready:q", "queues"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    first, second = world.begin(queue="r"), world.begin()
    world.break_key(key)
    world.refuses(transitions.revert([first, second], WORKER, 500, NOW))

"""retry: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.transitions import Retry, Word
from tests.transitions.conftest import NAME, NOW, World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.retry([], NOW)) == []


def test_at_once(world: World) -> None:
    # C3.3
    delivery = world.deliver()
    assert world.run(transitions.retry([Retry(delivery, 1, 0)], NOW)) == [Word.OK]
    ((entry, fields),) = world.entries()
    assert (fields["attempt"], world.status(delivery.job_id)["attempts"]) == (b"2", b"1")
    assert fields["token"] == world.status(delivery.job_id)["token"] != delivery.token.encode()
    assert entry != delivery.entry
    assert world.state(delivery.job_id) == "pending"
    assert world.command("XPENDING", world.keys.ready("q"), "workers")[0] == 0


def test_later(world: World) -> None:
    # C3.3: all readers see pending meanwhile, and it is not early.
    delivery = world.deliver()
    assert world.run(transitions.retry([Retry(delivery, 1, 500)], NOW)) == [Word.OK]
    assert (world.ready(), world.due(), world.wakes()) == ([], {delivery.job_id: NOW + 500}, 1)
    assert world.status(delivery.job_id) == {"attempts": b"1", "retried": str(NOW).encode()}
    world.run(transitions.promote("p", 1000, 10, NOW + 499))
    assert world.ready() == []
    world.run(transitions.promote("p", 1000, 10, NOW + 500))
    (again,) = world.claim()
    assert (again.job_id, again.attempt) == (delivery.job_id, 2)
    assert world.commit(again) is Word.OK


@pytest.mark.parametrize("delay", [0, 500])
def test_deaths_are_forgotten(world: World, delay: int) -> None:
    # C3.4: its worker lived to tell, so it is no poison.
    delivery = world.deliver()
    world.command("HSET", world.keys.status(delivery.job_id), "deaths", 2)
    assert world.run(transitions.retry([Retry(delivery, 1, delay)], NOW)) == [Word.OK]
    assert "deaths" not in world.status(delivery.job_id)


@pytest.mark.parametrize("delay", [0, 500])
def test_twice(world: World, delay: int) -> None:
    call = transitions.retry([Retry(world.deliver(), 1, delay)], NOW)
    assert world.run(call) == [Word.OK]
    assert world.changes_nothing(call) == [Word.LOST]


@pytest.mark.parametrize("delay", [0, 500])
def test_twice_in_one_call(world: World, delay: int) -> None:
    # C3.1: one delivery comes of one.
    given = Retry(world.deliver(), 1, delay)
    assert world.run(transitions.retry([given, given], NOW)) == [Word.OK, Word.LOST]
    assert len(world.entries()) + len(world.due()) == 1


@pytest.mark.parametrize("state", ["success", "failed", "canceled", "inProgress", "canceled action"])
def test_states(world: World, state: str) -> None:
    # C5.1, C3.5: an action that began is never given back.
    call = transitions.retry([Retry(world.in_state(state), 1, 0)], NOW)
    assert world.changes_nothing(call) == [Word.LOST]


@pytest.mark.parametrize("change", [{"token": "x"}, {"job_id": "missing"}], ids=["token", "missing"])
def test_not_the_owner(world: World, change: dict[str, str]) -> None:
    delivery = world.deliver()._replace(**change)  # type: ignore[arg-type]
    assert world.changes_nothing(transitions.retry([Retry(delivery, 1, 0)], NOW)) == [Word.LOST]


@pytest.mark.parametrize("delay", [0, 500])
def test_conflicts_are_counted(world: World, delay: int) -> None:
    # Starts in vain, by function; once, however often the call comes.
    retries = [Retry(world.deliver(), 3, delay, NAME, conflicts) for conflicts in (0, 2, 1)]
    call = transitions.retry(retries, NOW)
    assert world.run(call) == [Word.OK] * 3
    assert world.stats() == {"conflicts": 3}
    assert world.changes_nothing(call) == [Word.LOST] * 3


@pytest.mark.parametrize("key", ["status", "job", f"stats:{NAME}"])
def test_a_damaged_job_keeps_no_other_from_being_given_back(world: World, key: str) -> None:
    # C3.3
    damaged, sound = world.deliver(), world.deliver()
    world.break_key(f"{key}:{damaged.job_id}" if key in ("status", "job") else key)
    words = world.run(transitions.retry([Retry(damaged, 1, 0, NAME, 1), Retry(sound, 1, 0)], NOW))
    assert words == [Word.LOST if key == "status" else Word.OK, Word.OK]
    assert sound.job_id in world.ready()


@pytest.mark.parametrize("key", ["wake", "due:q", "ready:q", "queues"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    first, second = world.deliver(queue="r"), world.deliver()
    world.break_key(key)
    world.refuses(transitions.retry([Retry(first, 1, 0), Retry(second, 1, 500, NAME, 1)], NOW))

"""begin: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.script_call import Word
from tests.transitions.conftest import NOW, WORKER, World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.begin([], WORKER, 1000, NOW)) == []


def test_normal(world: World) -> None:
    # C3.5: acked and recorded before its first line runs.
    delivery = world.deliver(kind="action")
    assert world.run(transitions.begin([delivery], WORKER, 1000, NOW + 3)) == [Word.OK]
    job = world.job(delivery.job_id)
    assert job is not None
    assert (job.state, job.started_time, job.worker, job.attempts) == ("inProgress", NOW + 3, WORKER, 1)
    assert world.ready() == []
    assert world.command("XPENDING", world.keys.ready("q"), "workers")[0] == 0
    assert int(world.command("ZSCORE", world.keys.running, delivery.job_id)) == NOW + 1003
    assert world.status(delivery.job_id).keys() == {"token", "state", "started", "worker", "attempts"}


def test_twice(world: World) -> None:
    # C3.5
    call = transitions.begin([world.deliver(kind="action"), world.deliver(kind="action")], WORKER, 1000, NOW)
    assert world.run(call) == [Word.OK, Word.OK]
    assert world.changes_nothing(call) == [Word.ALREADY, Word.ALREADY]


def test_twice_is_written_twice(real_world: World) -> None:
    # C7.2: WAIT, sent after it on another connection than the first time, is for what that one wrote.
    call = transitions.begin([real_world.deliver(kind="action")], WORKER, 1000, NOW)
    assert real_world.run(call) == [Word.OK]
    before = changes(real_world)
    assert real_world.run(call) == [Word.ALREADY]
    assert changes(real_world) > before


def changes(world: World) -> int:
    """How many changes the server has counted."""
    (line,) = [line for line in world.command("INFO", "persistence").splitlines() if b"rdb_changes" in line]
    return int(line.partition(b":")[2])


def test_twice_in_one_call(world: World) -> None:
    # C3.5: a worker starts it for OK and for ALREADY.
    delivery = world.deliver(kind="action")
    call = transitions.begin([delivery._replace(token="old"), delivery, delivery], WORKER, 1000, NOW)
    assert world.run(call) == [Word.LOST, Word.OK, Word.LOST]
    assert world.changes_nothing(call) == [Word.LOST, Word.ALREADY, Word.LOST]


@pytest.mark.parametrize("state", ["success", "failed", "canceled", "canceled action"])
def test_final_states(world: World, state: str) -> None:
    # C5.1
    delivery = world.in_state(state)
    assert world.changes_nothing(transitions.begin([delivery], WORKER, 1000, NOW)) == [Word.LOST]


def test_another_token(world: World) -> None:
    # C3.5
    delivery = world.deliver(kind="action")
    stale = delivery._replace(token="another")
    assert world.changes_nothing(transitions.begin([stale], WORKER, 1000, NOW)) == [Word.LOST]


def test_another_worker(world: World) -> None:
    # C3.5: it is never started twice.
    delivery = world.begin()
    assert world.changes_nothing(transitions.begin([delivery], "w2", 1000, NOW)) == [Word.LOST]


def test_missing(world: World) -> None:
    delivery = world.deliver()._replace(job_id=world.ids.new())
    assert world.changes_nothing(transitions.begin([delivery], WORKER, 1000, NOW)) == [Word.LOST]


def test_each_has_its_own_word(world: World) -> None:
    good, stale = world.deliver(kind="action"), world.deliver(kind="action")
    call = transitions.begin([stale._replace(token="x"), good], WORKER, 1000, NOW)
    assert world.run(call) == [Word.LOST, Word.OK]
    assert (world.state(stale.job_id), world.state(good.job_id)) == ("pending", "inProgress")


def test_wrong_type(world: World) -> None:
    # C3.6
    first, second = world.deliver(kind="action", queue="r"), world.deliver(kind="action")
    world.break_key("running")
    world.refuses(transitions.begin([first, second], WORKER, 1000, NOW))


@pytest.mark.parametrize("key", ["ready:q", "status"])
def test_a_damaged_job_keeps_no_other_from_its_start(world: World, key: str) -> None:
    # C3.6
    damaged, sound = world.deliver(kind="action"), world.deliver(kind="action", queue="r")
    world.break_key(f"status:{damaged.job_id}" if key == "status" else key)
    assert world.run(transitions.begin([damaged, sound], WORKER, 1000, NOW)) == [Word.LOST, Word.OK]
    assert world.state(sound.job_id) == "inProgress"

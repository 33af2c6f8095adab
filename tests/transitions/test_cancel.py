"""cancel: the table of C4."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.job import CancelOutcome
from scheduler.script_call import Word
from scheduler.transitions import Retry
from tests.transitions.conftest import NAME, NOW, World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.cancel([], NOW)) == []


def assert_canceled(world: World, job_id: str) -> None:
    job = world.job(job_id)
    assert job is not None
    assert (job.state, job.completed_time, job.result, job.error) == ("canceled", NOW + 5, None, None)
    assert world.stats() == {"canceled": 1}
    assert (world.due(), world.ready(), world.exists("running")) == ({}, [], 0)
    assert not {"token", "entry"} & world.status(job_id).keys()


def test_pending_in_the_due_set(world: World) -> None:
    job_id = world.schedule(delay=100)
    world.now += 5
    assert world.cancel(job_id) == [CancelOutcome.CANCELED]
    assert_canceled(world, job_id)
    assert world.run(transitions.promote("p", 1000, 10, NOW + 100)).moved == 0


def test_pending_and_ready(world: World) -> None:
    job_id = world.schedule()
    world.now += 5
    assert world.cancel(job_id) == [CancelOutcome.CANCELED]
    assert_canceled(world, job_id)
    assert world.claim() == []


def test_pending_between_two_attempts(world: World) -> None:
    delivery = world.deliver()
    world.run(transitions.retry([Retry(delivery, 1, 100)], NOW))
    world.now += 5
    assert world.cancel(delivery.job_id) == [CancelOutcome.CANCELED]
    assert_canceled(world, delivery.job_id)


def test_a_mutation_being_executed_canceled_first(world: World) -> None:
    delivery = world.deliver()
    world.now += 5
    assert world.cancel(delivery.job_id) == [CancelOutcome.CANCELED]
    assert_canceled(world, delivery.job_id)
    commit = world.commit_of(delivery, writes=[("add", "t:1", b"x")], children=[world.request()])
    assert world.changes_nothing(transitions.commit([commit], "w1", NOW)) == [Word.LOST]


def test_an_action_that_was_claimed_and_has_not_begun(world: World) -> None:
    delivery = world.deliver(kind="action")
    assert world.cancel(delivery.job_id) == [CancelOutcome.CANCELED]
    assert world.changes_nothing(transitions.begin([delivery], "w1", 1000, NOW)) == [Word.LOST]


def test_an_action_in_progress(world: World) -> None:
    delivery = world.begin()
    world.now += 5
    assert world.cancel(delivery.job_id) == [CancelOutcome.RUNNING]
    assert_canceled(world, delivery.job_id)
    assert world.finish(delivery) is Word.LOST


@pytest.mark.parametrize("state", ["success", "failed", "canceled", "canceled action"])
@pytest.mark.parametrize("keep", [0, 1000])
def test_final_states(world: World, state: str, keep: int) -> None:
    world.settings(keep_ms=keep)
    delivery = world.in_state(state)
    assert world.changes_nothing(transitions.cancel([delivery.job_id], NOW)) == [CancelOutcome.FINISHED]


def test_unknown(world: World) -> None:
    unknown = world.ids.new()
    assert world.changes_nothing(transitions.cancel([unknown, unknown], NOW)) == [CancelOutcome.UNKNOWN] * 2


def test_removed(world: World) -> None:
    delivery = world.in_state("success")
    world.run(transitions.prune(10, NOW + 8 * 24 * 3600 * 1000))
    assert world.changes_nothing(transitions.cancel([delivery.job_id], NOW)) == [CancelOutcome.UNKNOWN]


def test_twice(world: World) -> None:
    call = transitions.cancel([world.schedule(), world.begin().job_id], NOW)
    assert world.run(call) == [CancelOutcome.CANCELED, CancelOutcome.RUNNING]
    # C4.1: the call whose answer was lost, and another call.
    assert world.changes_nothing(call) == [CancelOutcome.CANCELED, CancelOutcome.RUNNING]
    assert world.changes_nothing(transitions.cancel(call.argv[2:], NOW)) == [CancelOutcome.FINISHED] * 2  # type: ignore[arg-type]


@pytest.mark.parametrize("keep", [0, 1000])
def test_twice_though_other_calls_came_between(world: World, keep: int) -> None:
    # C4.1
    world.settings(keep_ms=keep)
    delivery = world.deliver()
    call = transitions.cancel([delivery.job_id], NOW)
    assert world.run(call) == [CancelOutcome.CANCELED]
    assert world.cancel(delivery.job_id) == [CancelOutcome.FINISHED]
    assert world.commit(delivery) is Word.LOST
    assert world.changes_nothing(call) == [CancelOutcome.CANCELED]


def test_the_same_id_twice_in_one_call(world: World) -> None:
    job_id = world.schedule()
    call = transitions.cancel([job_id, job_id], NOW)
    assert world.run(call) == [CancelOutcome.CANCELED, CancelOutcome.FINISHED]
    assert world.stats() == {"canceled": 1}
    assert world.changes_nothing(call) == [CancelOutcome.CANCELED, CancelOutcome.FINISHED]


def test_children_of_before_are_not_touched(world: World) -> None:
    parent = world.begin()
    child = world.schedule(parent=parent.job_id, delay=5)
    world.cancel(parent.job_id)
    assert world.state(child) == "pending"


def test_mail_and_key(world: World) -> None:
    # C5.3, C5.4
    world.settings(keep_ms=0)
    job_id = world.schedule(key="k", delay=5)
    world.run(transitions.watch(job_id, "m"))
    world.cancel(job_id)
    world.cancel(job_id)
    assert world.mail("m") == [job_id]
    assert world.exists("key:k", f"job:{job_id}") == 0


@pytest.mark.parametrize(
    "key",
    ["running", "due:q", "ready:q", "done:canceled", "expiry", "settings"],
)
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    first, second = world.schedule(queue="r", name="other"), world.schedule()
    world.break_key(key)
    world.refuses(transitions.cancel([first, second], NOW))


@pytest.mark.parametrize(
    ("key", "outcome"),
    [("status", "unknown"), ("job", "unknown"), (f"stats:{NAME}", "canceled"), ("mail:m", "canceled")],
)
def test_a_damaged_job_keeps_no_other_from_being_canceled(world: World, key: str, outcome: str) -> None:
    # C4
    damaged, sound = world.schedule(delay=9), world.schedule(delay=9)
    world.run(transitions.watch(damaged, "m"))
    world.break_key(f"{key}:{damaged}" if key in ("status", "job") else key)
    assert world.cancel(damaged, sound) == [CancelOutcome(outcome), CancelOutcome.CANCELED]
    assert world.state(sound) == "canceled"


@pytest.mark.parametrize("entry", ["garbage", "1-", "99999999999999999999999-1", "1-99999999999999999999999", ""])
def test_a_damaged_entry_leaves_nothing_half_done(world: World, entry: str) -> None:
    """C6.3: the server refused it after the first write, and neither job was listed."""
    damaged, sound = world.schedule(), world.schedule(delay=9)
    world.command("HSET", world.keys.status(damaged), "entry", entry)
    assert world.cancel(damaged, sound) == [CancelOutcome.CANCELED] * 2
    assert set(world.command("ZRANGE", world.key("done:canceled"), 0, -1)) == {damaged.encode(), sound.encode()}

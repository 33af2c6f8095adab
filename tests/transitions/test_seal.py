"""seal: state, call, reply and state; and what a seal keeps the others from."""

from __future__ import annotations

import pytest

from scheduler import transitions, versions
from scheduler.job import CancelOutcome
from scheduler.keys import GROUP
from scheduler.script_call import Transition, Word
from scheduler.transitions import Delivery, Redelivered, Retry, Seal
from tests.transitions.conftest import ERROR, NOW, WORKER, World

CAP = 2
LEASE_MS = 60_000


def seal(*deliveries: Delivery, reads: tuple[tuple[str, str, str], ...] = ()) -> Transition[list[Word]]:
    return transitions.seal([Seal(delivery, reads) for delivery in deliveries], NOW)


def sealed(world: World) -> Delivery:
    delivery = world.deliver()
    assert world.run(seal(delivery)) == [Word.OK]
    return delivery


def redelivered(world: World) -> Delivery:
    """The next delivery of a job whose worker died; with it the deaths so far."""
    ((entry, *_),) = world.command("XPENDING", world.keys.ready("q"), GROUP, "-", "+", 9)
    world.command("XCLAIM", world.keys.ready("q"), GROUP, WORKER, 0, entry, "IDLE", LEASE_MS + 1, "JUSTID")
    assert world.run(transitions.redeliver(LEASE_MS, CAP, 10, ERROR, NOW)) == Redelivered(1, 0, 0, False)
    (again,) = world.claim()
    return again


def test_empty(world: World) -> None:
    assert world.changes_nothing(seal()) == []


def test_normal(world: World) -> None:
    # C6.4: only the status says so; for everybody else the job is pending.
    delivery = world.deliver()
    before = world.dump()
    assert world.run(seal(delivery)) == [Word.OK]
    assert world.status(delivery.job_id)["sealed"] == delivery.token.encode()
    assert world.state(delivery.job_id) == "pending"
    world.command("HDEL", world.keys.status(delivery.job_id), "sealed")
    assert world.dump() == before


def test_twice(world: World) -> None:
    delivery = sealed(world)
    assert world.changes_nothing(seal(delivery)) == [Word.ALREADY]


def test_several(world: World) -> None:
    first, second, gone = world.deliver(), world.deliver(), world.deliver()
    world.cancel(gone.job_id)
    assert world.run(seal(first, gone, second)) == [Word.OK, Word.LOST, Word.OK]


@pytest.mark.parametrize("state", ["success", "failed", "canceled", "inProgress", "canceled action"])
def test_states(world: World, state: str) -> None:
    # C5.1
    assert world.changes_nothing(seal(world.in_state(state))) == [Word.LOST]


@pytest.mark.parametrize("change", [{"token": "x"}, {"job_id": "missing"}], ids=["token", "missing"])
def test_not_the_owner(world: World, change: dict[str, str]) -> None:
    # C3.1: a worker that comes back late does not get to its COMMIT.
    delivery = world.deliver()._replace(**change)  # type: ignore[arg-type]
    assert world.changes_nothing(seal(delivery)) == [Word.LOST]


@pytest.mark.parametrize(("seen", "word"), [("pending", Word.OK), ("", Word.CONFLICT), ("success", Word.CONFLICT)])
def test_what_was_read_must_hold(world: World, seen: str, word: Word) -> None:
    # C6.2: there is no check of it after the COMMIT.
    other = world.schedule(delay=5)
    assert world.run(seal(world.deliver(), reads=(("job", other, seen), ("key", "k", "")))) == [word]


def test_the_owner_comes_before_what_was_read(world: World) -> None:
    delivery = world.deliver()
    call = seal(delivery._replace(token="x"), reads=(("job", delivery.job_id, "success"),))
    assert world.changes_nothing(call) == [Word.LOST]


def test_two_that_read_each_other(world: World) -> None:
    # C6.2: one after the other, whatever call they share.
    first, second = world.deliver(), world.deliver()
    seals = [Seal(one, (("job", other.job_id, "pending"),)) for one, other in ((first, second), (second, first))]
    assert world.run(transitions.seal(seals, NOW)) == [Word.OK, Word.CONFLICT]


def test_a_damaged_job_keeps_no_other_from_being_sealed(world: World) -> None:
    # C6.4
    damaged, sound = world.deliver(), world.deliver()
    world.break_key(f"status:{damaged.job_id}")
    assert world.run(transitions.seal([Seal(damaged), Seal(sound)], NOW)) == [Word.LOST, Word.OK]


def test_wrong_type(world: World) -> None:
    # C6.3
    first, second = world.deliver(queue="r"), world.deliver()
    world.break_key("doc:t:1")
    world.refuses(transitions.seal([Seal(first), Seal(second, (("doc", "t:1", ""),))], NOW))


# The others


def test_cancel_comes_too_late(world: World) -> None:
    # C4: committed first, cancel changes nothing; and it has won already when its COMMIT may be on the way.
    delivery = sealed(world)
    call = transitions.cancel([delivery.job_id], NOW)
    assert world.changes_nothing(call) == [CancelOutcome.FINISHED]
    assert world.commit(delivery) is Word.OK


def test_a_cancel_in_a_mutation_comes_too_late(world: World) -> None:
    # C4.1
    delivery = sealed(world)
    assert world.commit(world.deliver(), cancels=[delivery.job_id]) is Word.OK
    assert world.state(delivery.job_id) == "pending"
    assert world.commit(delivery) is Word.OK


def test_a_mutation_that_saw_it_unsealed_has_a_conflict(world: World) -> None:
    # C4.1: it reported a cancel that will not happen.
    delivery, canceling = world.deliver(), world.deliver()
    version = world.run(versions.read([("job", delivery.job_id)])).things[0].version
    assert version == "pending"
    world.run(seal(delivery))
    reads = [("job", delivery.job_id, version)]
    assert world.commit(canceling, reads=reads, cancels=[delivery.job_id]) is Word.CONFLICT
    assert world.run(versions.read([("job", delivery.job_id)])).things[0].version == "sealed"


def test_the_end_takes_the_seal_off(world: World) -> None:
    delivery = sealed(world)
    world.commit(delivery)
    assert "sealed" not in world.status(delivery.job_id)
    assert world.run(versions.read([("job", delivery.job_id)])).things[0].version == "success"


def test_only_who_has_sealed_it_may_end_it(world: World) -> None:
    # C6.4: the first worker may still commit in SQL; the second has to ask there, and seals it anew when it knows.
    first = sealed(world)
    second = redelivered(world)
    call = transitions.commit([world.commit_of(second, children=[world.request()])], WORKER, NOW)
    assert world.changes_nothing(call) == [Word.SEALED]
    assert world.changes_nothing(seal(first)) == [Word.LOST]
    assert world.commit(first) is Word.LOST
    assert world.run(seal(second)) == [Word.OK]
    assert world.run(call) == [Word.OK]


def test_a_seal_outlives_a_redelivery(world: World) -> None:
    delivery = sealed(world)
    redelivered(world)
    assert world.changes_nothing(transitions.cancel([delivery.job_id], NOW)) == [CancelOutcome.FINISHED]


@pytest.mark.parametrize("delay", [0, 500])
def test_whoever_has_rolled_back_takes_it_off(world: World, delay: int) -> None:
    delivery = sealed(world)
    world.run(transitions.retry([Retry(delivery, 1, delay, unseal=True)], NOW))
    assert world.cancel(delivery.job_id) == [CancelOutcome.CANCELED]


@pytest.mark.parametrize("delay", [0, 500])
def test_whoever_does_not_know_leaves_it(world: World, delay: int) -> None:
    # C6.4: a COMMIT whose answer was lost.
    delivery = sealed(world)
    world.run(transitions.retry([Retry(delivery, 1, delay)], NOW))
    assert world.changes_nothing(transitions.cancel([delivery.job_id], NOW)) == [CancelOutcome.FINISHED]


def test_a_sealed_job_past_the_cap_is_delivered_with_its_error(world: World) -> None:
    # C3.4: its SQL may have committed, so Redis alone cannot say that it failed.
    delivery = sealed(world)
    for poison in (None, ERROR, ERROR):
        again = redelivered(world)
        ((_, fields),) = world.entries()
        assert (fields.get("poison"), again.attempt > delivery.attempt) == (poison, True)
    assert world.state(delivery.job_id) == "pending"
    assert world.run(seal(again)) == [Word.OK]
    assert world.commit(again, "failed") is Word.OK


def test_a_worker_that_leaves_gives_the_error_back_too(world: World) -> None:
    # C3.4: who leaves has not looked into SQL, and the next one is not to start what took its workers down.
    sealed(world)
    for _ in range(CAP):
        again = redelivered(world)
    assert world.run(transitions.leave(WORKER, "p1", ["q"], NOW)) == 1
    ((_, fields),) = world.entries()
    assert (fields["poison"], fields["attempt"]) == (ERROR, str(again.attempt).encode())


def test_a_sealed_job_is_not_begun_as_an_action(world: World) -> None:
    # C3.8: the deployment has made an action of it, but as a mutation it may have happened.
    sealed(world)
    again = redelivered(world)
    assert world.changes_nothing(transitions.begin([again], WORKER, 1000, NOW)) == [Word.LOST]

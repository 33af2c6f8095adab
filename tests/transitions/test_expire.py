"""expire: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.job import Death
from scheduler.script_call import Word
from scheduler.transitions import Expired
from tests.transitions.conftest import ERROR, NAME, NOW, WORKER, World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.expire(10, ERROR, NOW)) == Expired(0, None)


@pytest.mark.parametrize(
    ("at", "failed", "next_ms"),
    [(NOW + 999, 0, 1), (NOW + 1000, 1, None), (NOW + 9999, 1, None)],
    ids=["before", "exact", "after"],
)
def test_the_end_of_the_lease(world: World, at: int, failed: int, next_ms: int | None) -> None:
    # C3.5
    delivery = world.begin(lease_ms=1000)
    assert world.run(transitions.expire(10, ERROR, at)) == Expired(failed, next_ms)
    job = world.job(delivery.job_id)
    assert job is not None
    assert (job.state, job.completed_time) == (("failed", at) if failed else ("inProgress", None))
    assert (job.error and job.error.type) == ("Boom" if failed else None)
    assert world.ready() == []


def test_twice(world: World) -> None:
    world.begin(lease_ms=1)
    call = transitions.expire(10, ERROR, NOW + 1)
    assert world.run(call).failed == 1
    assert world.changes_nothing(call) == Expired(0, None)
    assert world.stats() == {"failed": 1}


def test_limit(world: World) -> None:
    for _ in range(3):
        world.begin(lease_ms=1)
    replies = [world.run(transitions.expire(2, ERROR, NOW + 1)) for _ in range(2)]
    assert replies == [Expired(2, 0), Expired(1, None)]


def test_never_run_again(world: World) -> None:
    # C3.5
    delivery = world.begin(lease_ms=1)
    world.run(transitions.expire(10, ERROR, NOW + 1))
    assert world.run(transitions.begin([delivery], "w1", 1000, NOW + 1)) == [Word.LOST]
    assert world.finish(delivery) is Word.LOST


@pytest.mark.parametrize("state", ["success", "failed", "canceled"])
def test_final_states_stay(world: World, state: str) -> None:
    # C5.1: a place in `running` that should not be there is removed, no more.
    delivery = world.in_state(state)
    before = world.dump()
    world.command("ZADD", world.keys.running, NOW, delivery.job_id)
    assert world.run(transitions.expire(10, ERROR, NOW)) == Expired(0, None)
    assert world.dump() == before


def test_missing(world: World) -> None:
    world.command("ZADD", world.keys.running, NOW, "missing")
    assert world.run(transitions.expire(10, ERROR, NOW)) == Expired(0, None)
    assert world.all_keys() == []


def test_mail_and_key(world: World) -> None:
    # C5.3, C5.4
    world.settings(keep_ms=0)
    delivery = world.begin(lease_ms=1, key="k")
    world.run(transitions.watch(delivery.job_id, "m"))
    world.run(transitions.expire(10, ERROR, NOW + 1))
    assert world.mail("m") == [delivery.job_id]
    assert world.exists("key:k", f"job:{delivery.job_id}") == 0


@pytest.mark.parametrize("key", ["status", "job", f"stats:{NAME}", "mail:m"])
def test_a_damaged_job_fails_as_the_others_do(world: World, key: str) -> None:
    # C3.5: only what has begun is in progress, so it is failed, and never run again.
    damaged, other = world.begin(lease_ms=1), world.begin(lease_ms=2, name="other")
    world.run(transitions.watch(damaged.job_id, "m"))
    world.break_key(f"{key}:{damaged.job_id}" if key in ("status", "job") else key)
    assert world.run(transitions.expire(10, ERROR, NOW + 2)) == Expired(2, None)
    assert [world.status(one.job_id)["state"] for one in (damaged, other)] == [b"failed"] * 2
    assert len(world.command("ZRANGE", world.keys.done("failed"), 0, -1)) == 2


@pytest.mark.parametrize("key", ["running", "done:failed", "expiry", "settings"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    world.begin(lease_ms=1, name="other")
    world.begin(lease_ms=2)
    world.break_key(key)
    world.refuses(transitions.expire(10, ERROR, NOW + 2))


def test_who_died(world: World) -> None:
    # C3.5
    delivery = world.begin(lease_ms=1)
    world.run(transitions.expire(10, ERROR, NOW + 1))
    job = world.job(delivery.job_id)
    assert job is not None
    assert job.deaths == (Death(WORKER, NOW + 1),)

"""sustain: state, call, reply and state. Idle times are set by hand with XCLAIM IDLE."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.keys import GROUP
from scheduler.script_call import Transition
from scheduler.transitions import Delivery
from tests.transitions.conftest import NOW, WORKER, World

LEASE_MS, AGE_MS, OLD_MS = 10_000, 1_000, 5_000
LAST = "99999999999999"
"""Later than every entry."""


def sustain(at: int = NOW, limit: int = 10, worker: str = WORKER, last: str = LAST) -> Transition[tuple[int, int]]:
    return transitions.sustain(worker, LEASE_MS, 90_000, AGE_MS, limit, {"q": last}, at)


def join(world: World, worker: str = WORKER) -> None:
    world.run(transitions.join(worker, 60_000, {"pid": 7}, {}, {}, ["q"], NOW))


def age(world: World, delivery: Delivery, worker: str = WORKER) -> None:
    stream = world.keys.ready("q")
    world.command("XCLAIM", stream, GROUP, worker, 0, delivery.entry, "IDLE", OLD_MS, "JUSTID")


def held(world: World, worker: str = WORKER) -> Delivery:
    """An entry that a worker has not renewed for a while."""
    delivery = world.deliver()
    age(world, delivery, worker)
    return delivery


def pending(world: World, delivery: Delivery) -> tuple[bytes, int, int]:
    """Owner, idle time in ms and deliveries of an entry."""
    ((_, owner, idle, times),) = world.command(
        "XPENDING", world.keys.ready("q"), GROUP, delivery.entry, delivery.entry, 1
    )
    return owner, int(idle), int(times)


def test_empty(world: World) -> None:
    join(world)
    assert world.run(sustain(NOW + 5)) == (0, 0)
    assert int(world.command("ZSCORE", world.keys.workers, WORKER)) == NOW + 5
    assert world.command("HGET", world.keys.worker(WORKER), "seen") == str(NOW + 5).encode()
    assert 60_000 < int(world.command("PTTL", world.keys.worker(WORKER))) <= 90_000


def test_entries(world: World) -> None:
    # C3.3: idle time starts again, and no delivery is counted.
    join(world)
    delivery = held(world)
    times = pending(world, delivery)[2]
    assert world.run(sustain()) == (1, 0)
    owner, idle_ms, again = pending(world, delivery)
    assert (owner, idle_ms < AGE_MS, again) == (WORKER.encode(), True, times)


def test_actions(world: World) -> None:
    # C3.5
    join(world)
    delivery = world.begin(lease_ms=LEASE_MS)
    assert world.run(sustain(NOW + OLD_MS)) == (0, 1)
    assert int(world.command("ZSCORE", world.keys.running, delivery.job_id)) == NOW + OLD_MS + LEASE_MS


def test_twice(world: World) -> None:
    join(world)
    held(world)
    world.begin(lease_ms=LEASE_MS)
    assert world.run(sustain(NOW + OLD_MS)) == (1, 1)
    assert world.changes_nothing(sustain(NOW + OLD_MS)) == (0, 0)


def test_what_another_worker_holds(world: World) -> None:
    # C3.1: it is renewed for its own worker alone.
    join(world)
    join(world, "w2")
    world.begin(lease_ms=LEASE_MS)
    other = held(world, "w2")
    assert world.run(sustain(NOW + OLD_MS, worker="w2")) == (1, 0)
    age(world, other, "w2")
    assert world.run(sustain(NOW + OLD_MS)) == (0, 1)
    assert pending(world, other)[0] == b"w2"


def test_what_was_handed_out_unseen(world: World) -> None:
    # C3.3: its reply may never be read, so its lease runs out.
    join(world)
    seen, unseen = held(world), held(world)
    assert world.run(sustain(last=seen.entry)) == (1, 0)
    assert pending(world, unseen)[1] >= OLD_MS
    assert world.run(sustain(last="0")) == (0, 0)


def test_a_worker_that_has_left(world: World) -> None:
    join(world)
    world.begin(lease_ms=LEASE_MS)
    held(world)
    world.command("DEL", world.keys.worker(WORKER))
    assert world.changes_nothing(sustain(NOW + OLD_MS)) == (0, 0)


def test_limit(world: World) -> None:
    join(world)
    for _ in range(3):
        held(world)
        world.begin(lease_ms=LEASE_MS)
    assert [world.run(sustain(NOW + OLD_MS, limit=2)) for _ in range(3)] == [(2, 2), (1, 1), (0, 0)]


def test_actions_that_others_renew_do_not_hide_it(world: World) -> None:
    join(world)
    late = world.begin(lease_ms=LEASE_MS)
    for _ in range(3):
        world.command("ZADD", world.keys.running, NOW + OLD_MS + LEASE_MS, world.begin().job_id)
    assert world.run(sustain(NOW + OLD_MS, limit=2)) == (0, 1)
    assert int(world.command("ZSCORE", world.keys.running, late.job_id)) == NOW + OLD_MS + LEASE_MS


@pytest.mark.parametrize("state", ["success", "failed", "canceled"])
def test_what_has_ended(world: World, state: str) -> None:
    # C5.1: a place in `running` that should not be there is not renewed.
    join(world)
    delivery = world.begin()
    world.command("HSET", world.keys.status(delivery.job_id), "state", state)
    assert world.run(sustain(NOW + OLD_MS)) == (0, 0)
    assert int(world.command("ZSCORE", world.keys.running, delivery.job_id)) == NOW + 1000


def test_a_damaged_status_costs_its_own_job(world: World) -> None:
    join(world)
    damaged, sound = world.begin(), world.begin()
    world.break_key(f"status:{damaged.job_id}")
    assert world.run(sustain(NOW + OLD_MS)) == (0, 1)
    assert int(world.command("ZSCORE", world.keys.running, sound.job_id)) == NOW + OLD_MS + LEASE_MS


def test_a_destroyed_group(world: World) -> None:
    join(world)
    held(world)
    world.command("XGROUP", "DESTROY", world.keys.ready("q"), GROUP)
    assert world.run(sustain()) == (0, 0)


@pytest.mark.parametrize("key", ["workers", f"worker:{WORKER}", "running"])
def test_damaged(world: World, key: str) -> None:
    # C6.3
    join(world)
    held(world)
    world.break_key(key)
    if key == f"worker:{WORKER}":
        world.command("DEL", world.key(key))
        world.command("SET", world.key(key), "damaged")
    world.refuses(sustain())

"""redeliver: state, call, reply and state. Idle times are set by hand with XCLAIM IDLE."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from scheduler import transitions, values
from scheduler.job import Death
from scheduler.keys import GROUP
from scheduler.script_call import Transition, Word
from scheduler.transitions import Delivery, Redelivered, Retry
from tests.transitions.conftest import ERROR, NAME, NOW, WORKER, World

CAP = 3
LEASE_MS = 60_000


def redeliver(limit: int = 10) -> Transition[Redelivered]:
    return transitions.redeliver(LEASE_MS, CAP, limit, ERROR, NOW)


def age(world: World, ms: int = LEASE_MS + 1) -> None:
    """All that is held was claimed that long ago."""
    for queue in ("q", "r"):
        stream = world.keys.ready(queue)
        pending = world.command("XPENDING", stream, GROUP, "-", "+", 99) if world.command("EXISTS", stream) else []
        for entry, *_ in pending:
            world.command("XCLAIM", stream, GROUP, WORKER, 0, entry, "IDLE", ms, "JUSTID")


def lose(world: World, **options: Any) -> Delivery:
    """A delivery in the hands of a worker that died."""
    delivery = world.deliver(**options)
    age(world)
    return delivery


def promote(world: World) -> None:
    """What was lost before comes back after a pause."""
    world.run(transitions.promote("p", 2000, 100, NOW + 60_000))


def test_empty(world: World) -> None:
    assert world.changes_nothing(redeliver()) == Redelivered(0, 0, 0, False)
    world.make_group()
    assert world.changes_nothing(redeliver()) == Redelivered(0, 0, 0, False)


def test_a_queue_without_a_group(world: World) -> None:
    # C7.3: destroyed, or no worker came yet. Nothing is lost, since nothing was delivered.
    world.schedule()
    assert world.changes_nothing(redeliver()) == Redelivered(0, 0, 0, False)


def test_normal(world: World) -> None:
    # C3.3
    delivery = lose(world)
    assert world.run(redeliver()) == Redelivered(1, 0, 0, False)
    assert world.state(delivery.job_id) == "pending"
    assert world.status(delivery.job_id)["attempts"] == b"1"
    (again,) = world.claim()
    assert (again.job_id, again.attempt) == (delivery.job_id, 2)
    assert (again.token != delivery.token, again.entry != delivery.entry) == (True, True)
    assert world.commit(delivery) is Word.LOST
    assert world.commit(again) is Word.OK


@pytest.mark.parametrize(("ms", "redelivered"), [(LEASE_MS - 1000, 0), (LEASE_MS + 1, 1)], ids=["before", "after"])
def test_the_end_of_the_lease(world: World, ms: int, redelivered: int) -> None:
    # C3.3
    world.deliver()
    age(world, ms)
    assert world.run(redeliver()) == Redelivered(redelivered, 0, 1 - redelivered, False)


def test_the_very_end_of_the_lease(real_world: World) -> None:
    # C3.3. Not on fakeredis: its XPENDING IDLE wants more than that, the server at least that.
    real_world.deliver()
    age(real_world, LEASE_MS)
    assert real_world.run(redeliver()).redelivered == 1


def test_twice(world: World) -> None:
    # C3.3: an entry is taken back once.
    lose(world)
    call = redeliver()
    world.run(call)
    assert world.changes_nothing(call) == Redelivered(0, 0, 0, False)


def test_the_same_call_again_makes_another_token(world: World) -> None:
    # C3.1, C3.5: a call that reached the server twice, the second time after the new delivery was lost too. With the
    # token made again, the worker of the second delivery owned the third.
    lose(world, kind="action")
    call = redeliver()
    tokens = set()
    for _ in range(2):
        assert world.run(call).redelivered == 1
        promote(world)
        (delivery,) = world.claim()
        tokens.add(delivery.token)
        age(world)
    assert len(tokens) == 2


def test_limit(world: World) -> None:
    for _ in range(3):
        world.schedule()
    world.claim()
    age(world)
    replies = [world.run(redeliver(limit=2)) for _ in range(2)]
    assert replies == [Redelivered(2, 0, 1, True), Redelivered(1, 0, 0, False)]


def test_poison(world: World) -> None:
    # C3.4
    delivery = lose(world, key="k")
    world.run(transitions.watch(delivery.job_id, "m"))
    for attempt in range(1, CAP):
        assert world.run(redeliver()) == Redelivered(1, 0, 0, False)
        promote(world)
        (again,) = world.claim()
        assert again.attempt == attempt + 1
        age(world)
    assert world.run(redeliver()) == Redelivered(0, 1, 0, False)
    job = world.job(delivery.job_id)
    assert job is not None
    assert (job.state, job.attempts, job.error and job.error.type) == ("failed", CAP, "Boom")
    assert (world.claim(), world.mail("m"), world.stats()) == ([], [delivery.job_id], {"failed": 1})
    assert world.commit(again) is Word.LOST


def lose_all(world: World) -> None:
    """Whoever is handed what is ready dies, and the janitor looks."""
    promote(world)
    world.claim()
    age(world)
    world.run(transitions.redeliver(LEASE_MS, 100, 10, ERROR, NOW))


def test_the_company_of_poison(world: World) -> None:
    # C3.4: jobs that were lost together came back together, to the same worker, and poison took the same others with it
    # until all of them were given up. Now each comes at a moment of its own, later each time.
    ids = [world.schedule() for _ in range(4)]
    lose_all(world)
    assert len(world.entries()) == 4  # the first time at once: most workers die for another reason
    for most_ms in (500, 1_000, 2_000):
        lose_all(world)
        due = world.due()
        assert (set(due), world.entries()) == (set(ids), [])
        pauses = sorted(at - NOW for at in due.values())
        assert all(1 <= pause <= most_ms for pause in pauses)
        assert min(later - sooner for sooner, later in pairwise(pauses)) > most_ms / 20
        assert all("token" not in world.status(job_id) for job_id in ids)
    for _ in range(10):
        lose_all(world)
    assert max(world.due().values()) <= NOW + 60_000
    assert world.wakes() == 1


def delete_consumer(world: World, worker: str) -> None:
    world.command("XGROUP", "DELCONSUMER", world.keys.ready("q"), GROUP, worker)


def test_a_deleted_consumer(world: World) -> None:
    # C7.3: what it held stays in the stream, and no reader is ever handed it again: the job waited for ever.
    job_id = world.schedule()
    (delivery,) = world.claim(worker="w1")
    delete_consumer(world, "w1")
    call = redeliver()
    assert world.run(call) == Redelivered(1, 0, 0, False)
    (again,) = world.claim()
    assert (again.job_id, again.attempt, again.token != delivery.token) == (job_id, 2, True)
    assert not {"deaths", "died"} & set(world.status(job_id))
    assert world.changes_nothing(call) == Redelivered(0, 0, 1, False)
    assert world.commit(delivery) is Word.LOST
    assert world.commit(again) is Word.OK


def test_a_deleted_consumer_among_others(world: World) -> None:
    # C7.3: what is held, and what nobody was handed yet, is left alone; what is behind something held comes later.
    world.make_group()
    ids = [world.schedule() for _ in range(5)]
    held = [world.claim(worker=worker, count=1)[0] for worker in ("w1", "w1", "w2", "w1")]
    assert [one.job_id for one in held] == ids[:4]
    delete_consumer(world, "w1")
    assert world.run(redeliver()) == Redelivered(2, 0, 1, False)
    assert [fields["job"].decode() for _, fields in world.entries()] == [ids[2], ids[3], ids[4], ids[0], ids[1]]
    assert world.commit(held[2]) is Word.OK
    assert world.run(redeliver()) == Redelivered(1, 0, 0, False)
    assert {one.job_id for one in world.claim()} == {ids[0], ids[1], ids[3], ids[4]}
    assert world.changes_nothing(redeliver()) == Redelivered(0, 0, 4, False)


def test_a_deleted_consumer_that_held_many(world: World) -> None:
    for _ in range(3):
        world.schedule()
    world.claim(worker="w1")
    delete_consumer(world, "w1")
    replies = [world.run(redeliver(limit=2)) for _ in range(2)]
    assert replies == [Redelivered(2, 0, 0, True), Redelivered(1, 0, 0, False)]
    assert len(world.claim()) == 3


def test_giving_back_is_no_death(world: World) -> None:
    # C3.4: only deaths count, not starts.
    delivery = world.deliver()
    for _ in range(CAP):
        world.run(transitions.retry([transitions.Retry(delivery, delivery.attempt, 0)], NOW))
        (delivery,) = world.claim()
    age(world)
    assert world.run(redeliver()) == Redelivered(1, 0, 0, False)


def test_no_spec(world: World) -> None:
    # C3.4: what cannot run does not go round.
    delivery = lose(world)
    world.command("DEL", world.keys.job(delivery.job_id))
    assert world.run(redeliver()) == Redelivered(0, 1, 0, False)
    assert world.entries() == []


@pytest.mark.parametrize("change", ["state", "token", "missing", "foreign"])
def test_entries_that_do_not_count_go(world: World, change: str) -> None:
    # C3.1, C5.1
    delivery = lose(world)
    status = world.keys.status(delivery.job_id)
    if change == "missing":
        world.command("DEL", status)
    elif change == "foreign":
        world.command("DEL", status)
        world.command("XADD", world.keys.ready("q"), "*", "no", "job")
        reader = ("XREADGROUP", "GROUP", GROUP, WORKER, "STREAMS", world.keys.ready("q"), ">")
        assert world.command(*reader)
        age(world)
    else:
        world.command("HSET", status, change, "canceled")
    before = world.status(delivery.job_id)
    assert world.run(redeliver()) == Redelivered(0, 0, 0, False)
    assert (world.entries(), world.status(delivery.job_id)) == ([], before)


def test_large_specs_stay_in_their_key(world: World) -> None:
    args = values.pack([b"x" * 5000], "args") + values.pack({}, "kwargs")
    lose(world, args=args)
    world.run(redeliver())
    ((_, fields),) = world.entries()
    assert "spec" not in fields


def dying(world: World, queue: str, name: str) -> Delivery:
    delivery = lose(world, queue=queue, name=name)
    world.run(transitions.watch(delivery.job_id, f"m-{queue}"))
    world.command("HSET", world.keys.status(delivery.job_id), "deaths", CAP - 1)
    return delivery


@pytest.mark.parametrize("key", ["job", f"stats:{NAME}", "mail:m-q", "deaths"])
def test_a_damaged_job_is_judged_as_the_others_are(world: World, key: str) -> None:
    # C3.4
    other, damaged = dying(world, "r", "other"), dying(world, "q", NAME)
    if key == "deaths":
        world.command("HSET", world.keys.status(damaged.job_id), "deaths", "many")
    else:
        world.break_key(f"job:{damaged.job_id}" if key == "job" else key)
    again = key == "deaths"
    assert world.run(redeliver()) == Redelivered(int(again), 2 - again, 0, False)
    assert (world.state(other.job_id), world.state(damaged.job_id)) == ("failed", "pending" if again else "failed")


def test_a_damaged_status_is_made_anew(world: World) -> None:
    # C3.3, C3.6: what has an entry has neither begun nor ended, so it runs, and whoever held it has lost it.
    lost = lose(world)
    world.break_key(f"status:{lost.job_id}")
    assert world.run(redeliver()) == Redelivered(1, 0, 0, False)
    (again,) = world.claim()
    assert (again.job_id, again.attempt) == (lost.job_id, 2)
    assert (world.commit(lost), world.commit(again)) == (Word.LOST, Word.OK)


@pytest.mark.parametrize("key", ["queues", "done:failed", "expiry", "settings"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    dying(world, "r", "other")
    dying(world, "q", NAME)
    world.break_key(key)
    world.refuses(redeliver())


def test_each_delivery_is_judged_by_the_lease_of_its_own_worker(world: World) -> None:
    # C3.3: deployments with different leases work side by side; the leader's is not everybody's.
    delivery = lose(world)
    consumer = world.command("XPENDING", world.keys.ready("q"), GROUP, "-", "+", 1)[0][1].decode()
    world.command("HSET", world.keys.worker(consumer), "lease_ms", 10**9)
    assert world.run(redeliver()).redelivered == 0
    world.command("HSET", world.keys.worker(consumer), "lease_ms", 1)
    assert world.run(redeliver()).redelivered == 1
    assert world.commit(delivery) == Word.LOST


def test_who_died(world: World) -> None:
    # C3.4: the last ten, the newest last; giving back in between changes nothing of that.
    delivery = lose(world)
    for death in range(12):
        world.run(transitions.redeliver(LEASE_MS, 99, 10, ERROR, NOW + death))
        promote(world)
        (delivery,) = world.claim(worker=f"w{death}")
        if death == 5:
            world.run(transitions.retry([Retry(delivery, delivery.attempt, 0)], NOW))
            (delivery,) = world.claim(worker=f"w{death}")
        world.command(
            "XCLAIM", world.keys.ready("q"), GROUP, f"w{death}", 0, delivery.entry, "IDLE", LEASE_MS + 1, "JUSTID"
        )
    job = world.job(delivery.job_id)
    assert job is not None
    assert job.deaths == tuple(Death(f"w{death - 1}", NOW + death) for death in range(2, 12))

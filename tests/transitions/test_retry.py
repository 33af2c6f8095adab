"""retry: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.job import Death, JobError
from scheduler.script_call import Word
from scheduler.transitions import Retry, Seal
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


def test_what_passes_waits_longer_each_time(world: World) -> None:
    # C3.3: from half a second to two hours, by what was given back for that alone.
    delivery = world.deliver()._replace(attempt=12)  # eleven conflicts before
    waited = []
    for number in range(1, 18):
        given = Retry(delivery, delivery.attempt, 0, share=1_000_000 if number % 2 else 500_000)
        assert world.run(transitions.retry([given], NOW)) == [Word.OK]
        assert world.status(delivery.job_id)["passes"] == str(number).encode()
        waited.append(world.due()[delivery.job_id] - NOW)
        world.run(transitions.promote("p", 1000, 10, NOW + waited[-1]))
        (delivery,) = world.claim()
        # Conflicts, stops and what waits at most for Redis come between.
        assert world.run(transitions.retry([Retry(delivery, delivery.attempt, 0, NAME, 3)], NOW)) == [Word.OK]
        (delivery,) = world.claim()
    assert waited[:5] == [500, 500, 2_000, 2_000, 8_000]
    assert waited[-3:] == [7_200_000, 3_600_000, 7_200_000]


def test_what_passes_waits_at_least_a_millisecond(world: World) -> None:
    # C3.3: so that it goes through the due set, behind what has been due for longer.
    delivery = world.deliver()
    assert world.run(transitions.retry([Retry(delivery, 1, 0, share=0)], NOW)) == [Word.OK]
    assert (world.ready(), world.due()) == ([], {delivery.job_id: NOW + 1})


@pytest.mark.parametrize("passes", ["inf", "nan", "-1", "x", "1e300"])
def test_damaged_passes_are_the_first(world: World, passes: str) -> None:
    delivery = world.deliver()
    world.command("HSET", world.keys.status(delivery.job_id), "passes", passes)
    assert world.run(transitions.retry([Retry(delivery, 1, 0, share=1_000_000)], NOW)) == [Word.OK]
    assert world.due() == {delivery.job_id: NOW + 500}


@pytest.mark.parametrize("delay", [0, 500])
def test_deaths_are_forgotten(world: World, delay: int) -> None:
    # C3.4: its worker lived to tell, so it is no poison.
    delivery = world.deliver()
    world.command("HSET", world.keys.status(delivery.job_id), "deaths", 2)
    assert world.run(transitions.retry([Retry(delivery, 1, delay)], NOW)) == [Word.OK]
    assert "deaths" not in world.status(delivery.job_id)


def test_who_died(world: World) -> None:
    # C3.4: the record tells which workers had it in hand.
    delivery = world.deliver()
    for number in (1, 2):
        given = Retry(delivery, number, 0, NAME, death=DEATH)
        assert world.run(transitions.retry([given], NOW + number, worker=f"w{number}")) == [Word.OK]
        (delivery,) = world.claim()
    job = world.job(delivery.job_id)
    assert job is not None
    assert job.deaths == (Death("w1", NOW + 1), Death("w2", NOW + 2))


DEATH = JobError("ProcessDied", "its own process was ended by SIGSEGV").pack()


@pytest.mark.parametrize("delay", [0, 500])
@pytest.mark.parametrize(("before", "after"), [(None, b"1"), (1, b"2")])
def test_a_death_is_counted(world: World, delay: int, before: int | None, after: bytes) -> None:
    # C3.4: its worker lived to tell that the job's own process did not.
    delivery = world.deliver()
    if before is not None:
        world.command("HSET", world.keys.status(delivery.job_id), "deaths", before)
    call = transitions.retry([Retry(delivery, 1, delay, NAME, death=DEATH)], NOW, max_deliveries=3)
    assert world.run(call) == [Word.OK]
    assert (world.state(delivery.job_id), world.status(delivery.job_id)["deaths"]) == ("pending", after)
    assert len(world.entries()) + len(world.due()) == 1
    assert world.changes_nothing(call) == [Word.LOST]


@pytest.mark.parametrize("delay", [0, 500])
def test_the_last_death(world: World, delay: int) -> None:
    # C3.4: at the cap it fails, with how it died; whoever waits is told.
    delivery = world.deliver(key="k")
    world.command("HSET", world.keys.status(delivery.job_id), "deaths", 2)
    world.run(transitions.watch(delivery.job_id, "m"))
    call = transitions.retry(
        [Retry(delivery, 3, delay, NAME, conflicts=1, key="k", death=DEATH)], NOW, max_deliveries=3
    )
    assert world.run(call) == [Word.FAILED]
    job = world.job(delivery.job_id)
    assert job is not None
    assert (job.state, job.error, job.attempts, job.completed_time) == ("failed", JobError.unpack(DEATH), 3, NOW)
    assert (world.entries(), world.due(), world.stats()) == ([], {}, {"failed": 1, "conflicts": 1})
    assert "token" not in world.status(delivery.job_id)
    assert world.exists("mail:m", "done:failed") == 2
    assert world.changes_nothing(call) == [Word.LOST]


def test_the_last_death_of_what_is_not_kept(world: World) -> None:
    # C5.3: only the tombstone stays, and the idempotency key is free again.
    world.command("HSET", world.key("settings"), "keep_ms", 0)
    delivery = world.deliver(key="k")
    given = Retry(delivery, 1, 500, NAME, key="k", death=DEATH)
    assert world.run(transitions.retry([given], NOW, max_deliveries=1)) == [Word.FAILED]
    assert world.exists(f"job:{delivery.job_id}", "key:k") == 0
    assert world.status(delivery.job_id)["state"] == b"failed"


def test_the_last_death_of_a_sealed_job(world: World) -> None:
    # C3.4, C6.4: its SQL may have committed, so it is for a worker that looks there.
    delivery = world.deliver()
    world.run(transitions.seal([Seal(delivery)], NOW))
    given = Retry(delivery, 1, 0, NAME, death=DEATH)
    assert world.run(transitions.retry([given], NOW, max_deliveries=1)) == [Word.OK]
    assert (world.state(delivery.job_id), world.status(delivery.job_id)["deaths"]) == ("pending", b"1")


def test_a_death_beside_others(world: World) -> None:
    # Each job by its own: one dies for good, one dies, one is given back.
    first, second, third = [world.deliver() for _ in range(3)]
    world.command("HSET", world.keys.status(first.job_id), "deaths", 1)
    given = [Retry(first, 1, 0, NAME, death=DEATH), Retry(second, 1, 0, NAME, death=DEATH), Retry(third, 1, 0, NAME)]
    assert world.run(transitions.retry(given, NOW, max_deliveries=2)) == [Word.FAILED, Word.OK, Word.OK]
    assert world.ready() == [second.job_id, third.job_id]
    assert [world.status(one.job_id).get("deaths") for one in (first, second, third)] == [b"2", b"1", None]


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


@pytest.mark.parametrize("key", ["done:failed", "done:success", "expiry", "settings"])
def test_wrong_type_at_the_last_death(world: World, key: str) -> None:
    # C6.3
    first, second = world.deliver(), world.deliver()
    world.run(transitions.watch(second.job_id, "m"))
    world.break_key(key)
    given = [Retry(first, 1, 0), Retry(second, 1, 0, NAME, death=DEATH)]
    world.refuses(transitions.retry(given, NOW, max_deliveries=1))


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

"""finish: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.keys import GROUP
from scheduler.script_call import Word
from tests.transitions.conftest import NAME, NOW, WORKER, World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.finish([], NOW)) == []


@pytest.mark.parametrize("state", ["success", "failed"])
def test_normal(world: World, state: str) -> None:
    # C3.5, C5.2
    delivery = world.begin()
    world.now += 50
    assert world.finish(delivery, state) is Word.OK
    job = world.job(delivery.job_id)
    assert job is not None
    assert (job.state, job.started_time, job.completed_time) == (state, NOW, NOW + 50)
    assert (job.result, job.error and job.error.type) == (("done", None) if state == "success" else (None, "Boom"))
    assert world.exists("running") == 0
    assert int(world.command("ZSCORE", world.keys.done(state), delivery.job_id)) == NOW + 50
    assert world.stats() == {state: 1}


def test_more_than_one_command_takes(world: World) -> None:
    # C3.5: what many jobs write to one key goes in commands of at most a thousand arguments.
    count = 1_001
    world.settings(**{f"keep_ms:{NAME}": 9_000})
    world.run(transitions.schedule([world.request(kind="action") for _ in range(count)], NOW))
    while world.run(transitions.promote("p", 1000, 1000, NOW)).moved:
        pass
    deliveries = world.claim(count=2 * count)
    assert world.run(transitions.begin(deliveries, WORKER, 1000, NOW)) == [Word.OK] * count
    assert (world.command("ZCARD", world.key("running")), world.ready()) == (count, [])
    assert world.command("XPENDING", world.keys.ready("q"), GROUP)[0] == 0
    ends = [world.end(delivery) for delivery in deliveries]
    assert world.run(transitions.finish(ends, NOW)) == [Word.OK] * count
    assert (world.exists("running"), world.stats()) == (0, {"success": count})
    assert world.command("ZCARD", world.keys.done("success")) == count


def test_twice(world: World) -> None:
    call = transitions.finish([world.end(world.begin()), world.end(world.begin(), "failed")], NOW)
    assert world.run(call) == [Word.OK, Word.OK]
    assert world.changes_nothing(call) == [Word.ALREADY, Word.ALREADY]


def test_twice_in_one_call(world: World) -> None:
    # C5.1: it ends once, is counted once, and posted once.
    delivery = world.begin()
    world.run(transitions.watch(delivery.job_id, "m"))
    ends = [world.end(delivery), world.end(delivery, "failed")]
    assert world.run(transitions.finish(ends, NOW)) == [Word.OK, Word.ALREADY]
    assert (world.state(delivery.job_id), world.stats()) == ("success", {"success": 1})
    assert world.mail("m") == [delivery.job_id]


def test_the_first_end_counts(world: World) -> None:
    # C5.1
    delivery = world.begin()
    world.finish(delivery)
    assert world.changes_nothing(transitions.finish([world.end(delivery, "failed")], NOW)) == [Word.ALREADY]


def test_canceled_meanwhile(world: World) -> None:
    # C4: its result is dropped.
    delivery = world.begin()
    world.cancel(delivery.job_id)
    assert world.changes_nothing(transitions.finish([world.end(delivery)], NOW)) == [Word.LOST]


def test_given_up_meanwhile(world: World) -> None:
    # C3.5
    delivery = world.begin(lease_ms=10)
    world.run(transitions.expire(10, b"", NOW + 10))
    assert world.changes_nothing(transitions.finish([world.end(delivery)], NOW)) == [Word.LOST]


@pytest.mark.parametrize("change", [{"token": "x"}, {"job_id": "missing"}], ids=["token", "missing"])
def test_not_the_owner(world: World, change: dict[str, str]) -> None:
    delivery = world.begin()._replace(**change)  # type: ignore[arg-type]
    assert world.changes_nothing(transitions.finish([world.end(delivery)], NOW)) == [Word.LOST]


def test_waiters_get_their_mail_once(world: World) -> None:
    # C5.4
    delivery = world.begin()
    for mailbox in ("a", "b"):
        world.run(transitions.watch(delivery.job_id, mailbox))
    call = transitions.finish([world.end(delivery)], NOW)
    world.run(call)
    world.run(call)
    assert world.mail("a") == world.mail("b") == [delivery.job_id]
    assert "waiters" not in world.status(delivery.job_id)
    assert 0 < int(world.command("PTTL", world.keys.mail("a"))) <= 60_000


def test_only_a_tombstone(world: World) -> None:
    # C5.3
    world.settings(keep_ms=0)
    delivery = world.begin(key="k")
    assert world.finish(delivery, key="k") is Word.OK
    assert world.exists(f"job:{delivery.job_id}", "key:k", "done:success", "expiry") == 0
    assert 0 < int(world.command("PTTL", world.keys.status(delivery.job_id))) <= 600_000
    assert "result" not in world.status(delivery.job_id)
    assert world.changes_nothing(transitions.finish([world.end(delivery, key="k")], NOW)) == [Word.ALREADY]


@pytest.mark.parametrize(
    ("settings", "keep"),
    [
        pytest.param({}, None, id="a week"),
        pytest.param({"keep_ms": 5}, None, id="of the app"),
        pytest.param({"keep_ms": 5, f"keep_ms:{NAME}": 6}, 6, id="of the function"),
        pytest.param({"keep_ms": 0, f"keep_ms:{NAME}": 6}, 6, id="of the function, the app keeps none"),
    ],
)
def test_retention(world: World, settings: dict[str, int], keep: int | None) -> None:
    # C5.3: what follows the app is found by its completion.
    world.settings(**settings)
    delivery = world.begin()
    world.finish(delivery)
    apart = world.command("ZSCORE", world.key("expiry"), delivery.job_id)
    assert (None if apart is None else int(apart)) == (None if keep is None else NOW + keep)
    assert int(world.command("ZSCORE", world.key("done:success"), delivery.job_id)) == NOW


@pytest.mark.parametrize("key", ["running", "done:success", "done:failed", "expiry", "settings"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    first, second = world.begin(name="other"), world.begin()
    world.break_key(key)
    world.refuses(transitions.finish([world.end(first, name="other"), world.end(second)], NOW))


def test_a_damaged_job_keeps_no_other_from_its_end(world: World) -> None:
    # C5.1
    damaged, sound = world.begin(), world.begin()
    world.break_key(f"status:{damaged.job_id}")
    assert world.run(transitions.finish([world.end(damaged), world.end(sound)], NOW)) == [Word.LOST, Word.OK]
    assert world.state(sound.job_id) == "success"


@pytest.mark.parametrize("broken", ["another type", "no number", "too large"])
def test_damaged_counters_keep_no_job_from_its_end(world: World, broken: str) -> None:
    # C5.1: they count no more; what is written cannot fail half-way.
    delivery = world.begin()
    if broken == "another type":
        world.break_key(f"stats:{NAME}")
    else:
        world.command("HSET", world.keys.stats(NAME), "success", "many" if broken == "no number" else 2**63 - 1)
    before = world.dump()[world.keys.stats(NAME).encode()]
    assert world.finish(delivery) is Word.OK
    assert world.dump()[world.keys.stats(NAME).encode()] == before


def test_a_damaged_mailbox_keeps_no_job_from_its_end(world: World) -> None:
    # C5.1, C5.4: and the other waiters get their mail.
    delivery = world.begin()
    for mailbox in ("a", "m"):
        world.run(transitions.watch(delivery.job_id, mailbox))
    world.break_key("mail:a")
    assert world.finish(delivery) is Word.OK
    assert world.mail("m") == [delivery.job_id]


@pytest.mark.parametrize("value", ["soon", "inf", "nan", "-5"])
@pytest.mark.parametrize("setting", ["keep_ms", f"keep_ms:{NAME}"])
def test_settings_that_are_no_number(world: World, setting: str, value: str) -> None:
    # C5.3, C6.3: damaged settings must not stop a write half-way, and count as not set.
    world.command("HSET", world.key("settings"), setting, value)
    delivery = world.begin()
    assert world.finish(delivery) is Word.OK
    assert (world.state(delivery.job_id), world.exists("expiry")) == ("success", 0)

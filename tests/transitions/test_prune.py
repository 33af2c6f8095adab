"""prune: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.job import CancelOutcome
from scheduler.script_call import Word
from tests.transitions.conftest import NAME, NOW, World

KEEP = 1000
TEN_MINUTES = 600_000
WEEK = 7 * 24 * 3600 * 1000


def ended(world: World, count: int, state: str = "success") -> list[str]:
    """Jobs that ended one ms after the other."""
    ids = []
    for _ in range(count):
        world.now += 1
        ids.append(world.in_state(state, key=world.ids.new()).job_id)
    return ids


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.prune(10, NOW))[:2] == (0, False)


@pytest.mark.parametrize("keep", [TEN_MINUTES, TEN_MINUTES + 1, TEN_MINUTES * 9])
@pytest.mark.parametrize(("at", "removed"), [(-1, 0), (0, 1), (1, 1)], ids=["before", "exact", "after"])
@pytest.mark.parametrize("state", ["success", "failed", "canceled", "canceled action"])
def test_age(world: World, state: str, at: int, removed: int, keep: int) -> None:
    # C5.3: with nothing of the job left.
    world.settings(keep_ms=keep)
    delivery = world.in_state(state, key="k")
    assert world.run(transitions.prune(10, NOW + keep + at))[:2] == (removed, False)
    assert (world.job(delivery.job_id) is None) == bool(removed)
    left = [key for key in world.all_keys() if delivery.job_id.encode() in key or key.endswith(b":key:k")]
    assert len(left) == (0 if removed else 3)
    assert world.exists("expiry", "done:success", "done:failed", "done:canceled") == (0 if removed else 1)


def test_twice(world: World) -> None:
    world.settings(keep_ms=KEEP)
    ended(world, 2)
    call = transitions.prune(10, world.now + KEEP)
    assert world.run(call)[:2] == (2, False)
    assert world.changes_nothing(call)[:2] == (0, False)


def test_limit(world: World) -> None:
    # C5.3: in bounded steps.
    world.settings(keep_ms=KEEP)
    ids = ended(world, 3)
    call = transitions.prune(2, world.now + KEEP)
    assert world.run(call)[:2] == (2, True)
    assert [world.job(job_id) is None for job_id in ids] == [True, True, False]
    assert world.run(call)[:2] == (1, False)


@pytest.mark.parametrize("most", [0, 1, 4, 5, 6])
def test_count(world: World, most: int) -> None:
    # C5.3: the newest are kept, whatever their state.
    world.settings(keep_count=most)
    ids = ended(world, 1, "failed") + ended(world, 2) + ended(world, 1, "canceled") + ended(world, 1)
    removed = max(0, 5 - most)
    assert world.run(transitions.prune(10, NOW))[:2] == (removed, False)
    assert [world.job(job_id) is None for job_id in ids] == [i < removed for i in range(5)]
    assert len([key for key in world.all_keys() if b":key:" in key]) == 5 - removed


def test_count_in_bounded_steps(world: World) -> None:
    # C5.3
    world.settings(keep_count=1)
    ended(world, 6)
    replies = [world.run(transitions.prune(2, NOW))[:2] for _ in range(3)]
    assert replies == [(2, True), (2, True), (1, False)]


def test_age_and_count_together(world: World) -> None:
    # C5.3: what goes by age does not count for the most.
    world.settings(keep_ms=KEEP)
    old = ended(world, 2)
    world.settings(keep_ms=KEEP * 9, keep_count=2)
    new = ended(world, 3, "failed")
    assert world.run(transitions.prune(10, NOW + KEEP + 2))[:2] == (3, False)
    assert [world.job(job_id) is None for job_id in old + new] == [True, True, True, False, False]


OWN = f"keep_ms:{NAME}"


@pytest.mark.parametrize(("at", "removed"), [(-1, 0), (0, 1)], ids=["before", "exact"])
@pytest.mark.parametrize("own", [TEN_MINUTES, TEN_MINUTES * 9], ids=["shorter", "longer"])
def test_a_retention_of_the_function(world: World, own: int, at: int, removed: int) -> None:
    # C5.3
    world.settings(**{"keep_ms": TEN_MINUTES * 3, OWN: own})
    job_id = world.in_state("success").job_id
    assert world.run(transitions.prune(10, NOW + own + at))[:2] == (removed, False)
    assert (world.job(job_id) is None) == bool(removed)
    assert world.exists("expiry", "done:success") == 2 - 2 * removed


def test_what_the_app_says_now(world: World) -> None:
    # C5.3: records without a time of their own follow the newest deployment; those with one were told it at their end.
    world.settings(**{"keep_ms": KEEP, OWN: KEEP})
    apart = world.in_state("success").job_id
    world.settings(**{"keep_ms": KEEP * 2, OWN: KEEP * 9})
    later = world.deliver(name="other")
    assert world.commit(later, name="other") is Word.OK
    assert world.run(transitions.prune(10, NOW + KEEP))[:2] == (1, False)
    assert (world.job(apart) is None, world.job(later.job_id) is None) == (True, False)
    assert world.run(transitions.prune(10, NOW + KEEP * 2))[:2] == (1, False)


def test_what_is_kept_for_longer_is_passed_once(world: World) -> None:
    # C5.3: a thousand records that stay are not looked at each minute.
    world.settings(**{"keep_ms": KEEP, OWN: KEEP * 9})
    ended(world, 2)
    passed = world.run(transitions.prune(10, world.now + KEEP)).passed_ms
    assert passed == world.now
    world.command("ZREM", world.key("expiry"), *world.command("ZRANGE", world.key("expiry"), 0, 0))
    assert world.run(transitions.prune(10, world.now + KEEP, passed)) == (0, False, passed)
    assert world.run(transitions.prune(10, world.now + KEEP)) == (1, False, passed)


def test_what_is_left_over_is_not_passed(world: World) -> None:
    # C5.3: in bounded steps, also where many ended in the same ms.
    world.settings(keep_ms=KEEP)
    for _ in range(3):
        world.in_state("success")
    removed, more, passed = world.run(transitions.prune(2, NOW + KEEP))
    assert (removed, more, passed) == (2, True, NOW - 1)
    assert world.run(transitions.prune(2, NOW + KEEP, passed)) == (1, False, NOW)


@pytest.mark.parametrize("apart", [1000, 1001])
def test_more_than_one_look_of_what_is_kept_for_longer(world: World, apart: int) -> None:
    # C5.3: what comes behind it goes too, in the next step.
    world.settings(keep_ms=KEEP)
    for place in range(apart):
        world.command("ZADD", world.key("done:success"), NOW - 5000 + place, f"apart-{place}")
        world.command("ZADD", world.key("expiry"), NOW * 2, f"apart-{place}")
    world.in_state("success")
    first = world.run(transitions.prune(10, NOW + KEEP))
    assert (first.removed, first.more) == (0, True)
    assert first.passed_ms == NOW - 5000 + 998
    assert world.run(transitions.prune(10, NOW + KEEP, first.passed_ms)) == (1, False, NOW)


@pytest.mark.parametrize("make", ["pending", "inProgress", "later"])
def test_what_has_not_ended_stays(world: World, make: str) -> None:
    # C7.3
    world.settings(keep_count=0, keep_ms=1)
    world.schedule(delay=99) if make == "later" else world.in_state(make)
    assert world.changes_nothing(transitions.prune(10, NOW * 2))[:2] == (0, False)


def test_a_key_that_another_job_holds(world: World) -> None:
    # C2.10
    world.settings(keep_ms=KEEP)
    ended_id = world.in_state("success", key="k").job_id
    world.command("SET", world.key("key:k"), "another")
    world.run(transitions.prune(10, NOW + KEEP))
    assert (world.job(ended_id), world.command("GET", world.key("key:k"))) == (None, b"another")


@pytest.mark.parametrize("by", ["age", "count"])
@pytest.mark.parametrize(
    ("age", "left"), [(KEEP, TEN_MINUTES - KEEP), (TEN_MINUTES - 60_000, 60_000), (TEN_MINUTES, 0), (-9, 0)]
)
@pytest.mark.parametrize("state", ["success", "failed", "canceled"])
def test_a_tombstone_stays_for_the_rest_of_ten_minutes(world: World, state: str, age: int, left: int, by: str) -> None:
    """C2.10, C5.3: a call that was sent again after its job had ended and was removed made the job anew."""
    world.settings(**({"keep_ms": 1} if by == "age" else {"keep_count": 0}))
    request = world.request(key="k")
    call = transitions.schedule([request], NOW)
    world.run(call)
    (delivery,) = world.claim()
    if state == "canceled":
        world.cancel(delivery.job_id)
    else:
        world.commit(delivery, state, key="k")
    world.run(transitions.prune(10, NOW + age if age > 0 else NOW + TEN_MINUTES * 99))
    status = world.keys.status(request.id)
    if left == 0:
        assert [key for key in world.all_keys() if request.id.encode() in key] == []
        return
    assert world.status(request.id) == {"state": state.encode()}
    assert left - 30_000 < int(world.command("PTTL", status)) <= left
    assert (world.job(request.id), world.exists("key:k", "expiry", f"done:{state}")) == (None, 0)
    world.command("PERSIST", status)
    assert world.changes_nothing(call) == [(Word.EXISTS, request.id)]
    assert world.changes_nothing(transitions.cancel([request.id])) == [CancelOutcome.FINISHED]
    assert world.changes_nothing(transitions.watch(request.id, "m")) is Word.FINISHED


def test_a_tombstone_never_lives_longer_than_ten_minutes(world: World) -> None:
    # C5.3: also where the server's clock went back.
    world.settings(keep_count=0)
    delivery = world.in_state("success")
    world.run(transitions.prune(10, NOW - 10 * TEN_MINUTES))
    assert 0 < int(world.command("PTTL", world.keys.status(delivery.job_id))) <= TEN_MINUTES


@pytest.mark.parametrize("key", ["job", "status", "key:k"])
def test_a_damaged_job_keeps_no_other(world: World, key: str) -> None:
    # C5.3: it goes too.
    world.settings(keep_ms=TEN_MINUTES)
    damaged = world.in_state("success", key="k")
    ended(world, 1)
    world.break_key(f"{key}:{damaged.job_id}" if key in ("job", "status") else key)
    assert world.run(transitions.prune(10, world.now + TEN_MINUTES))[:2] == (2, False)
    assert world.exists(f"job:{damaged.job_id}", f"status:{damaged.job_id}", "expiry", "done:success") == 0


def test_settings_that_are_no_number(world: World) -> None:
    # C5.3: what is damaged counts as not set, and records go all the same.
    world.settings(keep_ms=KEEP)
    ended(world, 1)
    world.command("HSET", world.key("settings"), "keep_count", "many")
    assert world.run(transitions.prune(10, world.now + KEEP))[:2] == (1, False)


@pytest.mark.parametrize("setting", ["keep_ms", "keep_count"])
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e9", "-5", "many", "9" * 20])
def test_settings_that_no_deployment_wrote(world: World, setting: str, value: str) -> None:
    """C5.3: infinity was a number to the script, and no record went any more."""
    ended(world, 1)
    world.command("HSET", world.key("settings"), setting, value)
    assert world.run(transitions.prune(10, world.now + WEEK - 1))[:2] == (0, False)
    assert world.run(transitions.prune(10, world.now + WEEK)) == (1, False, world.now)


@pytest.mark.parametrize("key", ["expiry", "done:success", "done:failed", "settings"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    world.settings(keep_ms=KEEP)
    ended(world, 1)
    world.break_key(key)
    world.refuses(transitions.prune(10, world.now + 8 * 24 * 3600 * 1000))

"""commit: state, call, reply and state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from scheduler import transitions
from scheduler.script_call import Transition, Word
from scheduler.transitions import Commit, Delivery
from scheduler.versions import Document
from tests.transitions.conftest import NAME, NOW, RESULT, WORKER, World

AT_ONCE = Delivery("", "", "", "direct-token", 1)
"""A mutation that an action runs at once is no job of its own."""


def of(*commits: Commit) -> Transition[list[Word]]:
    return transitions.commit(commits, WORKER, NOW)


def version(world: World, kind: str, key: str) -> str:
    return world.read(kind, key).version


def test_empty(world: World) -> None:
    assert world.changes_nothing(of()) == []


@pytest.mark.parametrize("state", ["success", "failed"])
def test_normal(world: World, state: str) -> None:
    # C3.1, C5.2
    delivery = world.deliver()
    world.now += 50
    assert world.commit(delivery, state) is Word.OK
    job = world.job(delivery.job_id)
    assert job is not None
    assert (job.state, job.started_time, job.completed_time) == (state, NOW + 43, NOW + 50)
    assert (job.worker, job.attempts) == (WORKER, 1)
    assert (job.result, job.error and job.error.message) == (
        ("done", None) if state == "success" else (None, "it broke")
    )
    assert (world.ready(), world.stats()) == ([], {state: 1})
    assert world.command("XPENDING", world.keys.ready("q"), "workers")[0] == 0
    assert int(world.command("ZSCORE", world.keys.done(state), delivery.job_id)) == NOW + 50


def effects(world: World, table: str = "t") -> dict[str, Any]:
    return {
        "writes": [("add", f"{table}:1", b"one")],
        "children": [world.request(delay=5), world.request(), world.request(born="canceled")],
        "cancels": [world.schedule(delay=99)],
    }


def test_all_effects_together(world: World) -> None:
    # C3.1, C4
    delivery, all_of_it = world.deliver(), effects(world)
    assert world.commit(delivery, **all_of_it) is Word.OK
    later, soon, born = all_of_it["children"]
    assert world.read("doc", "t:1") == Document("t:1", f"1-{delivery.token}", 1, b"one")
    assert [world.state(child.id) for child in (later, soon, born)] == ["pending", "pending", "canceled"]
    assert (world.due(), world.ready()) == ({later.id: NOW + 5}, [soon.id])
    assert world.state(all_of_it["cancels"][0]) == "canceled"
    assert world.stats() == {"success": 1, "canceled": 2}


def test_twice(world: World) -> None:
    # C3.1: the answer was lost, the same call comes again.
    call = of(world.commit_of(world.deliver(), **effects(world)), world.commit_of(world.deliver(), "failed"))
    assert world.run(call) == [Word.OK, Word.OK]
    assert world.changes_nothing(call) == [Word.ALREADY, Word.ALREADY]


def test_twice_with_a_tombstone(world: World) -> None:
    # C5.3
    world.settings(keep_ms=0)
    call = of(world.commit_of(world.deliver(key="k"), key="k"))
    assert world.run(call) == [Word.OK]
    assert world.exists("key:k", "done:success", "expiry") == 0
    assert world.changes_nothing(call) == [Word.ALREADY]


@pytest.mark.parametrize("change", [{"token": "x"}, {"job_id": "missing"}], ids=["token", "missing"])
def test_not_the_owner(world: World, change: dict[str, str]) -> None:
    # C3.1: a worker that comes back late can change nothing.
    delivery = world.deliver()._replace(**change)  # type: ignore[arg-type]
    assert world.changes_nothing(of(world.commit_of(delivery, **effects(world)))) == [Word.LOST]


@pytest.mark.parametrize("state", ["canceled", "canceled action"])
def test_canceled_first(world: World, state: str) -> None:
    # C4
    delivery = world.in_state(state)
    assert world.changes_nothing(of(world.commit_of(delivery, **effects(world)))) == [Word.LOST]


def test_given_back_meanwhile(world: World) -> None:
    # C3.1
    delivery = world.deliver()
    world.run(transitions.retry([transitions.Retry(delivery, 1, 0)], NOW))
    assert world.changes_nothing(of(world.commit_of(delivery, **effects(world)))) == [Word.LOST]


def a_document(world: World) -> str:
    world.commit(world.deliver(), writes=[("add", "t:1", b"one")])
    return "t:1"


def no_document(world: World) -> str:
    return "t:absent"


def a_pending_job(world: World) -> str:
    return world.schedule(delay=99)


def an_ended_job(world: World) -> str:
    return world.in_state("success").job_id


def no_job(world: World) -> str:
    return "missing"


def a_held_key(world: World) -> str:
    world.schedule(delay=99, key="k")
    return "k"


def a_free_key(world: World) -> str:
    return "free"


READS = [
    pytest.param("doc", a_document, id="document"),
    pytest.param("doc", no_document, id="absent document"),
    pytest.param("job", a_pending_job, id="pending job"),
    pytest.param("job", an_ended_job, id="ended job"),
    pytest.param("job", no_job, id="absent job"),
    pytest.param("key", a_held_key, id="held key"),
    pytest.param("key", a_free_key, id="free key"),
]


@pytest.mark.parametrize(("kind", "make"), READS)
def test_what_was_read_still_holds(world: World, kind: str, make: Callable[[World], str]) -> None:
    # C6.2
    key = make(world)
    assert world.commit(world.deliver(), reads=[(kind, key, version(world, kind, key))]) is Word.OK


@pytest.mark.parametrize("state", ["success", "failed"])
@pytest.mark.parametrize(("kind", "make"), READS)
def test_conflict(world: World, kind: str, make: Callable[[World], str], state: str) -> None:
    # C6.2, C3.2: also a failure is committed only if what was read still holds.
    commit = world.commit_of(world.deliver(), state, reads=[(kind, make(world), "other")], **effects(world))
    assert world.changes_nothing(of(commit)) == [Word.CONFLICT]


@pytest.mark.parametrize(
    ("kind", "key", "change"),
    [
        pytest.param("doc", "t:1", {"writes": [("put", "t:1", b"two")]}, id="document written"),
        pytest.param("doc", "t:1", {"writes": [("del", "t:1", b"")]}, id="document deleted"),
        pytest.param("doc", "t:2", {"writes": [("add", "t:2", b"two")]}, id="document added"),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two calls"])
def test_an_earlier_commit_changed_a_document(
    world: World, kind: str, key: str, change: dict[str, Any], together: bool
) -> None:
    # C6.2
    a_document(world)
    seen = version(world, kind, key)
    first = world.commit_of(world.deliver(), **change)
    second = world.commit_of(world.deliver(), reads=[(kind, key, seen)], writes=[("put", "t:3", b"lost")])
    if together:
        assert world.run(of(first, second)) == [Word.OK, Word.CONFLICT]
    else:
        assert world.run(of(first)) + world.run(of(second)) == [Word.OK, Word.CONFLICT]
    assert version(world, "doc", "t:3") == ""
    assert world.state(second.delivery.job_id) == "pending"


def test_of_two_that_read_and_write_the_same_one_wins(world: World) -> None:
    # C6.2
    a_document(world)
    seen = version(world, "doc", "t:1")
    commits = [
        world.commit_of(world.deliver(), reads=[("doc", "t:1", seen)], writes=[("put", "t:1", data)])
        for data in (b"a", b"b")
    ]
    assert world.run(of(*commits)) == [Word.OK, Word.CONFLICT]
    assert world.read("doc", "t:1").data == b"a"


def test_a_conflict_changes_nothing_for_the_next(world: World) -> None:
    # C6.2: only what is accepted counts as changed.
    refused = world.commit_of(world.deliver(), reads=[("doc", "t:9", "other")], writes=[("add", "t:1", b"x")])
    good = world.commit_of(world.deliver(), reads=[("doc", "t:1", "")], writes=[("add", "t:1", b"y")])
    assert world.run(of(refused, good)) == [Word.CONFLICT, Word.OK]
    assert world.read("doc", "t:1").data == b"y"


def test_two_take_the_same_key(world: World) -> None:
    # C2.10
    commits = [
        world.commit_of(world.deliver(), reads=[("key", "k", "")], children=[world.request(key="k", delay=5)])
        for _ in range(2)
    ]
    assert world.run(of(*commits)) == [Word.OK, Word.CONFLICT]
    assert list(world.due()) == [commits[0].children[0].id]


def test_cancel_of_a_later_job_of_the_batch(world: World) -> None:
    # C4: one of the two wins.
    first, second = world.deliver(), world.deliver()
    canceling = world.commit_of(first, reads=[("job", second.job_id, "pending")], cancels=[second.job_id])
    assert world.run(of(canceling, world.commit_of(second, **effects(world)))) == [Word.OK, Word.LOST]
    assert (world.state(first.job_id), world.state(second.job_id)) == ("success", "canceled")
    assert version(world, "doc", "t:1") == ""


def test_cancel_of_an_earlier_job_of_the_batch(world: World) -> None:
    # C4: committed first, the cancel read something that has changed.
    first, second = world.deliver(), world.deliver()
    canceling = world.commit_of(second, reads=[("job", first.job_id, "pending")], cancels=[first.job_id])
    assert world.run(of(world.commit_of(first), canceling)) == [Word.OK, Word.CONFLICT]
    assert world.state(first.job_id) == "success"


@pytest.mark.parametrize("who", ["an earlier job of the batch", "itself", "a job canceled twice"])
def test_a_blind_cancel_never_ends_a_job_twice(world: World, who: str) -> None:
    # C5.1: final states never change, even if the caller did not say that it read the job.
    first, second, third = world.deliver(), world.deliver(), world.schedule(delay=9)
    target = {"an earlier job of the batch": first.job_id, "itself": second.job_id}.get(who, third)
    cancels = [target, target] if target == third else [target]
    earlier = world.commit_of(first, cancels=[third] if target == third else [])
    assert world.run(of(earlier, world.commit_of(second, cancels=cancels))) == [Word.OK, Word.OK]
    assert [world.state(delivery.job_id) for delivery in (first, second)] == ["success", "success"]
    assert world.stats() == {"success": 2} | ({"canceled": 1} if target == third else {})


def test_one_job_twice_in_a_call(world: World) -> None:
    # C3.1
    commit = world.commit_of(world.deliver(), **effects(world))
    assert world.run(of(commit, commit)) == [Word.OK, Word.ALREADY]
    assert (world.table(), world.stats()) == ({"t:1": 1}, {"success": 1, "canceled": 2})


def test_a_job_cancels_another_once(world: World) -> None:
    # C5.1: named twice by one job.
    victim = world.schedule(delay=9)
    assert world.commit(world.deliver(), cancels=[victim, victim]) is Word.OK
    assert world.stats() == {"success": 1, "canceled": 1}


@pytest.mark.parametrize("state", ["success", "failed"])
def test_conflicts_are_counted(world: World, state: str) -> None:
    # Starts in vain, by function; once, however often the call comes.
    calls = [of(world.commit_of(world.deliver(), state, conflicts=conflicts)) for conflicts in (0, 2, 3)]
    assert [world.run(call) for call in calls + calls] == [[Word.OK]] * 3 + [[Word.ALREADY]] * 3
    assert world.stats() == {state: 3, "conflicts": 5}


@pytest.mark.parametrize("word", [Word.CONFLICT, Word.LOST])
def test_conflicts_are_not_counted_unless_it_is_committed(world: World, word: Word) -> None:
    delivery = world.deliver()
    reads = [("doc", "t:1", "other")] if word is Word.CONFLICT else []
    owner = delivery._replace(token="x") if word is Word.LOST else delivery
    assert world.changes_nothing(of(world.commit_of(owner, reads=reads, conflicts=2))) == [word]


@pytest.mark.parametrize(
    ("state", "after"),
    [
        ("success", "success"),
        ("failed", "failed"),
        ("canceled", "canceled"),
        ("inProgress", "canceled"),
        ("pending", "canceled"),
    ],
)
def test_cancels(world: World, state: str, after: str) -> None:
    # C4, C4.1
    target = world.in_state(state)
    assert world.commit(world.deliver(), cancels=[target.job_id, "missing"]) is Word.OK
    assert world.state(target.job_id) == after
    assert (world.exists("running"), world.ready(), version(world, "job", "missing")) == (0, [], "")


def test_waiters_get_their_mail_once(world: World) -> None:
    # C5.4
    delivery = world.deliver()
    world.run(transitions.watch(delivery.job_id, "m"))
    call = of(world.commit_of(delivery))
    world.run(call)
    world.run(call)
    assert world.mail("m") == [delivery.job_id]


def test_more_than_five_hundred_children(world: World) -> None:
    # C2.7
    children = [world.request() for _ in range(501)]
    world.commit(world.deliver(), children=children)
    assert (world.ready(), list(world.due())) == ([child.id for child in children[:500]], [children[500].id])
    assert world.wakes() == 1


def test_run_at_once_by_an_action(world: World) -> None:
    # C3.9: no record, and the marker makes it safe to repeat.
    parent = world.begin()
    child = world.request(parent=parent.job_id, delay=5)
    call = of(Commit(AT_ONCE, NAME, "", 0, "success", RESULT, writes=[("add", "t:1", b"x")], children=[child]))
    assert world.run(call) == [Word.OK]
    assert (world.state(child.id), world.stats()) == ("pending", {})
    assert 0 < int(world.command("PTTL", world.key("applied:direct-token"))) <= 600_000
    assert world.exists("status:", "job:") == 0
    assert world.changes_nothing(call) == [Word.ALREADY]


def test_two_run_at_once_in_one_batch(world: World) -> None:
    # C3.9
    one, two = (Commit(AT_ONCE._replace(token=token), NAME, "", 0, "success", RESULT) for token in "ab")
    assert world.run(of(one, two)) == [Word.OK, Word.OK]


def test_run_at_once_by_a_canceled_action(world: World) -> None:
    # C4.2: it may still write, and what it schedules is born canceled.
    parent = world.in_state("canceled action")
    child = world.request(parent=parent.job_id)
    assert world.run(of(Commit(AT_ONCE, NAME, "", 0, "success", RESULT, children=[child]))) == [Word.OK]
    assert (world.state(child.id), world.ready(), world.due()) == ("canceled", [], {})


def test_run_at_once_conflicts(world: World) -> None:
    # C6.2
    commit = Commit(AT_ONCE, NAME, "", 0, "success", RESULT, reads=[("doc", "t:1", "1-x")])
    assert world.changes_nothing(of(commit)) == [Word.CONFLICT]


SHARED = [
    "wake",
    "sequence",
    "indexes",
    "queues",
    "done:success",
    "done:canceled",
    "expiry",
    "settings",
]
OWN = [
    "doc:t:1", "table:t", "index:t:a", "due:q", "ready:q", "due:r", "ready:r", "running",
]  # fmt: skip


def break_one(world: World, key: str) -> Commit:
    """A mutation with all effects, one key of which is damaged."""
    delivery, victim = world.deliver(), world.schedule(name="victim", delay=99)
    world.run(transitions.watch(delivery.job_id, "m"))
    commit = world.commit_of(
        delivery,
        writes=[("add", "t:1", b"x")],
        entries=[("add", "t:a", "t:1", b"k")],
        children=[world.request(queue="r", delay=5), world.request(name="born", born="canceled")],
        cancels=[victim],
        conflicts=1,
    )
    names = {
        "status": f"status:{delivery.job_id}",
        "status of the victim": f"status:{victim}",
        "job of the victim": f"job:{victim}",
    }
    world.break_key(names.get(key, key))
    return commit


@pytest.mark.parametrize("key", SHARED + OWN)
def test_wrong_type(world: World, key: str) -> None:
    # C6.3: everything is checked before the first write.
    world.refuses(of(break_one(world, key)))


@pytest.mark.parametrize("key", SHARED)
def test_wrong_type_of_what_all_jobs_need(world: World, key: str) -> None:
    # C6.3
    first = world.commit_of(world.deliver(queue="p"), children=[world.request(queue="p")])
    world.refuses(of(first, break_one(world, key)))


@pytest.mark.parametrize("key", OWN)
def test_wrong_type_of_a_later_job(world: World, key: str) -> None:
    # C6.3: each job is written as a whole or not at all; those before it are.
    child = world.request(queue="p")
    earlier = world.commit_of(world.deliver(queue="p"), writes=[("add", "u:1", b"one")], children=[child])
    later = break_one(world, key)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        world.run(of(earlier, later))
    assert world.state(child.id) == "pending"
    assert world.read("doc", "u:1").version == f"1-{earlier.delivery.token}"
    assert world.exists(*(f"job:{lost.id}" for lost in later.children)) == 0
    assert (world.table("u"), int(world.command("GET", world.key("sequence")))) == ({"u:1": 1}, 1)
    assert world.changes_nothing(of(earlier)) == [Word.ALREADY]
    world.refuses(of(later))
    # The call broke off before it sent on what is due: that is left to the promoter.
    world.run(transitions.promote("p1", 1000, 10, NOW))
    assert world.ready("p") == [child.id]


@pytest.mark.parametrize(
    "key", ["status", "status of the victim", "job of the victim", "mail:m", f"stats:{NAME}", "stats:victim"]
)
def test_a_damaged_key_of_one_job_costs_no_other(world: World, key: str) -> None:
    # C3.1, C4: a job whose status is damaged has lost its delivery; a victim that is damaged is none.
    damaged, sound = break_one(world, key), world.commit_of(world.deliver(queue="p"))
    lost = key == "status"
    assert world.run(of(damaged, sound)) == [Word.LOST if lost else Word.OK, Word.OK]
    assert world.exists("doc:t:1") == (not lost)
    assert world.state(sound.delivery.job_id) == "success"


def test_a_read_of_the_wrong_type(world: World) -> None:
    # C6.3
    commit = world.commit_of(world.deliver(), reads=[("doc", "t:1", "")], **effects(world, table="u"))
    world.break_key("doc:t:1")
    world.refuses(of(commit))


def test_what_came_between_is_no_part_of_it(world: World) -> None:
    # C2.7: Redis was away when it was to be committed; its start and the delays of its children are from before.
    late, soon, at = world.request(delay=5_000), world.request(delay=900), world.request(delay=3_000)
    at = at._replace(mode="at", ms=NOW + 3_000)
    commit = world.commit_of(world.deliver(), children=[late, soon, at], written_ms=NOW)
    assert world.run(transitions.commit([commit], WORKER, NOW + 2_000)) == [Word.OK]
    job = world.job(commit.delivery.job_id)
    assert job is not None
    assert (job.started_time, job.completed_time) == (NOW - 7, NOW + 2_000)
    assert (world.due(), world.ready()) == ({late.id: NOW + 5_000, at.id: NOW + 3_000}, [soon.id])


@pytest.mark.parametrize("behind_ms", [1, 3_600_000], ids=["a little", "an hour"])
def test_nothing_starts_before_it_is_delivered(world: World, behind_ms: int) -> None:
    # C7.3: the worker's estimate of the time was behind, a little as ever, or an hour when the clock had jumped:
    # the record said that a job began before it was due, and its child came early.
    child = world.request(delay=5_000)
    delivery = world.deliver()
    delivered_ms = int(delivery.entry.partition("-")[0])
    commit = world.commit_of(delivery, children=[child], written_ms=delivered_ms + 7 - behind_ms)
    assert world.run(transitions.commit([commit], WORKER, delivered_ms + 100)) == [Word.OK]
    job = world.job(commit.delivery.job_id)
    assert job is not None
    assert job.started_time == delivered_ms
    assert world.due() == {child.id: delivered_ms + 7 + 5_000}


def test_a_clock_that_went_back_takes_nothing_away(world: World) -> None:
    child = world.request(delay=5_000)
    commit = world.commit_of(world.deliver(), children=[child], written_ms=NOW + 60_000)
    assert world.run(transitions.commit([commit], WORKER, NOW)) == [Word.OK]
    assert world.due() == {child.id: NOW + 5_000}


def test_what_was_committed_before_an_error_goes_on(world: World) -> None:
    # C2.2: the later job of the call is refused; the children of the earlier one waited for the promoter's next look.
    child, later = world.request(), world.request(delay=50)
    good = world.commit_of(world.deliver(), children=[child, later])
    bad = world.commit_of(world.deliver(), writes=[("put", "t:1", b"x")])
    world.command("SET", world.keys.document("t:1"), "not a document")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        world.run(of(good, bad))
    assert world.state(good.delivery.job_id) == "success"
    assert (child.id in world.ready(), world.due()) == (True, {later.id: NOW + 50})
    assert world.command("LLEN", world.keys.wake) == 1


def test_a_child_keeps_the_time_that_was_asked_for_and_its_place(world: World) -> None:
    # C2.4, C2.7: a past time means at once, behind what has been due for longer.
    waiting = world.schedule(delay=10)
    delivery = world.deliver()
    world.now += 20
    child = world.request(at=NOW - 9999)
    world.commit(delivery, children=[child])
    job = world.job(child.id)
    assert job is not None
    assert job.scheduled_time == NOW - 9999
    assert world.run(transitions.promote("p", 1000, 10, world.now)).moved == 1
    assert world.ready() == [waiting, child.id]
    assert world.store.execute("PTTL", world.store.keys.job(child.id)) == -1


def test_a_damaged_entry_of_what_it_cancels_leaves_nothing_half_done(world: World) -> None:
    """C6.3: the server refused it after the first write, and what it had scheduled was delivered without a spec."""
    damaged, delivery = world.schedule(delay=9), world.deliver()
    world.command("HSET", world.keys.status(damaged), "entry", "garbage")
    child = world.request(parent=delivery.job_id)
    assert world.commit(delivery, children=[child], cancels=[damaged]) is Word.OK
    assert [world.state(one) for one in (damaged, child.id, delivery.job_id)] == ["canceled", "pending", "success"]

"""schedule: state, call, reply and state."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import transitions, values
from scheduler.script_call import Word
from scheduler.spec import Spec
from tests.transitions.conftest import NAME, NO_ARGS, NOW, World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.schedule([], NOW)) == []


@pytest.mark.parametrize(
    ("when", "scheduled", "due"),
    [
        pytest.param({"delay": 0}, NOW, None, id="no delay"),  # C2.2
        pytest.param({"delay": 1}, NOW + 1, NOW + 1, id="one ms"),  # C2.1
        pytest.param({"at": NOW}, NOW, None, id="exactly now"),  # C2.3
        pytest.param({"at": NOW + 1}, NOW + 1, NOW + 1, id="at one ms later"),  # C2.3
        pytest.param({"at": NOW - 5000}, NOW - 5000, None, id="in the past"),  # C2.4
        pytest.param({"at": -5000}, -5000, None, id="before the epoch"),  # C2.4
    ],
)
def test_when(world: World, when: dict[str, int], scheduled: int, due: int | None) -> None:
    job_id = world.schedule(**when)
    job = world.job(job_id)
    assert job is not None
    assert (job.state, job.scheduled_time, job.created_time) == ("pending", scheduled, NOW)
    assert world.due() == ({} if due is None else {job_id: due})
    assert world.ready() == ([job_id] if due is None else [])


def test_the_record_holds_what_was_asked(world: World) -> None:
    # C5.2
    args = values.pack([1], "args") + values.pack({"a": 2}, "kwargs")
    job = world.job(world.schedule(delay=9, parent="P" * 26, key="k", args=args, kind="action"))
    assert job is not None
    assert (job.name, job.kind, job.args, job.kwargs, job.queue) == (NAME, "action", [1], {"a": 2}, "q")
    assert (job.parent_id, job.attempts, job.started_time, job.completed_time) == ("P" * 26, 0, None, None)


def test_a_past_job_does_not_jump_ahead(world: World) -> None:
    # C2.4, C3.7
    waiting = world.schedule(delay=10)
    world.now += 20
    late = world.schedule(at=NOW - 9999)
    moved = world.run(transitions.promote("p", 1000, 10, world.now)).moved
    assert (world.ready(), moved) == ([waiting, late], 1)


def test_twice(world: World) -> None:
    # C2.10
    requests = [world.request(), world.request(delay=5, key="k")]
    call = transitions.schedule(requests, NOW)
    assert [word for word, _ in world.run(call)] == [Word.OK, Word.OK]
    assert world.changes_nothing(call) == [(Word.EXISTS, request.id) for request in requests]


def test_the_same_id_twice_in_one_call(world: World) -> None:
    # C2.10
    one = world.request()
    assert world.run(transitions.schedule([one, one], NOW)) == [(Word.OK, one.id), (Word.EXISTS, one.id)]
    assert world.ready() == [one.id]


@pytest.mark.parametrize("state", ["success", "failed", "canceled"])
def test_twice_after_the_end(world: World, state: str) -> None:
    # C2.10, C5.3: a late repeated call finds it finished, also where only a tombstone is kept.
    world.settings(keep_ms=0)
    request = world.request()
    call = transitions.schedule([request], NOW)
    world.run(call)
    (delivery,) = world.claim()
    if state == "canceled":
        world.cancel(delivery.job_id)
    else:
        world.commit(delivery, state)
    assert world.changes_nothing(call) == [(Word.EXISTS, request.id)]


def test_idempotency_key(world: World) -> None:
    # C2.10
    first = world.schedule(key="k", delay=5)
    other = transitions.schedule([world.request(key="k")], NOW)
    assert world.changes_nothing(other) == [(Word.KEY, first)]


def test_idempotency_key_within_one_call(world: World) -> None:
    # C2.10
    one, two = world.request(key="k"), world.request(key="k")
    assert world.run(transitions.schedule([one, two], NOW)) == [(Word.OK, one.id), (Word.KEY, one.id)]
    assert world.job(two.id) is None


def test_idempotency_key_ends_with_the_record(world: World) -> None:
    # C2.10: while that job's record is kept.
    world.settings(keep_ms=0)
    delivery = world.deliver(key="k")
    world.commit(delivery, key="k")
    assert world.schedule(key="k") != delivery.job_id


def test_born_of_a_canceled_action(world: World) -> None:
    # C4, C4.2
    parent = world.begin()
    before = world.schedule(parent=parent.job_id, delay=5)
    world.cancel(parent.job_id)
    born = world.schedule(parent=parent.job_id, key="k")
    job = world.job(born)
    assert job is not None
    assert (job.state, job.completed_time, job.parent_id) == ("canceled", NOW, parent.job_id)
    assert world.state(before) == "pending"
    assert world.due() == {before: NOW + 5}
    assert world.ready() == []
    assert world.stats() == {"canceled": 2}


def test_of_what_is_born_canceled_nothing_stays_where_nothing_is_kept(world: World) -> None:
    # C5.3
    world.settings(keep_ms=0)
    request = world.request(born="canceled", key="k")
    world.run(transitions.schedule([request], NOW))
    assert (world.exists(f"job:{request.id}", "key:k"), world.exists(f"status:{request.id}")) == (0, 1)


def test_a_grandchild_is_not_born_canceled(world: World) -> None:
    # C4.3
    parent = world.begin()
    child = world.begin(parent=parent.job_id)
    world.cancel(parent.job_id)
    assert world.state(world.schedule(parent=child.job_id)) == "pending"


@pytest.mark.parametrize("length", [1, 31, 32, 200, 255])
@pytest.mark.parametrize("field", ["queue", "name", "key", "parent"])
def test_headers_at_the_bounds_of_msgpack_strings(world: World, field: str, length: int) -> None:
    # C5.2: fixstr to 31 bytes, str8 to 255. A cancel reads the header back in Lua.
    text = "x" * length
    options: dict[str, Any] = {field: text}
    request = world.request(delay=5, **options)
    world.run(transitions.schedule([request], NOW))
    data = world.command("GET", world.keys.job(request.id))
    assert getattr(Spec.unpack(data), field) == text
    assert world.cancel(request.id) == ["canceled"]
    assert world.due(request.queue) == {}
    assert world.stats(request.name) == {"canceled": 1}


@pytest.mark.parametrize(
    ("queue", "kind", "options", "stored"),
    [
        ("default", "mutation", {"delay": 5}, b"\xa15\xa0\xa3m:f\xa1m"),
        ("orders", "action", {"at": NOW - 70}, b"\xa3-70\xa6orders\xa3m:f\xa1a"),
        ("q", "", {"delay": 0}, b"\xa10\xa1q\xa3m:f\xa0"),
    ],
)
def test_a_spec_says_it_in_few_bytes(
    world: World, queue: str, kind: str, options: dict[str, int], stored: bytes
) -> None:
    # C5.2: and means the same.
    request = world.request(queue=queue, name="m:f", kind=kind, **options)  # type: ignore[arg-type]
    world.run(transitions.schedule([request], NOW))
    data = world.command("GET", world.keys.job(request.id))
    assert data == b"\x9a\xa12\xad" + str(NOW).encode() + stored + b"\xa0\xa0\x90\x80"
    spec = Spec.unpack(data)
    assert (spec.queue, spec.name, spec.kind) == (queue, "m:f", kind)
    assert (spec.created_ms, spec.scheduled_ms) == (NOW, options.get("at", NOW + options.get("delay", 0)))


def test_a_job_of_the_default_queue_leaves_it(world: World) -> None:
    # C4: scripts know the queue of a job by its spec alone.
    for delay in (0, 9):
        assert world.cancel(world.schedule(queue="default", delay=delay)) == ["canceled"]
    assert (world.due("default"), world.exists("due:default")) == ({}, 0)
    assert world.command("XLEN", world.keys.ready("default")) == 0


def test_the_longest_header_of_all(world: World) -> None:
    # C5.3: SPEC_HEADER_BYTES holds every field at its longest, in bytes, not in characters.
    world.settings(keep_ms=0)
    key = "é" * 100
    job_id = world.schedule(queue="q" * 64, name="n" * 200, key=key, parent="P" * 26, kind="action", at=-(10**14))
    assert world.cancel(job_id) == ["canceled"]
    assert world.exists(f"job:{job_id}", f"key:{key}") == 0


@pytest.mark.parametrize(("spare", "inlined"), [(0, True), (1, False)], ids=["4096 bytes", "4097 bytes"])
def test_large_specs_stay_in_their_key(world: World, spare: int, inlined: bool) -> None:
    empty = world.schedule(args=values.pack([b"x" * 1000], "args") + values.pack({}, "kwargs"), queue="measure")
    size = 4096 - (int(world.command("STRLEN", world.keys.job(empty))) - len("measure") + len("q")) + 1000 + spare
    job_id = world.schedule(args=values.pack([b"x" * size], "args") + values.pack({}, "kwargs"))
    data = world.command("GET", world.keys.job(job_id))
    assert len(data) == 4096 + spare
    ((_, fields),) = world.entries()
    assert fields.get("spec") == (data if inlined else None)


def test_small_specs_are_copied_into_the_entry(world: World) -> None:
    job_id = world.schedule(args=NO_ARGS)
    ((entry, fields),) = world.entries()
    assert fields["spec"] == world.command("GET", world.keys.job(job_id))
    assert fields["attempt"] == b"1"
    assert world.status(job_id) == {"token": fields["token"], "entry": entry.encode()}


def test_tokens_never_come_twice(world: World) -> None:
    # C3.1
    world.run(transitions.schedule([world.request() for _ in range(30)], NOW))
    world.run(transitions.schedule([world.request(queue="r") for _ in range(30)], NOW))
    tokens = {fields["token"] for queue in ("q", "r") for _, fields in world.entries(queue)}
    assert len(tokens) == 60


@pytest.mark.parametrize(("count", "wakes"), [(500, 0), (501, 1)])
def test_five_hundred_go_on_at_once_and_the_promoter_takes_the_rest(world: World, count: int, wakes: int) -> None:
    # C2.2
    requests = [world.request() for _ in range(count)]
    world.run(transitions.schedule(requests, NOW))
    assert world.ready() == [request.id for request in requests[:500]]
    assert (len(world.due()), world.wakes()) == (count - 500, wakes)


@pytest.mark.parametrize(("count", "wakes"), [(100, 0), (101, 1)])
def test_behind_others_that_are_due_a_hundred_go_on_at_once(world: World, count: int, wakes: int) -> None:
    # C2.2, C2.4, C3.7
    before = [world.schedule(delay=5) for _ in range(2)]
    world.command("DEL", world.keys.wake)
    requests = [world.request() for _ in range(count)]
    world.run(transitions.schedule(requests, NOW + 5))
    assert world.ready() == [*before, *(request.id for request in requests[:98])]
    assert (len(world.due()), world.wakes()) == (count - 98, wakes)


@pytest.mark.parametrize(
    ("delays", "wakes"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([0], 0, id="at once"),
        pytest.param([50], 1, id="the first"),
        pytest.param([50, 60], 1, id="a later one"),
        pytest.param([50, 40, 30], 1, id="at most one token"),
    ],
)
def test_wake(world: World, delays: list[int], wakes: int) -> None:
    # C7.3
    for delay in delays:
        world.schedule(delay=delay)
    assert world.wakes() == wakes


@pytest.mark.parametrize(("delay", "wakes"), [(49, 1), (50, 0), (51, 0)])
def test_only_a_new_earliest_job_wakes(world: World, delay: int, wakes: int) -> None:
    # C7.3
    world.schedule(delay=50)
    world.command("DEL", world.keys.wake)
    world.schedule(delay=delay)
    assert world.wakes() == wakes


@pytest.mark.parametrize("key", ["wake", "queues", "due:q", "ready:q"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    world.break_key(key)
    world.refuses(transitions.schedule([world.request(queue="r"), world.request(key="k")], NOW))


@pytest.mark.parametrize("key", ["done:canceled", "done:success", "expiry", "settings"])
def test_wrong_type_for_a_job_born_canceled(world: World, key: str) -> None:
    # C6.3
    world.break_key(key)
    world.refuses(transitions.schedule([world.request(), world.request(born="canceled", parent="P")], NOW))


@pytest.mark.parametrize("key", ["key:k", "status:P", f"stats:{NAME}"])
def test_a_damaged_key_of_one_job_keeps_none_from_being_scheduled(world: World, key: str) -> None:
    # C2.8, C2.10: an idempotency key that is damaged stands for nothing.
    world.break_key(key)
    requests = [world.request(key="k"), world.request(parent="P"), world.request(born="canceled")]
    assert [word for word, _ in world.run(transitions.schedule(requests, NOW))] == [Word.OK] * 3
    assert world.command("GET", world.key("key:k")).decode() == requests[0].id


@pytest.mark.parametrize("key", ["status", "job"])
def test_others_that_are_due_and_damaged_go_on_too(world: World, key: str) -> None:
    """C6.3: they are looked at after the call's own writes, and half of it stayed when that failed."""
    damaged = world.schedule(delay=5)
    world.break_key(f"{key}:{damaged}")
    world.now += 5
    mine = world.schedule()
    assert (world.ready(), list(world.due())) == ([damaged], [mine])


def test_attempts_that_are_no_number(world: World) -> None:
    # C6.3: as above.
    damaged = world.schedule(delay=5)
    world.command("HSET", world.keys.status(damaged), "attempts", "many")
    world.now += 5
    world.schedule()
    assert world.ready()[0] == damaged


def test_time_comes_from_the_server(world: World) -> None:
    # C2.1: without a clock by hand.
    seconds, _ = world.command("TIME")
    request = world.request(delay=60_000)
    world.run(transitions.schedule([request]))
    assert world.due()[request.id] - int(seconds) * 1000 in range(60_000, 70_000)


def test_a_delay_is_never_rounded_down(world: World) -> None:
    # C7.3: the server's clock has microseconds, due times have not.
    for _ in range(20):
        seconds, micros = world.command("TIME")
        request = world.request(delay=1)
        world.run(transitions.schedule([request]))
        assert world.due()[request.id] * 1000 >= int(seconds) * 1_000_000 + int(micros) + 1000


def test_what_waits_has_no_end_of_its_own(world: World) -> None:
    # C7.3: nothing due is skipped, however long it waits.
    world.schedule(delay=9, key="k")
    world.schedule()
    assert world.photo().volatile == set()


def test_tokens_differ_even_if_redis_has_lost_its_memory(world: World) -> None:
    # C3.1: a server that took over without the last writes must not hand out what an old worker still holds.
    requests, tokens = [world.request()], set()
    for _ in range(2):
        world.run(transitions.schedule(requests, NOW))
        tokens |= {fields["token"] for _, fields in world.entries()}
        world.command("DEL", *world.all_keys())
    assert len(tokens) == 2


def test_what_is_due_now_keeps_the_order_of_the_call(world: World) -> None:
    # C3.7: ties in order of scheduling.
    requests = [world.request() for _ in range(5)]
    requests = [requests[n] for n in (3, 0, 4, 1, 2)]
    world.run(transitions.schedule(requests, NOW))
    assert (world.ready(), world.due()) == ([request.id for request in requests], {})


def test_what_is_due_now_goes_behind_what_has_been_due_for_longer(world: World) -> None:
    # C2.4, C3.7
    waiting = [world.schedule(delay=10) for _ in range(3)]
    world.now += 20
    world.run(transitions.schedule([world.request() for _ in range(3)], world.now))
    assert world.ready() == waiting


def test_queues_of_one_call_do_not_hold_up_each_other(world: World) -> None:
    crowded = [world.request() for _ in range(501)]
    other = world.request(queue="other")
    world.run(transitions.schedule([*crowded, other], NOW))
    assert (len(world.ready()), world.ready("other"), len(world.due())) == (500, [other.id], 1)


@pytest.mark.parametrize("place", [0, 199, 200, 449])
def test_an_id_that_is_known_is_found_wherever_it_stands(world: World, place: int) -> None:
    # C2.10
    requests = [world.request(delay=5) for _ in range(450)]
    world.run(transitions.schedule([requests[place]], NOW))
    words = [word for word, _ in world.run(transitions.schedule(requests, NOW))]
    assert [number for number, word in enumerate(words) if word is Word.EXISTS] == [place]
    assert len(world.due()) == 450

"""mend: each thing out of place, what `examine` says of it, and where it is afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scheduler import transitions, values, versions
from scheduler.doctor.calls import Row, Verdict, examine, mend
from scheduler.keys import GROUP
from scheduler.script_call import Word
from scheduler.transitions import Expired
from tests.transitions.conftest import ERROR, NAME, NOW, WORKER, World

LEASE_MS = 1000
DOCUMENT = values.pack({"f": 1}, "document")
Check = Callable[[World], None]


def mended(world: World, row: Row, verdict: Verdict, by: Verdict | None = None) -> None:
    """It is found so, mended as such, and in order afterwards; nothing happens the second time."""
    assert world.changes_nothing(examine([row]))[0].verdict is verdict
    call = mend([row], LEASE_MS, world.now)
    assert world.run(call) == [by or verdict]
    assert world.run(examine([row]))[0].verdict in (Verdict.OK, verdict if by is Verdict.OK else Verdict.OK)
    assert world.changes_nothing(call) == [Verdict.OK]


def runs(world: World, job_id: str) -> None:
    """It is delivered, and ends well."""
    (delivery,) = [one for one in world.claim() if one.job_id == job_id]
    assert world.commit(delivery) is Word.OK


def test_empty(world: World) -> None:
    assert world.changes_nothing(mend([], LEASE_MS, NOW)) == []


def test_in_order(world: World) -> None:
    job_id = world.schedule(delay=9)
    rows = [Row("job", job_id), Row("job", job_id, "due:q"), Row("job", "missing"), Row("key", "k"), Row("queue", "q")]
    assert world.changes_nothing(mend(rows, LEASE_MS, NOW)) == [Verdict.OK] * 5


@pytest.mark.parametrize(
    "member", [b"x0000000000000001t:1003", b"x", b"", b"\xff-12", b"x0000000000000001t:1inf", b"t:1999"]
)
def test_an_entry_of_no_document_leaves_its_index(world: World, member: bytes) -> None:
    # C6.1
    world.command("ZADD", world.key("index:t:f"), 0, member)
    mended(world, Row("member", member, "index:t:f"), Verdict.DANGLING)
    assert world.index("t:f") == []


def test_members_of_documents_stay(world: World) -> None:
    # C6.1
    world.run(versions.declare(["t:f"]))
    world.write(("add", "t:1", DOCUMENT), entries=[("add", "t:f", "t:1", b"x")], catalog=world.catalog())
    ((entry, _),) = world.index("t:f")
    rows = [Row("member", b"t:1", "table:t"), Row("member", entry, "index:t:f")]
    assert world.changes_nothing(mend(rows, LEASE_MS, NOW)) == [Verdict.OK] * 2
    world.command("DEL", world.keys.document("t:1"))
    assert [row.shown for row in rows] == ["t:1", "t:1"]
    for row in rows:
        mended(world, row, Verdict.DANGLING)
    assert world.exists("table:t", "index:t:f") == 0


@pytest.mark.parametrize("key", ["table:t", "index:t:f"])
def test_a_table_of_another_type_is_left_alone(world: World, key: str) -> None:
    world.break_key(key)
    assert world.changes_nothing(mend([Row("member", b"t:1", key)], LEASE_MS, NOW)) == [Verdict.OK]


@pytest.mark.parametrize("way", ["XTRIM", "XDEL", "DEL", "due", "held"])
def test_a_lost_job_is_delivered(world: World, way: str) -> None:
    # C7.3
    delivery = None
    if way == "due":
        job_id: str = world.schedule(delay=99)
        world.command("ZREM", world.keys.due("q"), job_id)
    else:
        if way == "held":
            delivery = world.deliver()
        job_id = delivery.job_id if delivery else world.schedule()
        stream = world.keys.ready("q")
        entry = world.entries()[0][0]
        world.command(
            *{"XDEL": ("XDEL", stream, entry), "DEL": ("DEL", stream)}.get(way, ("XTRIM", stream, "MAXLEN", 0))
        )
    mended(world, Row("job", job_id), Verdict.LOST)
    if delivery is not None:
        assert world.commit(delivery) is Word.LOST  # the fence
    runs(world, job_id)


def test_an_entry_of_another_delivery_is_not_its_own(world: World) -> None:
    # C3.1
    job_id = world.schedule()
    world.command("HSET", world.keys.status(job_id), "token", "another")
    (entry, _) = world.entries()[0]
    mended(world, Row("job", job_id), Verdict.LOST)
    mended(world, Row("entry", "q", entry), Verdict.STALE)
    runs(world, job_id)


def test_an_action_that_nobody_watches_gets_a_lease(world: World) -> None:
    # C3.5: if its worker is dead, it fails.
    delivery = world.begin()
    world.command("ZREM", world.keys.running, delivery.job_id)
    mended(world, Row("job", delivery.job_id), Verdict.UNWATCHED)
    assert world.run(transitions.expire(10, ERROR, NOW + LEASE_MS)) == Expired(1, None)


@pytest.mark.parametrize("keys", [("done:success",), ("expiry", "done:success")])
@pytest.mark.parametrize("apart", [False, True], ids=["of the app's retention", "of its function's"])
def test_a_record_that_is_not_listed(world: World, keys: tuple[str, ...], apart: bool) -> None:
    # C5.3: nothing would ever remove it.
    world.settings(**{f"keep_ms:{NAME}" if apart else "keep_ms": 5000})
    job_id = world.in_state("success").job_id
    for key in keys:
        world.command("ZREM", world.key(key), job_id)
    mended(world, Row("job", job_id), Verdict.UNLISTED)
    assert world.run(transitions.prune(10, NOW + 10**6))[:2] == (1, False)
    assert world.job(job_id) is None


@pytest.mark.parametrize("place", ["due:q", "running", "done:success", "expiry"])
@pytest.mark.parametrize("what", ["no job", "in another state"])
def test_a_member_that_has_no_business_there(world: World, place: str, what: str) -> None:
    job_id = "missing"
    if what == "in another state":
        job_id = world.in_state("failed").job_id if place != "expiry" else world.schedule(delay=9)
    world.command("ZADD", world.key(place), NOW + 99, job_id)
    mended(world, Row("job", job_id, place), Verdict.DANGLING)
    assert world.command("ZSCORE", world.key(place), job_id) is None


def test_the_status_of_no_job(world: World) -> None:
    world.command("HSET", world.keys.status("gone"), "attempts", 1)
    mended(world, Row("job", "gone"), Verdict.ORPHAN)
    assert world.all_keys() == []


def test_an_idempotency_key_of_no_job(world: World) -> None:
    # C2.10
    world.command("SET", world.key("key:k"), "gone")
    mended(world, Row("key", "k"), Verdict.ORPHAN)
    assert world.all_keys() == []


@pytest.mark.parametrize("fields", [("a", "b"), ("job", "x"), ("token", "x")])
def test_a_foreign_entry(world: World, fields: tuple[str, str]) -> None:
    world.make_group()
    entry = world.command("XADD", world.keys.ready("q"), "*", *fields).decode()
    mended(world, Row("entry", "q", entry), Verdict.FOREIGN)
    assert world.entries() == []


def test_an_entry_whose_consumer_was_deleted(world: World) -> None:
    # C7.3: no reader is ever handed it again.
    delivery, held, fresh = world.deliver(), world.deliver(), world.schedule()
    stream = world.keys.ready("q")
    world.command("XCLAIM", stream, GROUP, "w2", 0, held.entry)
    world.command("XGROUP", "DELCONSUMER", stream, GROUP, WORKER)
    rows = [Row("entry", "q", entry) for entry, _ in world.entries()]
    assert [one.verdict for one in world.run(examine(rows))] == [Verdict.STRANDED, Verdict.OK, Verdict.OK]
    mended(world, rows[0], Verdict.STRANDED)
    assert (world.commit(delivery), world.commit(held)) == (Word.LOST, Word.OK)
    assert {one.job_id: world.commit(one) for one in world.claim()} == {delivery.job_id: Word.OK, fresh: Word.OK}


def test_an_entry_of_a_job_that_has_ended(world: World) -> None:
    delivery = world.in_state("success")
    entry = world.command("XADD", world.keys.ready("q"), "*", "job", delivery.job_id, "token", delivery.token).decode()
    mended(world, Row("entry", "q", entry), Verdict.STALE)
    assert world.entries() == []


@pytest.mark.parametrize("other", [False, True])
def test_a_queue_without_a_group(world: World, other: bool) -> None:
    # C7.3: from the first entry on; that of others is none.
    delivery = world.deliver()
    if other:
        world.command("XGROUP", "CREATE", world.keys.ready("q"), "other", "0")
    world.command("XGROUP", "DESTROY", world.keys.ready("q"), GROUP)
    mended(world, Row("queue", "q"), Verdict.GROUPLESS)
    assert world.claim() == [delivery]


def test_a_damaged_status_of_a_pending_job(world: World) -> None:
    # C3.3
    delivery = world.deliver()
    world.break_key(f"status:{delivery.job_id}")
    mended(world, Row("job", delivery.job_id), Verdict.STATUS)
    assert world.commit(delivery) is Word.LOST
    runs(world, delivery.job_id)


@pytest.mark.parametrize("state", ["success", "failed", "canceled"])
def test_a_damaged_status_of_a_job_that_has_ended(world: World, state: str) -> None:
    # C5.1
    delivery = world.in_state(state)
    world.break_key(f"status:{delivery.job_id}")
    mended(world, Row("job", delivery.job_id), Verdict.STATUS)
    assert world.state(delivery.job_id) == state


@pytest.mark.parametrize("way", ["due", "running"])
def test_a_damaged_status_that_mends_itself(world: World, way: str) -> None:
    # C3.5, C7.3: promote delivers it, expire fails it.
    job_id = world.schedule(delay=5) if way == "due" else world.begin().job_id
    world.break_key(f"status:{job_id}")
    mended(world, Row("job", job_id), Verdict.STATUS, by=Verdict.OK)
    assert world.run(transitions.expire(10, ERROR, NOW + 9000)).failed == (way == "running")
    assert world.run(transitions.promote("p", 1000, 10, NOW + 5)).moved == (way == "due")


@pytest.mark.parametrize("what", ["another type", "no spec"])
def test_a_damaged_spec_cannot_be_mended(world: World, what: str) -> None:
    job_id = world.schedule(delay=9)
    world.break_key(f"job:{job_id}")
    if what == "no spec":
        world.command("SET", world.keys.job(job_id), b"\x9a\xa1")
    mended(world, Row("job", job_id), Verdict.SPEC, by=Verdict.OK)


@pytest.mark.parametrize("key", ["running", "expiry", "done:failed", "settings", "queues", "wake"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    lost = world.schedule(delay=9)
    world.command("ZREM", world.keys.due("q"), lost)
    world.break_key(key)
    world.refuses(mend([Row("job", lost)], LEASE_MS, NOW))


def test_whoever_holds_it_has_lost_it_only_where_it_was_lost(world: World) -> None:
    # C3.1: in order, nothing is taken from a worker.
    delivery = world.deliver()
    assert world.run(mend([Row("job", delivery.job_id)], LEASE_MS, NOW)) == [Verdict.OK]
    assert world.run(transitions.renew(WORKER, 9, 9, 1, "", {}, {"q": [delivery.entry]}, NOW)).held
    assert world.commit(delivery) is Word.OK

"""Every finding about jobs, queues, workers, keys and documents: brought about, found, and mended where it can be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scheduler import transitions, values, versions
from scheduler.clients import blocking_client
from scheduler.doctor import places
from scheduler.doctor.findings import RULES
from scheduler.keys import GROUP, Keys
from scheduler.script_call import Word
from scheduler.store import BlockingStore
from tests.doctor.conftest import codes, doctor_of, examine, join, now_of
from tests.transitions.conftest import NAME, WORKER, World

Harm = Callable[[World], str | None]
"""Does harm; returns the job that is to run once it is mended, None where none is."""

HARMS: list[tuple[str, Harm]] = []


def harm(code: str) -> Callable[[Harm], Harm]:
    def add(one: Harm) -> Harm:
        HARMS.append((code, one))
        return one

    return add


@harm("worker-silent")
def a_worker_fell_silent(world: World) -> None:
    join(world, "w2")
    world.command("HSET", world.keys.worker("w2"), "seen", world.now - 21_000)


@harm("worker-silent")
def a_heartbeat_has_run_out(world: World) -> None:
    join(world, "w2")
    world.command("DEL", world.keys.worker("w2"))


@harm("queue-unserved")
def jobs_wait_where_nobody_reads(world: World) -> None:
    world.schedule(queue="z")
    world.schedule(queue="z", delay=60_000)


@harm("queue-unserved")
def only_a_silent_worker_reads(world: World) -> None:
    world.schedule(delay=60_000)
    world.command("HSET", world.keys.worker(WORKER), "queues", "r")


@harm("function-unserved")
def a_function_was_dropped(world: World) -> None:
    world.schedule(name="shop:gone", delay=60_000)
    world.schedule(name="shop:gone")


@harm("promoter-missing")
def nobody_promotes(world: World) -> None:
    job_id = world.schedule(delay=60_000)
    world.command("ZADD", world.keys.due("q"), world.now - 5_000, job_id)
    world.command("DEL", world.keys.promoter)


@harm("lease-over")
def nobody_takes_work_back(world: World) -> None:
    delivery = world.deliver()
    world.command("XCLAIM", world.keys.ready("q"), GROUP, WORKER, 0, delivery.entry, "IDLE", 41_000, "JUSTID")


@harm("lease-over")
def nobody_fails_lost_actions(world: World) -> None:
    delivery = world.begin()
    world.command("ZADD", world.keys.running, world.now - 41_000, delivery.job_id)


@harm("queue-damaged")
def a_due_set_of_another_type(world: World) -> None:
    world.command("SET", world.keys.due("q"), "damaged")


@harm("group-missing")
def a_group_was_destroyed(world: World) -> str:
    job_id = world.schedule()
    world.command("XGROUP", "DESTROY", world.keys.ready("q"), GROUP)
    return job_id


@harm("entry-foreign")
def somebody_else_wrote_to_a_stream(world: World) -> None:
    world.command("XADD", world.keys.ready("q"), "*", "hello", "world")


@harm("entry-stale")
def an_entry_that_counts_no_longer(world: World) -> None:
    delivery = world.in_state("success")
    world.command("XADD", world.keys.ready("q"), "*", "job", delivery.job_id, "token", delivery.token)


@harm("entry-stranded")
def a_consumer_was_deleted_with_what_it_held(world: World) -> str:
    job_id = world.deliver().job_id
    world.command("XGROUP", "DELCONSUMER", world.keys.ready("q"), GROUP, WORKER)
    return job_id


@harm("job-lost")
def a_stream_was_trimmed(world: World) -> str:
    job_id = world.schedule()
    world.command("XTRIM", world.keys.ready("q"), "MAXLEN", 0)
    return job_id


@harm("job-lost")
def a_member_was_removed(world: World) -> str:
    job_id = world.schedule(delay=60_000)
    world.command("ZREM", world.keys.due("q"), job_id)
    return job_id


@harm("job-lost")
def a_stream_was_deleted_with_what_a_worker_held(world: World) -> str:
    job_id = world.deliver().job_id
    world.command("XDEL", world.keys.ready("q"), world.entries()[0][0])
    return job_id


@harm("action-unwatched")
def an_action_without_a_lease(world: World) -> None:
    delivery = world.begin()
    world.command("ZREM", world.keys.running, delivery.job_id)


@harm("record-unlisted")
def a_record_that_nothing_removes(world: World) -> None:
    world.command("ZREM", world.key("done:failed"), world.in_state("failed").job_id)


@harm("member-dangling")
def a_due_member_without_a_spec(world: World) -> None:
    world.command("ZADD", world.keys.due("q"), world.now + 60_000, "gone")


@harm("member-dangling")
def a_record_was_deleted_by_hand(world: World) -> None:
    job_id = world.in_state("success").job_id
    world.command("DEL", world.keys.job(job_id), world.keys.status(job_id))


@harm("member-dangling")
def running_without_a_status(world: World) -> None:
    world.command("ZADD", world.keys.running, world.now + 60_000, "gone")


@harm("member-dangling")
def a_document_was_deleted_by_hand(world: World) -> None:
    world.write(("add", "t:1", values.pack({"f": 1}, "document")))
    world.command("DEL", world.keys.document("t:1"))


@harm("member-dangling")
def an_entry_was_added_by_hand(world: World) -> None:
    world.command("ZADD", world.key("index:t:f"), 0, "no entry at all")


@harm("status-orphan")
def a_status_without_a_job(world: World) -> None:
    world.command("HSET", world.keys.status("gone"), "attempts", 1)


@harm("status-damaged")
def a_status_of_another_type(world: World) -> str:
    job_id = world.schedule()
    world.break_key(f"status:{job_id}")
    return job_id


@harm("spec-damaged")
def a_spec_of_another_type(world: World) -> None:
    world.break_key(f"job:{world.schedule(delay=60_000)}")


@harm("spec-damaged")
def a_spec_of_garbage(world: World) -> None:
    world.command("SET", world.keys.job(world.schedule(delay=60_000)), b"\xff\x00")


@harm("key-orphan")
def an_idempotency_key_without_a_job(world: World) -> None:
    world.command("SET", world.key("key:k"), "gone")


@harm("key-damaged")
def counters_of_another_type(world: World) -> None:
    world.break_key(f"stats:{NAME}")


@harm("key-endless")
def mail_that_stays(world: World) -> None:
    world.command("RPUSH", world.keys.mail("m"), "gone")


@harm("key-foreign")
def somebody_else_writes_under_the_prefix(world: World) -> None:
    world.command("SET", world.key("cache:page"), "1")


@harm("key-foreign")
def a_name_that_is_no_text(world: World) -> None:
    world.command("SET", world.keys.prefix.encode() + b"\xff\xfe", "1")


@harm("index-unbuilt")
def an_index_that_nobody_builds(world: World) -> None:
    world.write(("add", "t:1", values.pack({"f": 1}, "document")))
    world.run(versions.declare(["t:f"]))


@harm("document-damaged")
def a_document_that_is_no_value(world: World) -> None:
    world.write(("add", "t:1", b"\xc1"))


@harm("document-damaged")
def a_document_without_a_number(world: World) -> None:
    world.write(("add", "t:1", values.pack({"f": 1}, "document")))
    world.command("HDEL", world.keys.document("t:1"), "created")


@harm("clock-jumped")
def a_heartbeat_in_the_future(world: World) -> None:
    world.command("HSET", world.keys.worker(WORKER), "seen", world.now + 60_000)


@pytest.mark.parametrize(("code", "does"), HARMS, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_harm_is_found_and_mended(world: World, code: str, does: Harm) -> None:
    job_id = does(world)
    doctor = doctor_of(world.store, deep=True)
    findings = doctor.examine()
    assert codes(findings) == [code]
    (finding,) = findings
    assert finding.said
    before = world.dump()
    mended, left = doctor.treat(findings)
    assert bool(mended) == finding.rule.fixable
    if finding.rule.fixable:
        assert (mended[0].code, left) == (code, [])
    else:
        assert world.dump() == before
    if job_id is not None:
        (delivery,) = [one for one in world.claim() if one.job_id == job_id]
        assert world.commit(delivery) is Word.OK
        assert doctor.examine() == []


ELSEWHERE = {
    "server-old", "server-replica", "memory-evicting", "memory-evicted", "memory-full", "memory-short", "disk-none",
    "disk-snapshots", "disk-failing", "replica-behind", "clock-off", "rights-missing", "not-all-seen", "not-asked",
    "app-absent",
}  # fmt: skip
"""What other tests bring about: `test_server.py`, and below."""


def test_every_finding_is_brought_about() -> None:
    assert {code for code, _ in HARMS} | ELSEWHERE == set(RULES)
    assert not {code for code, _ in HARMS} & (ELSEWHERE - {"clock-jumped"})


def test_a_healthy_deployment_has_nothing(world: World) -> None:
    for state in ("inProgress", "success", "failed", "canceled", "canceled action"):
        world.in_state(state, key=state)
    world.schedule(delay=60_000, key="k")
    world.schedule()
    world.deliver()
    world.run(transitions.watch(world.schedule(delay=60_000), "m"))
    world.write(("add", "t:1", values.pack({"f": 1}, "document")))
    world.settings(keep_ms=0)
    world.in_state("success")
    world.settings(keep_ms=10**9)
    assert examine(world.store, deep=True) == []


def test_an_app_that_is_not_here_is_not_well(sick_url: str) -> None:
    """A name with a slip in it was examined, and all was well."""
    with blocking_client(sick_url) as client:
        (finding,) = examine(BlockingStore(Keys("shpo"), client))
    assert (finding.code, finding.said) == ("app-absent", "nothing of shpo")


def test_a_job_is_one_thing_wherever_it_is_met(world: World) -> None:
    job_id = world.in_state("success").job_id
    world.command("SET", world.keys.job(job_id), "no spec")
    (finding,) = examine(world.store)
    assert (finding.code, finding.said, finding.names) == ("spec-damaged", "1 spec that cannot be read", (job_id,))


def test_what_was_mended_by_another_meanwhile_stays_as_it_is(world: World) -> None:
    job_id = a_stream_was_trimmed(world)
    doctor, other = doctor_of(world.store), doctor_of(world.store)
    findings = doctor.examine()
    assert other.mend(other.examine())
    (delivery,) = world.claim()
    assert doctor.mend(findings) == []
    assert (delivery.job_id, world.commit(delivery)) == (job_id, Word.OK)


def test_several_findings_the_worst_first(world: World) -> None:
    an_idempotency_key_without_a_job(world)
    a_stream_was_trimmed(world)
    somebody_else_wrote_to_a_stream(world)
    assert codes(examine(world.store)) == ["job-lost", "entry-foreign", "key-orphan"]


def test_much_is_looked_at_in_part_without_deep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run(transitions.schedule([world.request(delay=60_000) for _ in range(600)], world.now))
    world.run(transitions.schedule([world.request() for _ in range(100)], world.now))
    monkeypatch.setattr(places, "MOST", 1)
    monkeypatch.setattr(places, "PAGE", 50)
    (finding,) = examine(world.store)
    assert (finding.code, "due:q" in finding.names, "ready:q" in finding.names) == ("not-all-seen", True, True)
    looked: list[int] = []
    assert examine(world.store, deep=True, advance=looked.append) == []
    assert sum(looked) > 700


def test_not_all_keys_without_deep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run(transitions.schedule([world.request(delay=60_000) for _ in range(300)], world.now))
    monkeypatch.setattr(places, "MOST_KEYS", 1)
    monkeypatch.setattr(places, "SCAN_COUNT", 10)
    (finding,) = examine(world.store)
    assert (finding.code, finding.names) == ("not-all-seen", ("keys",))


def test_many_names_are_cut(world: World) -> None:
    for number in range(9):
        world.command("SET", world.key(f"cache:{number}"), "1")
    (finding,) = examine(world.store)
    assert len(finding.names) == 9
    assert finding.subject.endswith("and 4 more")


@pytest.mark.parametrize("key", ["queues", "workers", "worker:w1", "running", "indexes", "functions"])
def test_a_damaged_key_keeps_no_other_subject_from_being_asked(world: World, key: str) -> None:
    world.break_key(key) if key not in ("functions", "worker:w1") else world.command("SET", world.key(key), "damaged")
    found = codes(examine(world.store))
    assert "key-damaged" in found or "not-asked" in found


def test_a_worker_with_a_longer_lease_is_not_silent(world: World) -> None:
    join(world, "w2", lease_ms=60_000)
    world.command("HSET", world.keys.worker("w2"), "seen", now_of(world.store) - 100_000)
    assert examine(world.store) == []


def test_an_index_that_is_being_built_is_no_finding(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    an_index_that_nobody_builds(world)
    catalog = world.catalog()

    def builds(_: float) -> None:
        world.run(versions.reindex("t:f", 0, 1, [], catalog))

    monkeypatch.setattr("scheduler.doctor.doctor.time.sleep", builds)
    assert examine(world.store) == []


def test_a_user_who_may_do_everything_lacks_nothing(world: World) -> None:
    world.command("ACL", "SETUSER", "doctor", "on", "~*", "+@all")
    try:
        assert examine(world.store, user="doctor") == []
    finally:
        world.command("ACL", "DELUSER", "doctor")

"""Bytes in Redis that nobody wrote, under a living worker: each job ends and says why, and nothing else is hindered."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler import DamagedData, DuestreamError, Job, JobState
from scheduler.keys import GROUP
from tests.faults.corpus import raw
from tests.faults.corpus.stage import DEADLINE_S, LEASE_MS, Stage
from tests.worker.processes import wait_until

LATER = 3_600_000


def plant(stage: Stage, name: str, kind: str) -> None:
    """Put a key of a type there."""
    command = {"string": "SET", "hash": "HSET", "list": "RPUSH"}[kind]
    noise = ("noise", "1") if kind == "hash" else ("noise",)
    # In one step: the worker makes a stream that is missing again at once.
    script = "redis.call('DEL', KEYS[1]) return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))"
    stage.store.execute("EVAL", script, 1, stage.keys.prefix + name, command, *noise)


def make_due(stage: Stage, *job_ids: str | bytes, queue: str = "default") -> None:
    for job_id in job_ids:
        stage.store.execute("ZADD", stage.keys.due(queue), 0, job_id)
    stage.store.execute("RPUSH", stage.keys.wake, "1")


def ended(stage: Stage, job_id: str) -> Job:
    """The record of a job, once nothing of it waits any more."""
    wait_until(lambda: _state(stage, job_id) is not None, DEADLINE_S, "the job's end")
    job = stage.blocking.get(job_id)
    assert job is not None
    return job


def _state(stage: Stage, job_id: str) -> Any:
    return stage.store.execute("HGET", stage.keys.status(job_id), "completed")


def forget(stage: Stage, job_id: str) -> None:
    """Take a damaged job away: what is read of it later is another test's."""
    for state in ("success", "failed", "canceled"):
        stage.store.execute("ZREM", stage.keys.done(JobState(state)), job_id)
    stage.store.execute("ZREM", stage.keys.prefix + "expiry", job_id)
    stage.store.execute("DEL", stage.keys.job(job_id), stage.keys.status(job_id))


@pytest.mark.parametrize("name", raw.SPECS)
def test_a_damaged_spec_fails_its_job(stage: Stage, name: str) -> None:
    """Or runs it, where what was changed is nothing that counts; then it succeeds."""
    # C1.4, C2.6, C3.2
    job_id = stage.blocking.run_after(LATER, "corpus:take", value=1)
    stage.store.execute("SET", stage.keys.job(job_id), raw.SPECS[name])
    began = time.monotonic()
    make_due(stage, job_id)
    job = ended(stage, job_id)
    assert time.monotonic() - began < DEADLINE_S
    if job.state is JobState.FAILED:
        assert job.error is not None
        assert job.error.message
        assert "this was unpickled" not in job.error.message
        assert len(job.error.message) <= 4_000
    else:
        assert name in {
            "a key that stands for another",
            "an unknown kind",
            "a word as its parent",
            "no queue",
            "a number of 100 kB",
        }
    shown = stage.cli("job", "show", job_id)
    assert shown.exit_code == 0, shown.output
    assert json.loads(stage.cli("job", "list", "--json").stdout)["jobs"]
    forget(stage, job_id)


@pytest.mark.parametrize("name", raw.STATUSES)
def test_a_damaged_status_of_a_job_that_waits(stage: Stage, name: str) -> None:
    # C3.1: the job beside it is not touched.
    broken, sound = (stage.blocking.run_after(LATER, "corpus:take", value=n) for n in range(2))
    fields = [part for pair in raw.STATUSES[name].items() for part in pair]
    stage.store.execute("HSET", stage.keys.status(broken), *fields)
    make_due(stage, broken, sound)
    assert stage.blocking.result(sound, timeout=DEADLINE_S) == 1
    job = ended(stage, broken)
    assert job.state in (JobState.SUCCESS, JobState.FAILED)
    assert stage.cli("job", "show", broken).exit_code == 0
    forget(stage, broken)


@pytest.mark.parametrize("name", raw.ENDED)
def test_a_damaged_record_is_shown_and_hides_no_other(stage: Stage, name: str) -> None:
    # C5.2, C5.4
    broken, sound = (stage.blocking.run_after(0, "corpus:take", value=n) for n in range(2))
    assert [stage.blocking.result(one, timeout=DEADLINE_S) for one in (broken, sound)] == [0, 1]
    fields = [part for pair in raw.ENDED[name].items() for part in pair]
    stage.store.execute("HDEL", stage.keys.status(broken), "result")
    stage.store.execute("HSET", stage.keys.status(broken), *fields)
    listed = {job.id: job for job in stage.blocking.list(limit=1_000).jobs}
    assert listed[sound].result == 1
    job = stage.run_async(lambda client: client.get(broken))
    assert job is not None
    if name != "completed in the year 30,000":  # a list is of what had ended when it began
        assert listed[broken] == job
    for words in (("job", "show", broken), ("job", "show", broken, "--json"), ("job", "list")):
        assert stage.cli(*words).exit_code == 0, stage.cli(*words).output
    if job.state.final and "state" not in raw.ENDED[name] and "result" in raw.ENDED[name]:
        with pytest.raises(DamagedData, match=broken):
            stage.blocking.result(broken, timeout=1)
    forget(stage, broken)


@pytest.fixture(scope="module")
def entries(long_lived_stage: Stage) -> Iterator[dict[str, bytes]]:
    """All foreign entries in one stream at once, and jobs between them; the ids of the entries by name."""
    stage = long_lived_stage
    planted: dict[str, bytes] = {}
    stream = stage.keys.ready("default")
    done = stage.end_of(stage.blocking.run_after(0, "corpus:take", value=1))
    token = stage.store.execute("HGET", stage.keys.status(done.id), "token")
    jobs: list[str] = []
    for name, entry in raw.ENTRIES.items():
        planted[name] = stage.store.execute("XADD", stream, "*", *(p for pair in entry.fields.items() for p in pair))
        jobs.append(stage.blocking.run_after(0, "corpus:take", value=len(jobs)))
    planted["of a job that has ended"] = stage.store.execute(
        "XADD", stream, "*", "job", done.id, "token", token or "t", "attempt", "1", "spec", raw.SOUND
    )
    planted["with another's token"] = stage.store.execute(
        "XADD", stream, "*", "job", done.id, "token", "other", "attempt", "1", "spec", raw.SOUND
    )
    assert [stage.blocking.result(one, timeout=DEADLINE_S) for one in jobs] == list(range(len(jobs)))
    yield planted
    stage.check_idle()


@pytest.mark.parametrize("name", [*raw.ENTRIES, "of a job that has ended", "with another's token"])
def test_a_foreign_entry_is_passed_over_and_taken_away(
    long_lived_stage: Stage, entries: dict[str, bytes], name: str
) -> None:
    # C3.3: what nobody can end goes when the lease is over.
    stage, entry = long_lived_stage, entries[name]
    stream = stage.keys.ready("default")
    wait_until(lambda: not stage.store.execute("XRANGE", stream, entry, entry), LEASE_MS / 1000 + DEADLINE_S, name)
    assert not stage.store.execute("XPENDING", stream, GROUP, entry, entry, 1)
    assert stage.worker.alive


def test_entries_that_a_foreign_consumer_holds_come_back(stage: Stage) -> None:
    """Somebody read the group by another name, and never acked."""
    # C3.3
    stream = stage.keys.ready("away")
    job_id = stage.blocking.options(queue="away").run_after(0, "corpus:take", value=1)
    stage.store.execute("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM")
    assert stage.store.execute("XREADGROUP", "GROUP", GROUP, b"\xff stranger", "COUNT", 10, "STREAMS", stream, ">")
    wait_until(lambda: _given_back(stage, stream), LEASE_MS / 1000 + DEADLINE_S, "the entry given back")
    assert stage.blocking.cancel(job_id).value == "canceled"
    stage.store.execute("DEL", stream)


def _given_back(stage: Stage, stream: str) -> bool:
    length, pending = stage.store.execute("XLEN", stream), stage.store.execute("XPENDING", stream, GROUP)[0]
    return bool(length == 1 and pending == 0)


def test_a_job_in_two_queues_runs_once(stage: Stage) -> None:
    # C3.1, C3.5
    for name in ("corpus:take", "corpus:probe_action"):
        job_id = stage.blocking.run_after(LATER, name)
        stage.store.execute("SADD", stage.keys.queues, "other")
        stage.store.execute("ZADD", stage.keys.due("other"), 4_102_444_800_000, job_id)
        make_due(stage, job_id)
        assert stage.end_of(job_id).state is JobState.SUCCESS
        make_due(stage, job_id, queue="other")
        wait_until(
            lambda: not stage.store.execute("EXISTS", stage.keys.due("other")), DEADLINE_S, "the second member gone"
        )
        job = stage.blocking.get(job_id)
        assert job is not None
        assert (job.state, job.attempts) == (JobState.SUCCESS, 1)
    stage.store.execute("SREM", stage.keys.queues, "other")
    stage.store.execute("DEL", stage.keys.ready("other"))


@pytest.mark.parametrize("name", raw.DUE)
def test_a_foreign_member_of_a_due_set_is_dropped(stage: Stage, name: str) -> None:
    member, score = raw.DUE[name]
    stage.store.execute("ZADD", stage.keys.due("default"), score, member)
    stage.store.execute("RPUSH", stage.keys.wake, "1")
    wait_until(lambda: stage.store.execute("ZSCORE", stage.keys.due("default"), member) is None, DEADLINE_S, name)


def test_a_member_due_at_infinity_holds_up_nobody(stage: Stage) -> None:
    """The promoter read the next due time as a number, and fell over infinity once a second."""
    # C7.3
    due = stage.keys.due("default")
    stage.store.execute("ZADD", due, "inf", "never")
    job_id = stage.blocking.run_after(50, "corpus:take", value=1)
    assert stage.blocking.result(job_id, timeout=DEADLINE_S) == 1
    assert stage.cli("queue", "list").exit_code == 0
    page = stage.blocking.list(state="pending", limit=1)
    while page.cursor is not None:
        page = stage.blocking.list(state="pending", limit=1, cursor=page.cursor)
    stage.store.execute("ZREM", due, "never")


@pytest.mark.parametrize("name", raw.DOCUMENTS)
def test_a_damaged_document_is_named_and_harms_no_other(stage: Stage, name: str) -> None:
    # C6.3
    key = stage.keys.document("kept:one")
    stage.store.execute("HSET", key, *(part for pair in raw.DOCUMENTS[name].items() for part in pair))
    read = [stage.blocking.run_after(0, "corpus:read", document) for document in ("kept:one", "kept:two", "kept:three")]
    job = stage.end_of(read[0])
    assert job.error is not None
    assert (job.state, "kept:one" in job.error.message) == (JobState.FAILED, True), job.error
    assert [stage.blocking.result(one, timeout=DEADLINE_S) for one in read[1:]] == [False, False]
    with pytest.raises(DamagedData, match="kept:one"):
        stage.blocking.db.get("kept:one")
    with pytest.raises(DamagedData, match="kept:one"):
        stage.run_async(lambda client: client.db.get("kept:one"))
    shown = stage.cli("db", "get", "kept:one")
    assert (shown.exit_code, "kept:one" in shown.stderr, "Traceback" in shown.stderr) == (1, True, False)
    stage.store.execute("DEL", key)


def look_at_everything(stage: Stage) -> None:
    """All that clients and operators can ask: an answer or an error of the tree, never anything else."""
    client = stage.blocking
    calls = (
        lambda: client.run_after(LATER, "corpus:take", value=1),
        lambda: client.list(),
        lambda: client.count(function="corpus:take"),
        lambda: client.count(),
        lambda: client.cancel_all(queue="default"),
        lambda: client.get("01JD6Q2M8XK0T9V4W5Y7Z3ABCD"),
        lambda: client.cancel("01JD6Q2M8XK0T9V4W5Y7Z3ABCD"),
        lambda: client.result("01JD6Q2M8XK0T9V4W5Y7Z3ABCD", timeout=0),
        lambda: client.db.get("t:one"),
        lambda: client.db.query("t").collect(),
    )
    for call in calls:
        with contextlib.suppress(DuestreamError):
            call()
    for words in (
        ("info",),
        ("queue", "list"),
        ("worker", "list"),
        ("function", "list"),
        ("job", "list"),
        ("job", "count"),
        ("db", "tables"),
        ("db", "indexes"),
        ("db", "list", "t"),
    ):
        for more in ((), ("--json",)):
            result = stage.cli(*words, *more)
            assert result.exit_code in (0, 1), (words, result.output)
            assert isinstance(result.exception, SystemExit | None), (words, result.exception)
            assert "Traceback" not in result.stderr


HOLD_UP = {"a sequence of letters"}
"""What hinders all mutations while it is there: the numbers of creation would come twice."""


@contextlib.contextmanager
def damaged(stage: Stage, name: str) -> Iterator[None]:
    """Put back what was there before, however the test ends: no other test is to stumble over it."""
    key = stage.keys.prefix + name
    kept = stage.store.execute("DUMP", key)
    try:
        yield
    finally:
        stage.store.execute("DEL", key)
        if kept is not None and not name.startswith(("ready:", "promoter", "wake")):
            stage.store.execute("RESTORE", key, 0, kept)


@pytest.mark.parametrize(("name", "kind"), raw.WRONG_TYPES, ids=lambda part: part)
def test_a_key_of_the_wrong_type(long_lived_stage: Stage, name: str, kind: str) -> None:
    """Whoever asks gets a typed error; the worker lives, and goes on once the key is gone."""
    stage = long_lived_stage
    with damaged(stage, name):
        plant(stage, name, kind)
        look_at_everything(stage)
        assert stage.worker.alive
    stage.check_alive()
    stage.blocking.cancel_all(queue="default")
    stage.check_idle()


@pytest.mark.parametrize("name", raw.GARBAGE)
def test_contents_that_nobody_wrote(long_lived_stage: Stage, name: str) -> None:
    """What a key of the right type holds besides what belongs there hinders nobody."""
    stage = long_lived_stage
    key, command = raw.GARBAGE[name]
    with damaged(stage, key):
        stage.store.execute(*command(stage.keys.prefix + key))
        look_at_everything(stage)
        if name not in HOLD_UP:
            stage.check_alive()
    stage.check_alive()
    stage.blocking.cancel_all(queue="default")
    stage.check_idle()

"""Cursors: each job once, whatever comes and goes between two pages (C5.4)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from scheduler import (
    App,
    InvalidOption,
    JobPage,
    MutationContext,
    SyncScheduler,
    listing,
    transitions,
    values,
)
from scheduler.ids import JobId
from scheduler.job import Job, JobState
from scheduler.listing import JobFilter
from scheduler.role import Role
from scheduler.script_call import Word
from scheduler.store import BlockingStore
from scheduler.transitions import Commit, Delivery, Retry
from tests.acl import as_user


@pytest.fixture
def client(app: App, url: str) -> Iterator[SyncScheduler]:
    @app.mutation(name="f")
    async def function(ctx: MutationContext) -> None: ...

    with SyncScheduler(app, url=url) as one:
        yield one


@pytest.fixture(autouse=True)
def small_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SCAN", 7)
    monkeypatch.setattr(listing, "MOST_SCANNED", 21)


def equals(client: SyncScheduler, count: int) -> list[JobId]:
    """Jobs of one due time: their score in Redis is the same."""
    probe = (
        client.run_after(0, "f") if "f" not in client.app.functions else client.run_after(0, client.app.functions["f"])
    )
    job = client.get(probe)
    assert job is not None
    client.cancel(probe)
    function = client.app.functions["f"]
    return client.schedule_many(function.at(job.created_time + 60_000) for _ in range(count))


def rest(client: SyncScheduler, cursor: str | None, state: str, limit: int = 5) -> list[str]:
    ids: list[str] = []
    while cursor is not None:
        page = client.list(state=state, limit=limit, cursor=cursor)
        ids += [job.id for job in page.jobs]
        cursor = page.cursor
    return ids


@pytest.mark.parametrize("limit", [1, 6, 7, 8, 100])
def test_equals_are_neither_lost_nor_repeated(client: SyncScheduler, limit: int) -> None:
    ids = equals(client, 40)
    page = client.list(state="pending", limit=limit)
    assert [job.id for job in page.jobs] + rest(client, page.cursor, "pending", limit) == ids


@pytest.mark.parametrize(
    "gone", [[9], [8], [0], [0, 9], [3, 4, 5], list(range(10)), [9, 10], [10, 11], list(range(20))]
)
def test_equals_that_go_between_two_pages_take_no_other_along(client: SyncScheduler, gone: list[int]) -> None:
    """A cursor that only counted equals skipped as many live jobs as had gone before it."""
    ids = equals(client, 40)
    page = client.list(state="pending", limit=10)
    assert [job.id for job in page.jobs] == ids[:10]
    client.cancel_many([ids[number] for number in gone])
    assert rest(client, page.cursor, "pending") == [ids[number] for number in range(10, 40) if number not in gone]


def test_ended_jobs_come_newest_first_in_pages(client: SyncScheduler) -> None:
    ids = equals(client, 40)
    client.cancel_many(ids)
    page = client.list(state="canceled", limit=10)
    seen = [job.id for job in page.jobs] + rest(client, page.cursor, "canceled")
    assert len(seen) == 41
    assert set(ids) < set(seen)


def test_jobs_that_end_between_two_pages_do_not_shift_the_rest(client: SyncScheduler) -> None:
    ids = equals(client, 60)
    client.cancel_many(ids[:30])
    page = client.list(state="canceled", limit=10)
    client.cancel_many(ids[30:])
    seen = [job.id for job in page.jobs] + rest(client, page.cursor, "canceled")
    assert len(seen) == len(set(seen))
    assert set(ids[:30]) <= set(seen)


def walk(client: SyncScheduler, between: Callable[[], None]) -> list[str]:
    """All jobs, a page at a time; `between` happens after the first."""
    page = client.list(limit=10)
    ids: list[str] = [job.id for job in page.jobs]
    between()
    while page.cursor is not None:
        page = client.list(limit=10, cursor=page.cursor)
        ids += [job.id for job in page.jobs]
    return ids


def later(client: SyncScheduler) -> None:
    """Redis time goes on by a ms at least."""
    store = client._store
    assert store is not None
    began = store.execute("TIME")
    while store.execute("TIME")[0] == began[0] and int(store.execute("TIME")[1]) // 1000 <= int(began[1]) // 1000:
        pass


def worker_of(client: SyncScheduler) -> BlockingStore:
    """What a worker may do on the server of a client."""
    assert client._store is not None
    return as_user(client._store, Role.WORKER)


def held(client: SyncScheduler, count: int = 30) -> list[Delivery]:
    """Jobs in a worker's hands."""
    store = worker_of(client)
    client.schedule_many(client.app.functions["f"].after(0) for _ in range(count))
    stream = store.keys.ready("default")
    store.execute("XGROUP", "CREATE", stream, "workers", "0")
    reply = store.execute("XREADGROUP", "GROUP", "workers", "w", "COUNT", count, "STREAMS", stream, ">")
    fields = [(entry.decode(), dict(zip(flat[::2], flat[1::2], strict=True))) for entry, flat in reply[0][1]]
    return [Delivery(f[b"job"].decode(), "default", entry, f[b"token"].decode(), 1) for entry, f in fields]


def moves(client: SyncScheduler, how: str, held: list[Delivery]) -> None:
    store = worker_of(client)
    later(client)
    match how:
        case "begun":
            words = store.run(transitions.begin(held, "w", 60_000))
        case "ended":
            commits = [Commit(one, "f", "", 1, "success", values.pack(None, "result")) for one in held]
            words = store.run(transitions.commit(commits, "w"))
        case "retried later":
            words = store.run(transitions.retry([Retry(one, 1, 60_000) for one in held]))
        case "retried at once":
            words = store.run(transitions.retry([Retry(one, 1, 0) for one in held]))
        case _:
            words = [Word.OK for outcome in client.cancel_many([one.job_id for one in held]) if outcome == "canceled"]
    assert words == [Word.OK] * len(held)


@pytest.mark.parametrize("how", ["canceled", "begun", "ended", "retried later", "retried at once"])
def test_a_job_that_moves_on_between_two_pages_is_not_listed_twice(client: SyncScheduler, how: str) -> None:
    """It was listed as pending, and again where it had come to."""
    jobs = held(client)
    first = [one.job_id for one in jobs[:10]]
    ids = walk(client, lambda: moves(client, how, jobs[:10]))
    assert (ids[:10], len(ids)) == (first, len(set(ids)))
    assert set(ids) == {one.job_id for one in jobs}
    later(client)
    assert len(set(walk(client, lambda: None))) == 30  # a new walk lists them where they are


def test_a_page_is_bounded_also_where_nothing_matches(client: SyncScheduler) -> None:
    equals(client, 60)
    page: JobPage = client.list(state="pending", function="other")
    assert page.jobs == []
    assert page.cursor is not None  # not the last, though empty
    assert client.count(state="pending", function="other") == 0
    assert client.count(state="pending", function="f") == 60


INFINITE = "7@due:default/inf~1~A"
LONG = "7@due:default/5~1~A" + "5~1~A" * 2000


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "7@due:default", "7@99/", "7@due:nowhere/", "7@ready:default/%", "7@due:default/5-0",
        "7@ready:default/5~1~A", "7@due:default/5~1", "7@due:default/e~1~A", "7@due:default/nan~1~A",
        INFINITE, "7@due:default/5~-1~A", "7@due:default/5~x~A", "7@ready:default/5",
        "7@ready:default/-", "7@ready:default/+", "7@due:default/\r\n", "due:default/5~1~A", "@due:default/5~1~A",
        "-1@due:default/5~1~A", "x@due:default/5~1~A", "9" * 17 + "@due:default/5~1~A", LONG,
    ],
    ids=lambda _: "",
)  # fmt: skip
def test_a_cursor_that_no_page_returned_is_refused(client: SyncScheduler, cursor: str) -> None:
    equals(client, 1)
    if cursor in (INFINITE, LONG):
        assert client.list(state="pending", cursor=cursor).cursor is None  # of the right form, and harmless
        return
    with pytest.raises(InvalidOption, match=r"^cursor: not one that"):
        client.list(state="pending", cursor=cursor)


def test_a_filter_looks_at_the_time_a_state_is_listed_by() -> None:
    def job(state: JobState, scheduled: int, completed: int | None = None) -> Job:
        return Job(
            JobId(secrets.token_hex(13)), "f", "mutation", [], {}, state, "q", scheduled, 0, completed_time=completed
        )

    wanted = JobFilter.of(None, None, None, 20, 10)
    assert wanted.matches(job(JobState.PENDING, 10))
    assert not wanted.matches(job(JobState.PENDING, 20))
    assert not wanted.matches(job(JobState.PENDING, 9))
    assert wanted.matches(job(JobState.SUCCESS, 0, 19))
    assert not wanted.matches(job(JobState.SUCCESS, 15, 20))
    assert not JobFilter.of("failed").matches(job(JobState.SUCCESS, 15, 20))
    assert not JobFilter.of(queue="r").matches(job(JobState.SUCCESS, 15, 20))

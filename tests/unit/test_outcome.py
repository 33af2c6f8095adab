"""What follows from how a handler ended: each end for each kind (C3.1 to C3.5)."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import App, MutationContext
from scheduler.call import Request
from scheduler.effects import Effects
from scheduler.errors import Unavailable
from scheduler.ids import JobId
from scheduler.job import JobError
from scheduler.settings import Limits
from scheduler.spec import Spec
from scheduler.transaction import Transaction
from scheduler.transitions import Commit, Delivery, Finish, Retry
from scheduler.versions import Scan
from tests.answers import Answers
from worker.delivery import Held, Interruption
from worker.ended import Conflicted, Died, Ended, Failed, Interrupted, Raised, Returned
from worker.outcome import Again, InTurn, Nothing, after_action, after_conflict, after_mutation, describe, failed_commit

DELIVERY = Delivery("JOB", "orders", "5-0", "TOKEN", 3)
SPEC = Spec(0, 0, "orders", "shop:place", "mutation", "", "key", [], {})
SCAN = Scan("table:t", "BYSCORE", "-inf", "+inf", "asc", 10)
TRANSIENT = (ConnectionError, KeyError)


def held(**fields: Any) -> Held:
    app = App("shop")

    @app.mutation(name="shop:place", timeout=2.5)
    async def place(ctx: MutationContext) -> None: ...

    return Held(DELIVERY, SPEC, function=place, **fields)


async def transaction() -> Transaction:
    redis = Answers(x=b"old")
    one = Transaction(Limits())
    await redis.read(one.get("t:x"))
    await redis.read(one.walk(SCAN))
    one.put("t:y", b"new", new=True)
    one.add_child(Request(JobId("A"), "default", "f", "after", 60_000, "JOB", "", "", b""))
    one.add_child(Request(JobId("B"), "default", "f", "at", 60_000, "JOB", "", "", b""))
    one.cancel("C")
    return one


def cap(attempt: int, base_ms: int, cap_ms: int) -> int:
    return min(cap_ms, base_ms << (attempt - 1))


# Mutations


async def test_a_success_commits_all_effects() -> None:
    # C3.1
    one = await transaction()
    job = held()
    commit = after_mutation(job, Returned(b"result"), one, TRANSIENT, cap)
    assert isinstance(commit, Commit)
    assert (commit.delivery, commit.name, commit.key) == (DELIVERY, "shop:place", "key")
    assert (commit.state, commit.value) == ("success", b"result")
    assert (commit.reads, commit.scans) == (one.reads, [(SCAN, "")])
    assert (commit.writes, commit.cancels) == (one.writes, one.cancels)
    assert [child.id for child in commit.children] == ["A", "B"]


async def test_a_delay_of_a_child_counts_from_the_start() -> None:
    # C2.7
    job = held()
    job.started -= 2.0
    commit = after_mutation(job, Returned(b""), await transaction(), TRANSIENT, cap)
    assert isinstance(commit, Commit)
    assert 2000 <= commit.elapsed_ms < 3000
    assert [child.ms for child in commit.children] == [60_000 - commit.elapsed_ms, 60_000]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), MemoryError(), RecursionError(), OSError("no")])
async def test_a_failure_commits_what_was_read_and_no_effect(error: BaseException) -> None:
    # C3.2
    one = await transaction()
    commit = after_mutation(held(), Raised(error), one, TRANSIENT, cap)
    assert isinstance(commit, Commit)
    assert (commit.state, commit.reads, commit.has_effects) == ("failed", one.reads, False)
    assert commit.scans == one.scans
    assert JobError.unpack(commit.value).type == type(error).__name__


@pytest.mark.parametrize("error", [ConnectionError(), ConnectionResetError(), KeyError("x")])
@pytest.mark.parametrize("share", [0, 400_000, 1_000_000])
async def test_a_transient_error_is_tried_again_later(error: Exception, share: int) -> None:
    # C3.3: how much later, the script says (`tests/transitions/test_retry.py`)
    follows = after_mutation(held(), Raised(error), await transaction(), TRANSIENT, lambda *_: share)
    assert follows == Retry(DELIVERY, 3, 0, "shop:place", share=share)


@pytest.mark.parametrize(("attempt", "most_ms"), [(1, 500), (2, 1_000), (3, 2_000), (30, 2_000)])
async def test_redis_away_makes_no_job_wait_for_long(attempt: int, most_ms: int) -> None:
    # C3.3, C7.3: work goes on when it is back, also after many such times
    job = held()
    job.delivery = DELIVERY._replace(attempt=attempt)
    follows = after_mutation(job, Raised(Unavailable("away")), await transaction(), TRANSIENT, cap)
    assert follows == Retry(job.delivery, attempt, most_ms, "shop:place")


async def test_conflicts_do_not_make_a_lost_connection_wait_longer() -> None:
    # C3.3: ten conflicts and then a lost connection made a job wait for up to eight minutes, also where the conflicts
    # were of earlier deliveries: they are among its attempts
    job = held()
    job.conflicts = 10
    follows = after_mutation(job, Raised(ConnectionError()), await transaction(), TRANSIENT, cap)
    assert follows == Retry(DELIVERY, 13, 0, "shop:place", 10, share=1_000_000)


async def test_the_time_limit_fails_the_job_without_effects() -> None:
    # C3.2
    commit = after_mutation(held(), Interrupted(Interruption.TIME_LIMIT), await transaction(), TRANSIENT, cap)
    assert isinstance(commit, Commit)
    assert (commit.state, commit.has_effects) == ("failed", False)
    assert JobError.unpack(commit.value) == JobError(
        "TimeLimitExceeded", "shop:place: ran longer than its time limit of 2.5 s"
    )


@pytest.mark.parametrize(
    ("ended", "follows"),
    [
        (Interrupted(Interruption.LEASE_LOST), Nothing()),
        (Interrupted(Interruption.STOP), Retry(DELIVERY, 3, 0, "shop:place")),
        (Conflicted(), Again(10)),
    ],
)
async def test_other_ends_of_a_mutation(ended: Ended, follows: object) -> None:
    # C3.1, C3.3
    assert (
        after_mutation(held(conflicts=isinstance(ended, Conflicted)), ended, await transaction(), TRANSIENT, cap)
        == follows
    )


async def test_a_mutation_that_cannot_be_called_fails() -> None:
    # C2.6
    commit = after_mutation(held(), Raised(LookupError("no function")), None, (), cap)
    assert isinstance(commit, Commit)
    assert (commit.state, commit.reads, commit.has_effects) == ("failed", (), False)


@pytest.mark.parametrize(
    ("conflicts", "follows"),
    [
        (1, Again(10)), (2, Again(20)), (3, Again(40)), (4, Again(80)),
        (5, Retry(DELIVERY, 8, 160, "shop:place", 5)), (50, Retry(DELIVERY, 53, 60_000, "shop:place", 50)),
    ],
)  # fmt: skip
def test_conflicts_never_give_up_and_hold_no_lease_for_long(conflicts: int, follows: object) -> None:
    # C3.3
    assert after_conflict(held(conflicts=conflicts), cap) == follows


@pytest.mark.parametrize(
    ("conflicts", "follows"),
    [
        (1, InTurn(0)), (3, InTurn(0)), (4, InTurn(1)), (6, InTurn(4)), (30, InTurn(100)),
        (31, Again(10)), (34, Again(80)), (35, Retry(DELIVERY, 38, 160, "shop:place", 35)),
        (99, Retry(DELIVERY, 102, 60_000, "shop:place", 99)),
    ],
)  # fmt: skip
def test_those_that_lost_over_a_document_take_turns_before_they_wait_longer(conflicts: int, follows: object) -> None:
    # C3.3
    assert after_conflict(held(conflicts=conflicts, contended=("t:x",)), cap) == follows


async def test_conflicts_count_as_attempts() -> None:
    # C5.2
    commit = after_mutation(held(conflicts=2), Returned(b""), await transaction(), TRANSIENT, cap)
    assert isinstance(commit, Commit)
    assert (commit.delivery.attempt, commit.conflicts) == (5, 2)


# Actions


@pytest.mark.parametrize(
    ("ended", "error"),
    [
        (Raised(ConnectionError("no")), ("ConnectionError", "no")),
        (Raised(SystemExit(3)), ("SystemExit", "3")),
        (
            Interrupted(Interruption.TIME_LIMIT),
            ("TimeLimitExceeded", "shop:place: ran longer than its time limit of 2.5 s"),
        ),
        (
            Interrupted(Interruption.STOP),
            ("WorkerStopped", "the worker was stopped, and the action did not end in the time of grace"),
        ),
    ],
)  # fmt: skip
def test_an_action_is_never_tried_again(ended: Ended, error: tuple[str, str]) -> None:
    # C3.5
    finish = after_action(held(), ended)
    assert isinstance(finish, Finish)
    assert (finish.delivery, finish.name, finish.key, finish.state) == (DELIVERY, "shop:place", "key", "failed")
    kept = JobError.unpack(finish.value)
    assert (kept.type, kept.message) == error


def test_other_ends_of_an_action() -> None:
    # C3.5
    assert after_action(held(), Returned(b"r")) == Finish(DELIVERY, "shop:place", "key", "success", b"r")
    assert after_action(held(), Interrupted(Interruption.LEASE_LOST)) == Nothing()
    with pytest.raises(AssertionError):
        after_action(held(), Conflicted())


# Processes of their own

DIED = Died("was ended by SIGSEGV")
TOLD = JobError("KeyError", "no", "Traceback ...")


async def test_what_comes_from_another_process_is_committed_as_if_it_were_here() -> None:
    # C3.1, C2.7
    one = await transaction()
    job = held()
    job.started -= 2.0
    there = Effects.unpack(one.effects._replace(contended=one.contended).pack())
    here = after_mutation(job, Returned(b"result"), one, TRANSIENT, cap)
    commit = after_mutation(job, Returned(b"result"), there, TRANSIENT, cap)
    assert isinstance(here, Commit)
    assert isinstance(commit, Commit)
    assert commit._replace(elapsed_ms=0, children=()) == here._replace(elapsed_ms=0, children=())
    assert [child.ms for child in commit.children] == [60_000 - commit.elapsed_ms, 60_000]
    assert [child._replace(ms=0) for child in commit.children] == [child._replace(ms=0) for child in here.children]
    assert there.contended == one.contended


def test_a_failure_there_is_a_failure() -> None:
    # C3.2: with what was read.
    read = Effects(reads=[("doc", "t:x", "1")], writes=[("add", "t:y", b"")])
    commit = after_mutation(held(), Failed(TOLD, transient=False), read, TRANSIENT, cap)
    assert isinstance(commit, Commit)
    assert (commit.state, commit.value, commit.reads, commit.writes) == ("failed", TOLD.pack(), read.reads, ())
    finish = after_action(held(), Failed(TOLD, transient=True))  # an action is never run again (C3.5)
    assert isinstance(finish, Finish)
    assert (finish.state, finish.value) == ("failed", TOLD.pack())


def test_a_transient_failure_there_runs_again() -> None:
    # C3.3
    retry = after_mutation(held(), Failed(TOLD, transient=True), Effects(), (), cap)
    assert retry == Retry(DELIVERY, 3, 0, "shop:place", share=1_000_000)


def test_an_outage_there_is_an_outage() -> None:
    # C3.3, C7.3: it waits no longer than a worker does.
    late = held()
    late.delivery = DELIVERY._replace(attempt=20)
    retry = after_mutation(late, Failed(TOLD, transient=True, outage=True), Effects(), (), cap)
    assert isinstance(retry, Retry)
    assert (retry.delay_ms, retry.share) == (2_000, None)


@pytest.mark.parametrize("ended", [Returned(b""), Failed(TOLD, transient=False), Conflicted()])
def test_a_conflict_there_is_a_conflict(ended: Ended) -> None:
    # C6.2: whatever the handler made of it.
    assert after_mutation(held(conflicts=1), ended, Effects(conflicted=True), TRANSIENT, cap) == Again(10)


def test_a_death_is_told() -> None:
    # C3.4, C3.5
    retry = after_mutation(held(), DIED, Effects(), TRANSIENT, cap)
    assert isinstance(retry, Retry)
    error = JobError("ProcessDied", "shop:place: its own process was ended by SIGSEGV")
    assert retry == Retry(DELIVERY, 3, 0, "shop:place", key="key", death=error.pack(), share=1_000_000)
    finish = after_action(held(), DIED)
    assert isinstance(finish, Finish)
    assert (finish.state, finish.value) == ("failed", error.pack())


# What is kept of an error


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("and my str raises")


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


@pytest.mark.parametrize("error", [Mute(), Exits()])
def test_an_exception_whose_str_raises_is_kept(error: Exception) -> None:
    kept = JobError.unpack(describe(error).pack())
    assert kept.type == type(error).__name__
    assert kept.message.startswith("(its message cannot be shown")


def test_texts_are_bounded_and_storable() -> None:
    kept = JobError.unpack(describe(ValueError("\ud800" + "x" * 100_000)).pack())
    assert kept.message.startswith("\\ud800xxx")
    assert len(kept.message) == 4000
    assert len(kept.traceback) <= 16_000


def test_the_cause_is_in_the_traceback() -> None:
    try:
        try:
            ["outer"].index("inner")
        except ValueError as error:
            raise KeyError("outer") from error
    except KeyError as error:
        kept = describe(error)
    assert "ValueError: 'inner' is not in list" in kept.traceback
    assert kept.traceback.rstrip().endswith("KeyError: 'outer'")


async def test_a_commit_that_the_server_refused_fails_without_effects() -> None:
    commit = after_mutation(held(), Returned(b"r"), await transaction(), TRANSIENT, cap)
    assert isinstance(commit, Commit)
    failed = failed_commit(commit, ValueError("WRONGTYPE"))
    assert (failed.delivery, failed.state, failed.has_effects, failed.reads) == (DELIVERY, "failed", False, ())
    assert (failed.scans, failed.entries) == ((), ())
    assert JobError.unpack(failed.value).message == "WRONGTYPE"

"""Each invariant of the chaos passes sound books, and reports books that were doctored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from scheduler import CancelOutcome, Job, JobError, JobId, JobState
from scheduler.job import Death
from tests.faults.chaos import columns
from tests.faults.chaos.books import Books, Line
from tests.faults.chaos.calls import Planned
from tests.faults.chaos.invariants import actions, calls, cycles, marks, money, pace, rest, states
from tests.faults.chaos.invariants.finding import Finding
from tests.faults.chaos.invariants.rest import Footprint, Rest
from tests.faults.chaos.ledger import Asked, Ledger
from tests.faults.chaos.world import Shift
from tests.serializability.lists import Refused

NOW = 1_800_000_000_000
HOUR_MS = 3_600_000


def job(name: str, job_id: str, **fields: Any) -> Job:
    kind = "action" if name in ("notify", "tell", "audit", "probe") else "mutation"
    base = Job(
        JobId(job_id),
        f"chaos:{name}",
        kind,
        [],
        {},
        JobState.SUCCESS,
        "default",
        NOW,
        NOW,
        NOW + 5,
        NOW + 9,
        attempts=1,
    )
    return replace(base, **fields)


def asked(tag: int, function: str, *ids: str, unsure: int = 0, key: str = "") -> Asked:
    return Asked(Planned(tag, 0.0, function, {"tag": tag}, 0, key), list(ids), unsure)


def sound() -> Books:
    """One of everything, as it must be."""
    money_moved = {"source": "a0", "target": "a1", "cents": 30}
    jobs = [
        job("transfer", "T", kwargs={**money_moved, "tag": 0}),
        job("receipt", "R", parent_id=JobId("T")),
        job("notify", "N", parent_id=JobId("T")),
        job("transfer", "TF", kwargs={**money_moved, "tag": 1}, state=JobState.FAILED, error=JobError("Overdrawn", "")),
        job("tell", "A", kwargs={**money_moved, "tag": 2}),
        job("notify", "AN", parent_id=JobId("A")),
        job("notify", "BN", parent_id=JobId("B")),
        job("count", "AC", parent_id=JobId("A")),
        job("count", "C", kwargs={"tag": 3}),
        job("audit", "U", kwargs={"tag": 4}, result=200),
        job("probe", "P", kwargs={"tag": 5}, state=JobState.CANCELED, started_time=None),
        job("probe", "Q", kwargs={"tag": 6}),
        job("withdraw", "W", kwargs={"job_id": "P", "tag": 12}, result="canceled"),
        job("tell", "B", kwargs={**money_moved, "tag": 13}, state=JobState.CANCELED, completed_time=NOW + 6),
        job("count", "BC", parent_id=JobId("B"), state=JobState.CANCELED, created_time=NOW + 7, started_time=None),
        job("poison", "X", kwargs={"tag": 7}, state=JobState.FAILED, error=JobError("WorkerLost", ""),
            deaths=(Death("w", NOW),) * 8),
        job("transact", "L", kwargs={"tag": 8}, result=[["read", "0-1", []], ["append", "0-1", 1]]),
        job("transact", "M", kwargs={"tag": 9}, result=[["read", "0-1", [1]], ["append", "0-1", 2]]),
        job("transact", "K", kwargs={"tag": 10}, state=JobState.FAILED, error=JobError(
            "Refused", str(Refused([["read", "0-1", [1, 2]], ["append", "0-1", 3]])))),
    ]  # fmt: skip
    functions = {one.kwargs["tag"]: one for one in jobs if "tag" in one.kwargs}
    return Books(
        promise=columns.FSYNC,
        opening={"a0": 100, "a1": 100},
        accounts={"a0": 40, "a1": 160},
        documents={
            "marks": {one: {"times": 1} for one in ("T", "R", "AC", "C", "W")},
            "counters": {"hot": {"count": 2}},
            "moves": {"A": money_moved, "B": {**money_moved, "cents": 0}},
            "receipts": {"T": {"job": "R"}},
            "forgotten": {"11": {"times": 1}},
            "lists": {"0-1": {"values": [1, 2], "epoch": 0}},
        },
        jobs={one.id: one for one in jobs},
        ended={one.id: [one.state] for one in jobs},
        asked={tag: asked(tag, one.name.partition(":")[2], one.id) for tag, one in functions.items()}
        | {11: asked(11, "forgotten", "F")},
        cancels=[("P", CancelOutcome.CANCELED), ("T", CancelOutcome.FINISHED), ("ZZ", CancelOutcome.UNKNOWN)],
        seen={"T": jobs[0]},
        changed=[],
        lines=[Line(one, 1, "start", "") for one in ("N", "A", "AN", "U", "Q", "B", "BN")]
        + [Line("Q", 1, "time", str(NOW + 5))],
    )


def findings(books: Books) -> Iterator[Finding]:
    for room in (money, marks, actions, states, calls, cycles):
        yield from room.check(books)
    yield from pace.check(books, 1.0, quiet=True)


def violations(books: Books) -> list[tuple[int, str]]:
    return [(one.number, violation) for one in findings(books) for violation in one.violations]


def test_sound_books() -> None:
    assert violations(sound()) == []
    assert [one.name for one in findings(sound()) if one.looked_at == 0] == ["one job for each idempotency key"]


def with_job(books: Books, job_id: str, **fields: Any) -> Books:
    """One record is otherwise; it is listed as it says."""
    changed = replace(books.jobs[job_id], **fields)
    ended = {**books.ended, job_id: [changed.state]}
    seen = {key: one for key, one in books.seen.items() if key != job_id}
    return replace(books, jobs={**books.jobs, job_id: changed}, ended=ended, seen=seen)


def without_job(books: Books, job_id: str) -> Books:
    jobs = {key: one for key, one in books.jobs.items() if key != job_id}
    return replace(books, jobs=jobs, ended={key: one for key, one in books.ended.items() if key != job_id}, seen={})


def with_document(books: Books, table: str, key: str, document: Mapping[str, Any] | None) -> Books:
    documents = {**books.documents[table]}
    documents.pop(key, None)
    if document is not None:
        documents[key] = document
    return replace(books, documents={**books.documents, table: documents})


def with_lines(books: Books, *lines: Line) -> Books:
    return replace(books, lines=[*books.lines, *lines])


START = Line("N", 2, "start", "")

DOCTORED: dict[str, tuple[int, Callable[[Books], Books]]] = {
    "money came from nowhere": (1, lambda b: replace(b, accounts={"a0": 41, "a1": 160})),
    "a transfer counted twice": (1, lambda b: replace(b, accounts={"a0": 10, "a1": 190})),
    "an account is overdrawn": (1, lambda b: replace(b, opening={"a0": 50, "a1": 100},
                                                     accounts={"a0": -10, "a1": 160})),
    "an account is gone": (1, lambda b: replace(b, accounts={"a0": 200})),
    "somebody saw another sum": (1, lambda b: with_job(b, "U", result=199)),
    "an action succeeded and moved nothing": (1, lambda b: with_document(b, "moves", "A", None)),
    "an action moved before it began": (1, lambda b: replace(b, lines=[x for x in b.lines if x.job_id != "A"])),
    "the counter missed one": (2, lambda b: with_document(b, "counters", "hot", {"count": 1})),
    "the counter counted twice": (2, lambda b: with_document(b, "counters", "hot", {"count": 3})),
    "a mark twice": (2, lambda b: with_document(b, "marks", "C", {"times": 2})),
    "a mark is missing": (2, lambda b: with_document(b, "marks", "T", None)),
    "a failed job left a mark": (2, lambda b: with_document(b, "marks", "TF", {"times": 1})),
    "a mark of nobody": (2, lambda b: with_document(b, "marks", "ZZ", {"times": 1})),
    "a forgotten job ran twice": (2, lambda b: with_document(b, "forgotten", "11", {"times": 2})),
    "a forgotten job never ran": (2, lambda b: with_document(b, "forgotten", "11", None)),
    "a forgotten job of nobody": (2, lambda b: with_document(b, "forgotten", "99", {"times": 1})),
    "an action ran twice": (3, lambda b: with_lines(b, START)),
    "a successful action never ran": (3, lambda b: replace(b, lines=[x for x in b.lines if x.job_id != "N"])),
    "a canceled action ran": (3, lambda b: with_lines(b, Line("P", 1, "start", ""))),
    "an action without a record ran": (3, lambda b: with_lines(b, Line("ZZ", 1, "start", ""))),
    "a job has not ended": (4, lambda b: replace(with_job(b, "C", state=JobState.PENDING), ended={**b.ended, "C": []})),
    "a job ended twice": (4, lambda b: replace(b, ended={**b.ended, "C": ["success", "failed"]})),
    "a job is listed under another state": (4, lambda b: replace(b, ended={**b.ended, "C": ["failed"]})),
    "a listed job has no record": (4, lambda b: replace(b, ended={**b.ended, "ZZ": ["success"]})),
    "a final state was left": (4, lambda b: replace(b, seen={"T": replace(b.jobs["T"], state=JobState.FAILED)})),
    "a result changed": (4, lambda b: replace(b, seen={"U": replace(b.jobs["U"], result=7)})),
    "a record was seen to change": (4, lambda b: replace(b, changed=["T was failed, and then success"])),
    "a canceled job succeeded": (4, lambda b: replace(b, cancels=[("C", CancelOutcome.CANCELED)])),
    "an unknown job is there": (4, lambda b: replace(b, cancels=[("C", CancelOutcome.UNKNOWN)])),
    "a canceled job of a mutation succeeded": (4, lambda b: with_job(b, "W", kwargs={"job_id": "C", "tag": 12})),
    "a child of a canceled action ran": (4, lambda b: with_job(b, "BC", state=JobState.SUCCESS)),
    "a child is missing": (4, lambda b: without_job(b, "R")),
    "a child twice": (4, lambda b: replace(b, jobs={**b.jobs, "R2": replace(b.jobs["R"], id=JobId("R2"))},
                                           ended={**b.ended, "R2": ["success"]})),
    "a failed transfer has a child": (4, lambda b: with_job(b, "R", parent_id=JobId("TF"))),
    "a child of nobody": (4, lambda b: with_job(b, "C", parent_id=JobId("ZZ"))),
    "a teller's child is missing": (4, lambda b: without_job(b, "AC")),
    "a teller's letter is missing": (4, lambda b: without_job(b, "AN")),
    "a transfer failed for another reason": (4, lambda b: with_job(b, "TF", error=JobError("WorkerLost", ""))),
    "poison failed too soon": (4, lambda b: with_job(b, "X", deaths=(Death("w", NOW),) * 7)),
    "poison succeeded": (4, lambda b: with_job(b, "X", state=JobState.SUCCESS, error=None)),
    "an accepted job is lost": (5, lambda b: without_job(b, "Q")),
    "an accepted call made another job": (5, lambda b: replace(b, asked={**b.asked, 3: asked(3, "count", "ZZ")})),
    "a call made two jobs": (5, lambda b: replace(b, jobs={**b.jobs, "C2": replace(b.jobs["C"], id=JobId("C2"))})),
    "a key made two jobs": (5, lambda b: replace(b, asked={**b.asked, 3: asked(3, "count", "C", "C2", key="k")})),
    "a job that nobody asked for": (5, lambda b: replace(b, asked={t: a for t, a in b.asked.items() if t != 3})),
    "a job ran early": (5, lambda b: with_job(b, "C", started_time=NOW - 1)),
    "a job ran early by the server's clock": (
        5, lambda b: replace(b, lines=[*b.lines[:-1], replace(b.lines[-1], value=str(NOW - 1))])),
    "the drain": (7, lambda b: b),
    "a delayed job was late": (7, lambda b: with_job(b, "Q", started_time=NOW + 100)),
    "a write was lost": (8, lambda b: with_document(b, "lists", "0-1", {"values": [2], "epoch": 0})),
    "a failed transaction wrote": (8, lambda b: with_document(b, "lists", "0-1", {"values": [1, 2, 3], "epoch": 0})),
    "a stale read": (8, lambda b: with_job(b, "M", result=[["read", "0-1", []], ["append", "0-1", 2]])),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCTORED)
def test_doctored_books_are_reported(name: str) -> None:
    number, doctor = DOCTORED[name]
    books = doctor(sound())
    found = violations(books)
    if name == "the drain":
        found = [
            (one.number, text) for one in pace.check(books, pace.DRAIN_S + 0.1, quiet=False) for text in one.violations
        ]
    assert number in {one for one, _ in found}, found


def test_after_a_power_cut_less_is_promised() -> None:
    # C7.1, C7.2: accepted calls and results may be gone, an action may run once more for each cut; nothing else may.
    lost = replace(without_job(without_job(sound(), "Q"), "U"), promise=columns.POWER_CUT, struck=[NOW + 7])
    lost = replace(lost, lines=[one for one in lost.lines if one.job_id != "Q"])
    assert violations(with_lines(lost, START)) == []
    assert {one for one, _ in violations(with_lines(lost, START, START))} == {3}
    assert {one for one, _ in violations(with_document(lost, "marks", "C", {"times": 2}))} == {2}
    assert {one for one, _ in violations(with_lines(replace(lost, promise=columns.REPLICA), START))} == {3}


def test_an_action_that_was_running_when_the_power_was_cut() -> None:
    # C7.2: what it had been told by then may be gone, and it may run beside a second start of itself.
    cut = replace(sound(), promise=columns.POWER_CUT, struck=[NOW + 7])
    moves = {key: one for key, one in cut.documents["moves"].items() if key != "A"}
    money_back = {"a0": 70, "a1": 130}
    gone = replace(without_job(cut, "AN"), documents={**cut.documents, "moves": moves}, accounts=money_back)
    assert violations(gone) == []
    assert {one for one, _ in violations(replace(gone, struck=[NOW + 10]))} == {1}
    twice = replace(cut, jobs={**cut.jobs, "AC2": replace(cut.jobs["AC"], id=JobId("AC2"))})
    twice = with_document(with_document(twice, "marks", "AC2", {"times": 1}), "counters", "hot", {"count": 3})
    twice = replace(twice, ended={**twice.ended, "AC2": [JobState.SUCCESS]})
    assert {one for one, _ in violations(twice)} == {4}
    assert violations(with_lines(twice, Line("A", 2, "start", ""))) == []


def test_a_clock_that_was_off() -> None:
    # C7.3: due before the clock went back an hour, begun after it had; and one that was both in that hour.
    books = with_job(sound(), "C", started_time=NOW + 10 - HOUR_MS)
    assert {one for one, _ in violations(books)} == {5}
    shift = Shift(NOW + 9 - HOUR_MS, -HOUR_MS)
    assert violations(replace(books, shifts=[shift])) == []
    early = with_job(sound(), "C", created_time=NOW + 9 - HOUR_MS, scheduled_time=NOW + 20 - HOUR_MS,
                     started_time=NOW + 10 - HOUR_MS)  # fmt: skip
    assert {one for one, _ in violations(replace(early, shifts=[shift]))} == {5}


def test_a_clock_that_goes_back_twice_was_right_between() -> None:
    # C7.3: scheduled in the first hour that came twice, due when the clock was right again, begun in the second.
    first, second = Shift(NOW - HOUR_MS, -HOUR_MS), Shift(NOW + 6_000 - HOUR_MS, -HOUR_MS)
    made = {"created_time": NOW + 1_000 - HOUR_MS, "scheduled_time": NOW + 8_000 - HOUR_MS}
    late = with_job(sound(), "C", **made, started_time=NOW + 7_000 - HOUR_MS)
    assert violations(replace(late, shifts=[first, second])) == []
    assert {one for one, _ in violations(replace(late, shifts=[first]))} == {5}
    made = {"created_time": NOW + 6_500 - HOUR_MS, "scheduled_time": NOW + 8_000 - HOUR_MS}
    early = with_job(sound(), "C", **made, started_time=NOW + 7_000 - HOUR_MS)
    assert {one for one, _ in violations(replace(early, shifts=[first, second]))} == {5}


def test_an_unanswered_call_may_have_made_a_job_or_none() -> None:
    # C2.10
    books = replace(sound(), asked={**sound().asked, 3: asked(3, "count", unsure=1), 99: asked(99, "count", unsure=1)})
    assert violations(books) == []


# At rest


def at_rest() -> Rest:
    worker = Footprint(1, 20, 6, ["loop"] * 9)
    return Rest(
        prefix="{chaos}:", left={"{chaos}:running": 0}, before=[worker], after=[worker], memory_before=1_000_000,
        memory_after=1_040_000, workers=4, keys={
            "{chaos}:job:C": ("string", -1), "{chaos}:status:C": ("hash", -1), "{chaos}:done:success": ("zset", -1),
            "{chaos}:worker:w": ("hash", 5_000), "{chaos}:promoter": ("string", 900),
            "{chaos}:stats:chaos:f": ("hash", -1),
            "{chaos}:doc:marks:C": ("hash", -1), "{chaos}:status:F": ("hash", 500_000), "{chaos}:wake": ("list", -1),
            "{chaos}:ready:default": ("stream", -1), "{chaos}:index:accounts:branch,cents": ("zset", -1),
            "{chaos}:applied:T": ("string", 500_000), "{chaos}:functions:seen": ("zset", -1),
        },
    )  # fmt: skip


def with_key(one: Rest, key: str, kind: str, ttl_ms: int) -> Rest:
    return replace(one, keys={**one.keys, key: (kind, ttl_ms)})


def test_a_sound_rest() -> None:
    assert [text for one in rest.check(at_rest(), sound()) for text in one.violations] == []


@pytest.mark.parametrize(
    "doctor",
    [
        lambda r: replace(r, left={"{chaos}:due:default": 1}),
        lambda r: with_key(r, "{chaos}:strange", "string", -1),
        lambda r: with_key(r, "elsewhere", "string", -1),
        lambda r: with_key(r, "{chaos}:due:default", "zset", -1),
        lambda r: with_key(r, "{chaos}:running", "zset", -1),
        lambda r: with_key(r, "{chaos}:worker:w", "hash", -1),
        lambda r: with_key(r, "{chaos}:applied:T", "string", 600_001),
        lambda r: with_key(r, "{chaos}:job:C", "hash", -1),
        lambda r: with_key(r, "{chaos}:done:success", "zset", 1_000),
        lambda r: with_key(r, "{chaos}:doc:marks:C", "hash", 1_000),
        lambda r: with_key(r, "{chaos}:job:LOST", "string", -1),
        lambda r: with_key(r, "{chaos}:status:LOST", "hash", -1),
        lambda r: replace(r, memory_after=1_050_001),
        lambda r: replace(r, connections=["id=7"]),
        lambda r: replace(r, after=[Footprint(1, 37, 6, ["loop"] * 9)]),
        lambda r: replace(r, after=[Footprint(1, 20, 27, ["loop"] * 9)]),
        lambda r: replace(r, after=[Footprint(1, 20, 6, ["loop"] * 26)]),
        lambda r: replace(r, orphans=["process 7"]),
        lambda r: replace(r, exits=["worker 7 ended with 1"]),
        lambda r: replace(r, complaints=["a traceback"]),
    ],
)
def test_what_is_left_over_is_reported(doctor: Callable[[Rest], Rest]) -> None:
    assert len([text for one in rest.check(doctor(at_rest()), sound()) for text in one.violations]) == 1


def test_a_record_that_was_seen_otherwise() -> None:
    ledger, seen = Ledger(), job("count", "C")
    ledger.note_seen(seen)
    ledger.note_seen(seen)
    assert ledger.changed == []
    ledger.note_seen(replace(seen, state=JobState.FAILED))
    assert ledger.changed == ["C was success, and then failed"]

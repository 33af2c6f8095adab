"""Bad delays, times and arguments through each way to schedule: refused, with an error that names them, not stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from scheduler import DuestreamError, JobState
from scheduler.due import LIMIT_MS
from tests.faults.corpus.arguments import TAKEN, UNSTORABLE
from tests.faults.corpus.case import Bad, Good
from tests.faults.corpus.stage import Stage
from tests.faults.corpus.times import DELAYS, DELAYS_TAKEN, TIMESTAMPS

CALLS = (*DELAYS, *TIMESTAMPS, *UNSTORABLE)
LATER = 60_000

Way = Callable[[Stage, Bad], None]


def refused(case: Bad, call: Callable[[], object]) -> None:
    """The typed error of the tree, which names the culprit in one line of bearable length."""
    with pytest.raises(DuestreamError) as caught:
        call()
    assert isinstance(caught.value, case.error), repr(caught.value)
    message = str(caught.value)
    assert case.culprit in message
    assert len(message) < 500
    assert "\n" not in message


def by_async(stage: Stage, case: Bad) -> None:
    value = case.make()
    if case.id.startswith("delay"):
        refused(case, lambda: stage.run_async(lambda client: client.run_after(value, "corpus:take")))
    elif case.id.startswith("timestamp"):
        refused(case, lambda: stage.run_async(lambda client: client.run_at(value, "corpus:take")))
    else:
        refused(case, lambda: stage.run_async(lambda client: client.run_after(LATER, "corpus:take", value=value)))


def by_blocking(stage: Stage, case: Bad) -> None:
    value, client = case.make(), stage.blocking
    if case.id.startswith("delay"):
        refused(case, lambda: client.run_after(value, "corpus:take"))
    elif case.id.startswith("timestamp"):
        refused(case, lambda: client.run_at(value, "corpus:take"))
    else:
        refused(case, lambda: client.run_after(LATER, "corpus:take", value=value))


def by_bulk(stage: Stage, case: Bad) -> None:
    value, take, client = case.make(), stage.app.functions["corpus:take"], stage.blocking
    if case.id.startswith("delay"):
        refused(case, lambda: client.schedule_many([take.after(value)]))
    elif case.id.startswith("timestamp"):
        refused(case, lambda: client.schedule_many([take.at(value)]))
    else:
        refused(case, lambda: client.schedule_many([take.after(LATER, value=value)]))


@pytest.mark.parametrize("way", [by_async, by_blocking, by_bulk], ids=lambda way: way.__name__)
@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.id)
def test_a_bad_call_is_refused(untouched: Stage, case: Bad, way: Way) -> None:
    # C1.5, C2.1, C2.3, C2.5, C2.9
    way(untouched, case)


@pytest.mark.parametrize("name", ["corpus:schedule", "corpus:schedule_at_once"])
@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.id)
def test_a_bad_call_in_a_handler_fails_its_job_and_leaves_no_child(stage: Stage, case: Bad, name: str) -> None:
    # C2.7, C2.8, C3.2
    job = stage.end_of(stage.blocking.run_after(0, name, case.id))
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert (job.error.type, case.culprit in job.error.message.replace("args.", "args.")) == (case.error.__name__, True)
    assert stage.blocking.count(state="pending") == 0


@pytest.mark.parametrize("case", [case for case in CALLS if case.text is not None], ids=lambda case: case.id)
def test_a_bad_option_value_is_wrong_usage(untouched: Stage, case: Bad) -> None:
    # C2.12
    flag = "--after" if case.id.startswith("delay") else "--at"
    result = untouched.cli("enqueue", "corpus:take", f"{flag}={case.text}")
    assert result.exit_code == 2, result.output
    assert flag in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("case", [case for case in CALLS if case.json is not None], ids=lambda case: case.id)
def test_a_bad_line_is_refused_and_the_next_one_taken(stage: Stage, case: Bad) -> None:
    # C2.12
    field = "after" if case.id.startswith("delay") else "at" if case.id.startswith("timestamp") else "args"
    value = f'{{"value": {case.json}}}' if field == "args" else case.json
    given = f'{{"function": "corpus:take", "{field}": {value}}}\n{{"function": "corpus:probe"}}\n'
    result = stage.cli("enqueue", "--from", "-", stdin=given)
    assert result.exit_code == 1, result.output
    assert result.stdout == "scheduled 1, duplicates 0, refused 1\n"
    assert result.stderr.startswith("line 1: ")
    assert result.stderr.count("\n") == 1
    assert stage.blocking.count(state="pending", function="corpus:take") == 0


@pytest.mark.parametrize("case", [case for case in UNSTORABLE if case.json is not None], ids=lambda case: case.id)
def test_bad_arguments_as_an_option_are_refused(untouched: Stage, case: Bad) -> None:
    # C1.5, C2.12
    result = untouched.cli("enqueue", "corpus:take", "--args", f'{{"value": {case.json}}}', "--after", "1m")
    assert result.exit_code in (1, 2), result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.id)
def test_an_odd_value_is_taken_and_comes_back(stage: Stage, case: Good) -> None:
    # C1.5
    stored = same(case.make())
    job_id = stage.run_async(lambda client: client.run_after(0, "corpus:take", case.make()))
    assert same(stage.blocking.result(job_id, timeout=20)) == stored
    assert same(stage.run_async(lambda client: client.get(job_id)).args[0]) == stored  # type: ignore[union-attr]
    shown = stage.cli("job", "show", job_id, "--json")
    assert shown.exit_code == 0, shown.output[:500]
    assert json.loads(shown.stdout)["id"] == job_id
    assert stage.cli("job", "show", job_id).exit_code == 0


@pytest.mark.parametrize("case", [case for case in TAKEN if case.json is not None], ids=lambda case: case.id)
def test_an_odd_value_of_json_is_taken_and_comes_back(stage: Stage, case: Good) -> None:
    # C1.5, C2.12
    result = stage.cli("enqueue", "corpus:take", "--args", f'{{"value": {case.json}}}')
    assert result.exit_code == 0, result.output[:500]
    assert same(stage.blocking.result(result.stdout.strip(), timeout=20)) == same(case.make())


@pytest.mark.parametrize("case", DELAYS_TAKEN, ids=lambda case: case.id)
def test_a_delay_at_the_edge_is_taken(stage: Stage, case: Good) -> None:
    # C2.1, C2.5
    job_id = stage.blocking.run_after(case.make(), "corpus:take")
    job = stage.blocking.get(job_id)
    assert job is not None
    assert 0 <= job.scheduled_time - job.created_time <= LIMIT_MS + 1
    stage.blocking.cancel(job_id)


@pytest.mark.parametrize("case", UNSTORABLE, ids=lambda case: case.id)
def test_a_bad_result_fails_its_job(stage: Stage, case: Bad) -> None:
    # C3.2
    job = stage.end_of(stage.blocking.run_after(0, "corpus:give", case.id))
    assert job.error is not None
    assert (job.state, job.error.type) == (JobState.FAILED, case.error.__name__)
    assert case.culprit.replace("args.value", "result") in job.error.message


@pytest.mark.parametrize("case", UNSTORABLE, ids=lambda case: case.id)
def test_a_bad_document_fails_its_job_and_is_not_written(stage: Stage, case: Bad) -> None:
    # C3.2, C6.3
    job = stage.end_of(stage.blocking.run_after(0, "corpus:keep", case.id))
    assert job.error is not None
    assert job.state is JobState.FAILED
    assert stage.blocking.db.get("kept:one") is None


def same(value: Any) -> str:
    """A value as text: NaN is not equal to itself, and a subclass comes back as its base."""
    if isinstance(value, memoryview | bytearray):
        value = bytes(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{same(item)}" for key, item in dict.items(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(same(item) for item in list.__iter__(value)) + "]"
    if isinstance(value, tuple):
        return "(" + ",".join(same(item) for item in tuple.__iter__(value)) + ")"
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)
    return str.__repr__(value) if isinstance(value, str) else repr(value)

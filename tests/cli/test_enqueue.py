"""`enqueue`: one call."""

from __future__ import annotations

import json

import pytest

from scheduler import JobState
from scheduler.job import Job, JobError
from tests.cli.conftest import Room


def stored(room: Room, *words: str) -> Job:
    """The job that an `enqueue` made."""
    found = room.scheduler.get(room.ok("enqueue", *words).strip())
    assert found is not None
    return found


def nothing_stored(room: Room) -> bool:
    return room.scheduler.count() == 0


def test_prints_the_id_and_stores_typed_values(room: Room) -> None:
    job = stored(room, "shop:order", "item=42", "note=5", "gift=yes")
    assert job.kwargs == {"item": 42, "note": "5", "gift": True}
    assert (job.args, job.queue, job.kind, job.state) == ([], "orders", "mutation", JobState.PENDING)


def test_json_says_the_id_and_that_it_is_new(room: Room) -> None:
    found = room.json("enqueue", "shop:order", "item=1")
    assert found["duplicate"] is False
    assert room.scheduler.get(found["id"]) is not None


def test_the_app_is_imported_from_the_working_directory(empty: Room) -> None:
    job = stored(empty, "shop:order", "item=42", "-a", f"{empty.module}:app")
    assert job.kwargs == {"item": 42}


@pytest.mark.parametrize("app", [False, True])
def test_what_only_a_position_takes_is_given_by_position(room: Room, app: bool) -> None:
    chosen = ["-a", f"{room.module}:app"] if app else []
    job = stored(room, "shop:mail", "to=ann", 'tags=["a", "b"]', "weight=3", *chosen)
    assert (job.args, job.kwargs) == (["ann"], {"tags": ["a", "b"], "weight": 3})


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [('{"item": 1, "gift": true}', [], {"item": 1, "gift": True}), ('[1, "n"]', [1, "n"], {}), ("[7]", [7], {})],
)
def test_arguments_as_json(room: Room, given: str, args: list[object], kwargs: dict[str, object]) -> None:
    job = stored(room, "shop:order", "--args", given)
    assert (job.args, job.kwargs) == (args, kwargs)


@pytest.mark.parametrize("app", [False, True])
@pytest.mark.parametrize(
    ("words", "culprit"),
    [
        (["item=1", "color=red"], "color: unexpected argument"),
        (["note=x"], "item: missing argument"),
        ([], "item: missing argument"),
        (["item=many"], "item: "),
        (["item=1", "item=2"], "item: given twice"),
        (["--args", '{"item": "1"}'], "item: "),
        (["--args", '{"item": 1, "color": 2}'], "color: unexpected argument"),
        (["--args", '[1, "n", true]'], "at most 2 positional arguments"),
        (["--args", "[1"], "--args: not JSON"),
        (["--args", "3"], "--args: expected an object or an array"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(room: Room, words: list[str], culprit: str, app: bool) -> None:
    chosen = ["-a", f"{room.module}:app"] if app else []
    result = room.run("enqueue", "shop:order", *words, *chosen)
    assert (result.exit_code, result.stdout) == (2 if culprit.startswith("--args") else 1, "")
    assert result.stderr.startswith("error: ")
    assert culprit in result.stderr
    assert result.stderr.count("\n") == 1
    assert nothing_stored(room)


@pytest.mark.parametrize("app", [False, True])
def test_an_unknown_name_is_refused_with_what_it_may_have_meant(room: Room, app: bool) -> None:
    # A worker and --app both had it, and it was proposed twice.
    result = room.run("enqueue", "shop:oder", "item=1", *(["-a", f"{room.module}:app"] if app else []))
    assert result.exit_code == 1
    assert "did you mean shop:order?" in result.stderr
    assert nothing_stored(room)


def test_a_query_is_refused_as_such(room: Room) -> None:
    result = room.run("enqueue", "shop:look", "-a", f"{room.module}:app")
    assert (result.exit_code, result.stderr) == (
        1, "error: function: shop:look is a query and cannot be scheduled (call it with ctx.run_query)\n",
    )  # fmt: skip
    assert nothing_stored(room)


def test_an_unknown_name_is_taken_when_allowed(room: Room) -> None:
    job = stored(room, "other:task", "count=3", "text=hello", "--allow-unknown")
    assert (job.kwargs, job.kind) == ({"count": 3, "text": "hello"}, "")


@pytest.mark.parametrize(
    ("text", "delay_ms"),
    [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000), ("1h30m", 5_400_000)],
)
def test_after_takes_a_duration(room: Room, text: str, delay_ms: int) -> None:
    job = stored(room, "shop:order", "item=1", "--after", text)
    assert 0 <= job.scheduled_time - job.created_time - delay_ms <= 1


@pytest.mark.parametrize(
    ("text", "hint"), [("30", "write 30ms, 30s"), ("soon", "is not a duration like"), ("-5s", "is not a duration")]
)
def test_what_is_no_duration_is_wrong_usage(room: Room, text: str, hint: str) -> None:
    result = room.run("enqueue", "shop:order", "item=1", "--after", text)
    assert result.exit_code == 2
    assert hint in result.stderr
    assert nothing_stored(room)


@pytest.mark.parametrize(
    "text", ["2030-01-01T09:00Z", "2030-01-01T10:00+01:00", "2030-01-01 09:00:00+00:00", "1893488400000"]
)
def test_at_takes_an_aware_datetime_or_epoch_ms(room: Room, text: str) -> None:
    assert stored(room, "shop:order", "item=1", "--at", text).scheduled_time == 1_893_488_400_000


@pytest.mark.parametrize("text", ["2030-01-01T09:00", "2030-01-01", "tomorrow"])
def test_a_naive_time_is_refused_and_named(room: Room, text: str) -> None:
    result = room.run("enqueue", "shop:order", "item=1", "--at", text)
    assert result.exit_code == 2
    assert "timestamp: " in result.stderr
    assert nothing_stored(room)


def test_a_time_too_far_away_is_refused(room: Room) -> None:
    result = room.run("enqueue", "shop:order", "item=1", "--at", "2999-01-01T00:00Z")
    assert result.exit_code == 2
    assert "--at: more than five years ahead" in result.stderr


def test_a_second_job_with_the_same_key_is_the_first(room: Room) -> None:
    first = room.json("enqueue", "shop:order", "item=1", "--key", "k", "--queue", "slow")
    again = room.json("enqueue", "shop:order", "item=1", "--key", "k")
    assert again == {"id": first["id"], "duplicate": True}
    job = room.scheduler.get(first["id"])
    assert job is not None
    assert job.queue == "slow"


def test_wait_prints_the_result(room: Room) -> None:
    room.ok("enqueue", "shop:order", "item=1", "--key", "k")
    job_id = room.succeed("orders", "shop:order", {"total": 3}, "k")
    assert json.loads(room.ok("enqueue", "shop:order", "item=1", "--key", "k", "--wait")) == {"total": 3}
    found = room.json("enqueue", "shop:order", "item=1", "--key", "k", "--wait")
    assert found == {"id": job_id, "duplicate": True, "result": {"total": 3}}


def test_wait_for_a_job_that_failed_is_one_line_and_exit_code_1(room: Room) -> None:
    room.ok("enqueue", "shop:order", "item=1", "--key", "k")
    job_id = room.fail("orders", "shop:order", JobError("SoldOut", "none left\nat all"), "k")
    result = room.run("enqueue", "shop:order", "item=1", "--key", "k", "--wait")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"waiting for {job_id}\nerror: job {job_id} failed: SoldOut: none left at all\n"


def test_wait_gives_up_after_its_timeout(room: Room) -> None:
    result = room.run("enqueue", "shop:order", "item=1", "--wait", "--timeout", "10ms")
    assert result.exit_code == 1
    assert "had not ended after 0.01 s" in result.stderr
    assert room.scheduler.count(state="pending") == 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["shop:order", "item=1", "--args", "{}"],
        ["shop:order", "item=1", "--after", "1s", "--at", "1893488400000"],
        ["shop:order", "item=1", "--timeout", "1s"],
        ["shop:order", "item"],
        ["shop:order", "=1"],
        ["--from", "-", "shop:order", "item=1"],
        ["--from", "-", "--wait"],
        ["--from", "-", "--key", "k"],
        ["--from", "missing.ndjson"],
        ["shop:order", "item=1", "-n", "x", "-a", "y:app"],
    ],
)
def test_wrong_usage(room: Room, words: list[str]) -> None:
    result = room.run("enqueue", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: duestream enqueue")
    assert nothing_stored(room)

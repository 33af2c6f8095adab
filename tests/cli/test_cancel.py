"""`cancel`: by id, and all that match."""

from __future__ import annotations

import pytest

from scheduler import JobState
from tests.cli.conftest import Room

UNKNOWN = "01JD6Q2M8XK0T9V4W5Y7Z3ABCD"


def later(room: Room, count: int = 1, queue: str = "orders") -> list[str]:
    scheduler = room.scheduler.options(queue=queue)
    return [scheduler.run_after(60_000, "shop:order", item=number) for number in range(count)]


def test_the_outcome_of_each_id(room: Room) -> None:
    first, second = later(room, 2)
    assert room.json("cancel", first) == [{"id": first, "outcome": "canceled"}]
    lines = room.ok("cancel", first, second).splitlines()
    assert [line.split() for line in lines] == [["ID", "OUTCOME"], [first, "finished"], [second, "canceled"]]
    assert room.scheduler.count(state=JobState.CANCELED) == 2


def test_an_unknown_id_is_exit_code_1_and_the_others_are_canceled(room: Room) -> None:
    (job_id,) = later(room)
    result = room.run("cancel", UNKNOWN, job_id)
    assert result.exit_code == 1
    assert [line.split()[1] for line in result.stdout.splitlines()[1:]] == ["unknown", "canceled"]


def test_a_malformed_id_cancels_nothing(room: Room) -> None:
    (job_id,) = later(room)
    result = room.run("cancel", job_id, "nonsense")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "ID: not a job id: 'nonsense'" in result.stderr
    assert room.scheduler.count(state="pending") == 1


def test_all_that_match(room: Room) -> None:
    later(room, 2, "orders")
    later(room, 3, "other")
    assert room.json("cancel", "--all", "--queue", "other", "--yes") == {"canceled": 3}
    assert (
        room.ok("cancel", "--all", "--function", "shop:order", "--before", "2000-01-01T00:00Z", "-y") == "canceled 0\n"
    )
    assert room.ok("cancel", "--all", "-y") == "canceled 2\n"


def test_all_asks_and_says_how_many(room: Room) -> None:
    later(room, 2)
    result = room.run("cancel", "--all", "--queue", "orders", stdin="y\n")
    assert (result.exit_code, result.stdout) == (0, "canceled 2\n")
    assert f"Cancel 2 jobs of {room.app.namespace}, queue orders? [y/N]" in result.stderr


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_canceled(room: Room, answer: str) -> None:
    later(room)
    result = room.run("cancel", "--all", stdin=answer)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1] == "error: nothing was canceled (--yes cancels without asking)"
    assert room.scheduler.count(state="pending") == 1


@pytest.mark.parametrize("words", [[], [UNKNOWN, "--all"], [UNKNOWN, "--queue", "q"], ["--queue", "q"]])
def test_wrong_usage(room: Room, words: list[str]) -> None:
    assert room.run("cancel", *words).exit_code == 2

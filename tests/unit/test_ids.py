"""Job ids: their form, their order, what is refused."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from scheduler.errors import InvalidJobId
from scheduler.ids import JobIds, parse_job_id

GOOD = "01JD6Q2M8XK0T9V4W5Y7Z3ABCD"


def test_an_id_has_26_characters_and_begins_with_the_time() -> None:
    ids = JobIds(lambda: 1_800_000_000_000)
    one = ids.new()
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", one)
    assert parse_job_id(one) == one
    value = 0
    for character in one[:10]:
        value = value * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    assert value == 1_800_000_000_000


def test_ids_of_one_maker_strictly_increase_also_when_the_clock_stands_or_goes_back() -> None:
    # C3.7
    times = iter([5, 5, 5, 9, 3, 3, 10, 1, 11])
    ids = JobIds(lambda: next(times))
    made = [ids.new() for _ in range(9)]
    assert made == sorted(set(made))


def test_threads_get_different_ids() -> None:
    ids = JobIds(lambda: 7)
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend([ids.new() for _ in range(500)])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 4000


def test_two_makers_make_different_ids() -> None:
    one, other = JobIds(lambda: 7), JobIds(lambda: 7)
    assert one.new() != other.new()


@pytest.mark.parametrize(
    "malformed",
    [
        "", "x", GOOD[:-1], GOOD + "0", GOOD.lower(), GOOD + "\n", GOOD + "\r\n", "\r\n" + GOOD, "8" + GOOD[1:],
        GOOD[:-1] + "I", GOOD[:-1] + "L", GOOD[:-1] + "O", GOOD[:-1] + "U", GOOD[:-1] + "-", GOOD[:-1] + "\0",
        "{x}", "../" + GOOD, "*", " " + GOOD, "x" * 10_000, GOOD.encode(), b"", None, 5, 5.0, True, [GOOD], object(),
        "\u0660" * 26, GOOD[:-1] + "\u0661", "\ud800" * 26, 10**400,
    ],
    ids=lambda _: "",
)  # fmt: skip
def test_a_malformed_id_is_an_error(malformed: Any) -> None:
    # C4
    with pytest.raises(InvalidJobId, match=r"^job_id: not a job id") as caught:
        parse_job_id(malformed)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)

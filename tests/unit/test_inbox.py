"""The outcome as a row keeps it, and that SQLAlchemy is asked for only by those who use it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scheduler import InvalidValue, JobState, values
from scheduler.call import Request
from scheduler.ids import JobId
from scheduler.inbox import Outcome

CHILD = Request(JobId("01J" + "0" * 23), "q", "m:f", "after", 500, "p", "", "", b"\x00tail")
LATE = CHILD._replace(mode="at", ms=1_000)
OUTCOME = Outcome(JobState.SUCCESS, b"\xc0", 10_000, (CHILD, LATE), ("01K" + "0" * 23,))


@pytest.mark.parametrize("outcome", [OUTCOME, Outcome(JobState.FAILED, b"error", 0)])
def test_it_comes_back_as_it_was(outcome: Outcome) -> None:
    packed = outcome.pack()
    assert packed[0] == 1
    assert Outcome.unpack(packed) == outcome


@pytest.mark.parametrize(("now_ms", "left"), [(9_000, 500), (10_000, 500), (10_200, 300), (11_000, -500)])
def test_what_has_passed_is_taken_off_the_delays(now_ms: int, left: int) -> None:
    # C2.7
    assert [child.ms for child in OUTCOME.children_at(now_ms)] == [left, 1_000]


def fields(**changes: object) -> bytes:
    found = {"state": "success", "value": b"", "at_ms": 0, "children": [], "cancels": []} | changes
    return b"\x01" + values.pack(list(found.values()), "outcome")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the row has none"),
        (b"\x02" + OUTCOME.pack()[1:], "version 2"),
        (OUTCOME.pack()[:-1], "damaged"),
        (b"\x01" + values.pack("text", "x"), "damaged"),
        (b"\x01" + values.pack({"a": 1}, "x"), "damaged"),
        (fields(state="pending"), "damaged"),
        (fields(state="odd"), "damaged"),
        (fields(value="text"), "damaged"),
        (fields(at_ms="1"), "damaged"),
        (fields(cancels=[1]), "damaged"),
        (fields(children=[1]), "damaged"),
        (fields(children=[list(CHILD)[:-1]]), "damaged"),
        (fields(children=[list(CHILD._replace(ms="1"))]), "damaged"),  # type: ignore[arg-type]
        (fields(children=[list(CHILD._replace(tail="1"))]), "damaged"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_read(data: bytes, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        Outcome.unpack(data)


def test_the_rest_works_without_sqlalchemy() -> None:
    code = "import sys, scheduler.app, worker.runtime; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

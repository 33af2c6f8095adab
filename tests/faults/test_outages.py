"""Redis away at each step: for a second, for half a minute, and for as long as `make outage` says.

All that were asked for are played beside each other: an outage is waiting.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.faults.beside import played
from tests.faults.outages import BACK_S, STEPS, Away, play_outage, step_named
from tests.faults.stage import Stage

AT_ONCE = {"short": 8, "long": 20}
BUSY_S = 18.0
"""What busy cores may add to `BACK_S` in one case, where many workers start at once; the median of all has no such
allowance."""

Case = tuple[str, Away, float]

SHORT_S = 1.0
LENGTHS_S = [SHORT_S, 30.0, *map(float, os.environ.get("OUTAGE_S", "").split())]
STILL_AT = ("claim", "begin", "commit with children", "renew", "promote")


def _cases(seconds: float) -> list[Case]:
    return [(step.name, away, seconds) for step in STEPS for away in (Away.REFUSED, Away.SILENT)] + [
        (name, Away.STILL, seconds) for name in STILL_AT
    ]


CASES = {
    f"{name}: {away} for {seconds:g} s": (name, away, seconds)
    for length in LENGTHS_S
    for name, away, seconds in _cases(length)
}

Outcomes = dict[str, Future[float]]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """The cases of the selected tests, played at once; each the seconds until work went on."""
    with played(request, tmp_path_factory, "test_redis_away", _play, AT_ONCE, _line_of) as begun:
        yield begun


def _line_of(case: str) -> str:
    return "short" if CASES[case][2] == SHORT_S else "long"


def _play(case: str, stage: Stage) -> float:
    name, away, seconds = CASES[case]
    return play_outage(stage, step_named(name), away, seconds)


@pytest.mark.parametrize("case", CASES)
def test_redis_away(case: str, outcomes: Outcomes) -> None:
    assert outcomes[case].result() < BACK_S + BUSY_S


def test_work_goes_on_within_two_seconds(outcomes: Outcomes) -> None:
    took_s = sorted(outcome.result() for outcome in outcomes.values())
    print(f"back to work after {statistics.median(took_s):.2f} s (median), {took_s[-1]:.2f} s (longest)")  # noqa: T201
    assert statistics.median(took_s) < BACK_S

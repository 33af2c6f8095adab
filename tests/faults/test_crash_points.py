"""Each step of worker and producer with each fault: what was promised holds (C2.10, C3.1, C3.3, C3.5, C3.6, C5.1).

Most of a case is waiting for a lease to end, so all that were asked for are played beside each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.faults.beside import played
from tests.faults.crash_points import PRODUCER_CASES, WORKER_CASES, Call, Crash, Step, play_producer, play_worker
from tests.faults.stage import Stage

AT_ONCE = 8

CASES: dict[str, tuple[Step | Call, Crash]] = {
    **{f"worker: {step.name}: {crash}": (step, crash) for step, crash in WORKER_CASES},
    **{f"producer: {call.operation}: {crash}": (call, crash) for call, crash in PRODUCER_CASES},
}

Outcomes = dict[str, Future[None]]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """The cases of the selected tests, played at once."""
    with played(request, tmp_path_factory, "test_crash_point", _play, {"": AT_ONCE}) as begun:
        yield begun


def _play(case: str, stage: Stage) -> None:
    part, crash = CASES[case]
    if isinstance(part, Step):
        play_worker(stage, part, crash)
    else:
        play_producer(stage, part, crash)


@pytest.mark.parametrize("case", CASES)
def test_crash_point(case: str, outcomes: Outcomes) -> None:
    outcomes[case].result()


def test_the_table_is_whole() -> None:
    assert len(CASES) == len(WORKER_CASES) + len(PRODUCER_CASES) == (18 + 9) * 7

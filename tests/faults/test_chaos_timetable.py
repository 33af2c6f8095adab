"""The pure parts of the chaos: what is dealt out to whom, and when."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.chaos import columns, timetable
from tests.faults.chaos.calls import ACCOUNTS, JOBS_A_CALL, POISONS, planned
from tests.faults.chaos.faults import KINDS
from tests.faults.chaos.plan import plan_run
from tests.faults.chaos.timetable import ALONE, Phase


def counts(phases: list[Phase]) -> Counter[str]:
    return Counter(one.kind for phase in phases for one in phase.faults)


@pytest.mark.parametrize("long", [False, True], ids=["ci", "long"])
def test_a_run_has_every_fault_of_its_column(long: bool) -> None:
    phases = plan_run(7, long=long)
    assert counts(phases) == Counter(columns.LONG if long else columns.CI)
    assert sum(phase.jobs for phase in phases if phase.faults) == (columns.LONG_JOBS if long else columns.CI_JOBS)


def test_every_kind_of_fault_can_be_injected() -> None:
    assert set(KINDS) == set(columns.CI) == set(columns.LONG)


def test_the_seed_alone_says_what_happens_when() -> None:
    assert plan_run(7, long=False) == plan_run(7, long=False)
    assert plan_run(7, long=False) != plan_run(8, long=False)
    assert planned(7, 500, 10, 1) == planned(7, 500, 10, 1)
    assert planned(7, 500, 10, 1) != planned(8, 500, 10, 1)


def test_a_timetable_is_played_again_from_its_file(tmp_path: Path) -> None:
    phases = plan_run(7, long=False)
    timetable.save(tmp_path / "schedule.jsonl", phases)
    assert timetable.load(tmp_path / "schedule.jsonl") == phases


def test_faults_begin_and_end_within_their_phase() -> None:
    for phase in plan_run(7, long=True):
        assert list(phase.faults) == sorted(phase.faults, key=lambda one: one.at_s)
        for one in phase.faults:
            assert 0 <= one.at_s <= one.at_s + one.lasts_s <= phase.seconds
            assert 0 <= one.pick < 1


def test_two_faults_of_the_server_never_meet() -> None:
    for phase in plan_run(7, long=False):
        alone = [one for one in phase.faults if one.kind in ALONE]
        assert all(one.at_s + one.lasts_s < following.at_s for one, following in pairwise(alone)), phase.name


def test_a_third_of_a_lease_to_three() -> None:
    stops = [one.lasts_s for phase in plan_run(7, long=True) for one in phase.faults if one.kind == columns.STOP]
    assert min(stops) < 0.4 * timetable.LEASE_S
    assert 2.9 * timetable.LEASE_S < max(stops) <= 3 * timetable.LEASE_S


def test_calls_are_made_and_due_within_the_phase() -> None:
    calls = planned(7, 2_000, 20.0, poisons=2)
    assert len(calls) == round(2_000 / JOBS_A_CALL)
    assert [one.tag for one in calls] == list(range(len(calls)))
    assert all(one.kwargs["tag"] == one.tag for one in calls)
    assert all(one.at_s + one.delay_ms / 1000 <= 20.001 for one in calls)
    names = Counter(one.function for one in calls)
    assert [names[name] for name in POISONS] == [2, 2]
    assert all(one.at_s < 2 for one in calls if one.function in POISONS)
    accounts = {one.kwargs[end] for one in calls for end in ("source", "target") if end in one.kwargs}
    assert accounts == {f"a{n}" for n in range(ACCOUNTS)}
    keys = [one.key for one in calls if one.key]
    assert len(set(keys)) == len(keys) > 200

"""show: state, call and reply."""

from __future__ import annotations

import pytest

from scheduler import transitions
from tests.transitions.conftest import World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.show([])) == []


@pytest.mark.parametrize("state", ["pending", "inProgress", "success", "failed", "canceled"])
def test_states(world: World, state: str) -> None:
    # C5.1, C5.2
    delivery = world.in_state(state)
    (job,) = world.changes_nothing(transitions.show([delivery.job_id]))
    assert job is not None
    assert (job.id, job.state) == (delivery.job_id, state)


def test_missing_among_others(world: World) -> None:
    first, second = world.schedule(), world.schedule()
    jobs = world.run(transitions.show([first, "missing", second]))
    assert [job and job.id for job in jobs] == [first, None, second]


def test_a_tombstone_is_no_record(world: World) -> None:
    # C5.3
    world.settings(keep_ms=0)
    assert world.run(transitions.show([world.in_state("success").job_id])) == [None]


@pytest.mark.parametrize("key", ["job", "status"])
def test_a_damaged_job_hides_no_other(world: World, key: str) -> None:
    # C5.4
    damaged, sound = world.schedule(), world.schedule()
    world.break_key(f"{key}:{damaged}")
    first, second = world.changes_nothing(transitions.show([damaged, sound]))
    assert first is not None
    assert second is not None
    assert (first.id, first.state, first.error and first.error.type) == (damaged, "pending", "DamagedJob")
    assert (second.id, second.error) == (sound, None)

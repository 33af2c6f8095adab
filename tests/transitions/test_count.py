"""count: every state at one moment."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.job import JobState
from tests.transitions.conftest import World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.count()) == dict.fromkeys(JobState, 0)


@pytest.mark.parametrize("state", ["pending", "inProgress", "success", "failed", "canceled"])
def test_each_state(world: World, state: str) -> None:
    # C5.4: pending jobs of all queues, waiting for their time or ready.
    world.in_state(state)
    world.schedule(delay=10, queue="r")
    expected = dict.fromkeys(JobState, 0) | {JobState.PENDING: 1}
    expected[JobState(state)] += 1
    assert world.changes_nothing(transitions.count()) == expected

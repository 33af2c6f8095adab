"""read: state, call and reply."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.transitions import Snapshot
from tests.transitions.conftest import World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.read([])) == Snapshot(0, [])


@pytest.mark.parametrize("kind", ["doc", "job", "key"])
def test_absent(world: World, kind: str) -> None:
    # C6.2
    assert world.changes_nothing(transitions.read([(kind, "t:1")])) == Snapshot(0, [("", b"")])


@pytest.mark.parametrize("state", ["pending", "inProgress", "success", "failed", "canceled"])
def test_jobs(world: World, state: str) -> None:
    # C6.2: the version of a job is its state.
    delivery = world.in_state(state)
    assert world.changes_nothing(transitions.read([("job", delivery.job_id)])).items == [(state, b"")]


def test_all_at_once_in_order(world: World) -> None:
    # C6.2
    job_id = world.schedule(delay=9, key="k")
    delivery = world.deliver()
    world.commit(delivery, writes=[("add", "t:1", b"data")])
    pairs = [("key", "k"), ("doc", "t:1"), ("job", job_id), ("doc", "t:2")]
    want = [(job_id, b""), (f"1-{delivery.token}", b"data"), ("pending", b""), ("", b"")]
    assert world.changes_nothing(transitions.read(pairs)) == Snapshot(1, want)

"""examine: state, call and reply; the table of what can be out of place is test_mend's."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.doctor.calls import Examined, Row, Verdict, examine
from tests.transitions.conftest import NAME, World


def verdict(world: World, *row: str) -> Verdict:
    ((found, _, _),) = world.changes_nothing(examine([Row(*row)]))  # type: ignore[arg-type]
    return found


def test_empty(world: World) -> None:
    assert world.changes_nothing(examine([])) == []


@pytest.mark.parametrize("state", ["inProgress", "success", "failed", "canceled", "canceled action"])
@pytest.mark.parametrize("keep", [0, 1000])
def test_what_is_in_its_place(world: World, state: str, keep: int) -> None:
    world.settings(keep_ms=keep)
    delivery = world.in_state(state, key="k")
    for place in ("", "due:q", "running", "done:success", "done:failed", "done:canceled", "expiry"):
        assert verdict(world, "job", delivery.job_id, place) is Verdict.OK
    assert verdict(world, "key", "k") is Verdict.OK
    assert verdict(world, "entry", "q", delivery.entry) is Verdict.OK


@pytest.mark.parametrize("way", ["due", "ready", "held", "given back", "given back later", "sealed"])
def test_a_pending_job_in_its_place(world: World, way: str) -> None:
    if way == "due":
        job_id: str = world.schedule(delay=9)
    elif way == "ready":
        job_id = world.schedule()
    else:
        delivery = world.deliver()
        job_id = delivery.job_id
        if way.startswith("given"):
            delay = 50 if way == "given back later" else 0
            world.run(transitions.retry([transitions.Retry(delivery, 1, delay)], world.now))
        elif way == "sealed":
            world.run(transitions.seal([transitions.Seal(delivery)], world.now))
    assert world.run(examine([Row("job", job_id)])) == [Examined(Verdict.OK, NAME, "q")]
    assert verdict(world, "job", job_id, "due:q") is Verdict.OK
    for entry, _ in world.entries():
        assert verdict(world, "entry", "q", entry) is Verdict.OK


def test_missing(world: World) -> None:
    rows = [Row("job", "missing"), Row("entry", "q", "1-1"), Row("key", "missing"), Row("queue", "missing")]
    assert [found for found, _, _ in world.run(examine(rows))] == [Verdict.OK] * 4
    assert verdict(world, "job", "missing", "due:q") is Verdict.OK


def test_a_pruned_job_and_a_group_are_in_order(world: World) -> None:
    world.settings(keep_count=0)
    delivery = world.in_state("success")
    world.run(transitions.prune(10, world.now))
    assert verdict(world, "job", delivery.job_id) is Verdict.OK
    assert verdict(world, "queue", "q") is Verdict.OK

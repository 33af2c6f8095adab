"""survey: call and reply."""

from __future__ import annotations

from scheduler.doctor.calls import Surveyed, survey
from tests.transitions.conftest import World


def test_empty(world: World) -> None:
    assert world.changes_nothing(survey([])) == []


def test_types_and_lives(world: World) -> None:
    job_id = world.schedule(delay=9)
    world.command("SET", world.key("brief"), "", "PX", 60_000)
    job, due, brief, missing = world.changes_nothing(survey([f"job:{job_id}", "due:q", "brief", "missing"]))
    assert (job, due, missing) == (Surveyed("string", -1), Surveyed("zset", -1), Surveyed("none", -2))
    assert brief.type == "string"
    assert 0 < brief.life_ms <= 60_000

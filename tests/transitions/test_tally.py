"""tally: state, call and reply."""

from __future__ import annotations

from scheduler import transitions
from tests.transitions.conftest import World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.tally([])) == []
    assert world.changes_nothing(transitions.tally(["a"])) == [{}]


def test_each_name_in_turn(world: World) -> None:
    world.command("HSET", world.keys.stats("a"), "success", 3, "conflicts", 12)
    world.command("HSET", world.keys.stats("b"), "failed", 1)
    assert world.changes_nothing(transitions.tally(["b", "missing", "a"])) == [
        {"failed": 1},
        {},
        {"success": 3, "conflicts": 12},
    ]

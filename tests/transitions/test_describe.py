"""describe: state, call and reply."""

from __future__ import annotations

import json

import pytest

from scheduler import transitions
from tests.transitions.conftest import NOW, World

LIVE_MS = 180_000
DESCRIPTION = {"kind": "mutation", "internal": False, "queue": "q", "parameters": []}


def announce(world: World, name: str, at: int) -> None:
    world.run(transitions.join("w1", 5000, {}, {}, {name: json.dumps(DESCRIPTION)}, [], at))


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.describe([])) == []
    assert world.changes_nothing(transitions.describe(["a"])) == [None]


def test_known_and_unknown(world: World) -> None:
    # C2.6
    announce(world, "a", NOW)
    assert world.changes_nothing(transitions.describe(["b", "a"])) == [None, DESCRIPTION]


@pytest.mark.parametrize(("age", "live"), [(LIVE_MS - 1, True), (LIVE_MS, False), (LIVE_MS + 1, False)])
def test_what_a_new_deployment_dropped_ends(world: World, age: int, live: bool) -> None:
    # C2.6
    announce(world, "old", NOW)
    announce(world, "new", NOW + age)
    assert world.run(transitions.describe(["old", "new"])) == [DESCRIPTION if live else None, DESCRIPTION]

"""declare: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions
from scheduler.transitions import Catalog
from tests.transitions.conftest import World


def test_empty(world: World) -> None:
    assert world.changes_nothing(transitions.declare()) == Catalog("0", {})


def test_of_an_empty_table(world: World) -> None:
    # C6.1: nothing is to be built.
    assert world.run(transitions.declare(["t:f"])) == Catalog("1", {"t:f": None})
    assert world.indexes() == {"t:f": b"ready", "version": b"1"}
    assert world.exists("index:t:f") == 0


def test_of_a_table_with_documents(world: World) -> None:
    # C6.1: to be built from the first.
    world.write(("add", "t:1", b""))
    assert world.run(transitions.declare(["t:f"])) == Catalog("1", {"t:f": 0})
    assert world.indexes() == {"t:f": b"0", "version": b"1"}


def test_of_a_table_that_had_documents(world: World) -> None:
    world.write(("add", "t:1", b""))
    world.write(("del", "t:1", b""))
    assert world.run(transitions.declare(["t:f"])).indexes == {"t:f": None}


def test_of_a_table_whose_name_begins_another(world: World) -> None:
    world.write(("add", "a.b-c:1", b""))
    want = {"a:f": None, "a.b:f": None, "a.b-c:f,g.h": 0, "a.b-cd:f": None}
    assert world.run(transitions.declare(list(want))) == Catalog("4", want)


def test_twice(world: World) -> None:
    world.write(("add", "u:1", b""))
    call = transitions.declare(["t:f", "u:f"])
    want = Catalog("2", {"t:f": None, "u:f": 0})
    assert world.run(call) == want
    assert world.changes_nothing(call) == want
    assert world.changes_nothing(transitions.declare()) == want


def test_one_named_twice(world: World) -> None:
    assert world.run(transitions.declare(["t:f", "t:f"])) == Catalog("1", {"t:f": None})


def test_others_stay(world: World) -> None:
    # C6.1: those of another deployment are kept up too; the version goes up with each that is new.
    world.run(transitions.declare(["t:f"]))
    want = Catalog("2", {"t:f": None, "t:f,g": None})
    assert world.run(transitions.declare(["t:f,g", "t:f"])) == want
    assert world.changes_nothing(transitions.declare(["t:f"])) == want


def test_one_that_is_being_built(world: World) -> None:
    # C6.1: it goes on where it is, whatever has become of its table.
    world.write(*(("add", f"t:{i}", b"") for i in range(3)))
    world.run(transitions.declare(["t:f"]))
    world.run(transitions.reindex("t:f", 0, 2, [], "1"))
    world.write(*(("del", f"t:{i}", b"") for i in range(3)), catalog="1")
    assert world.changes_nothing(transitions.declare(["t:f"])) == Catalog("1", {"t:f": 2})


def test_one_that_has_been_forgotten(world: World) -> None:
    # C6.1
    world.write(("add", "t:1", b""))
    world.run(transitions.declare(["t:f"]))
    world.run(transitions.reindex("t:f", 0, None, [], "1"))
    world.run(transitions.forget("t:f"))
    assert world.run(transitions.declare(["t:f"])) == Catalog("3", {"t:f": 0})


@pytest.mark.parametrize("key", ["indexes", "table:u"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    world.break_key(key)
    world.refuses(transitions.declare(["t:f", "u:f"]))

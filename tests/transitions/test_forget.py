"""forget: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions, versions
from scheduler.script_call import Word
from tests.transitions.conftest import World


def two_indexes(world: World) -> None:
    """Of one document."""
    world.run(versions.declare(["t:f", "t:g"]))
    entries = [("add", index, "t:1", b"\x02") for index in ("t:f", "t:g")]
    world.write(("add", "t:1", b""), entries=entries, catalog=world.catalog())


def test_missing(world: World) -> None:
    assert world.changes_nothing(versions.forget("t:f")) is False
    two_indexes(world)
    assert world.changes_nothing(versions.forget("t:h")) is False


def test_normal(world: World) -> None:
    # C6.1: with all its entries, and nothing else.
    two_indexes(world)
    other = world.index("t:g")
    assert world.run(versions.forget("t:f")) is True
    assert world.run(versions.declare()).indexes == {"t:g": None}
    assert (world.exists("index:t:f"), world.index("t:g"), world.table()) == (0, other, {"t:1": 1})


def test_twice(world: World) -> None:
    two_indexes(world)
    assert world.run(versions.forget("t:f")) is True
    assert world.changes_nothing(versions.forget("t:f")) is False


def test_the_version_never_comes_twice(world: World) -> None:
    # C6.1: a writer of long ago is never taken for one of today.
    two_indexes(world)
    catalogs = [world.catalog()]
    for index in ("t:f", "t:g"):
        assert world.run(versions.forget(index)) is True
        catalogs.append(world.catalog())
    assert world.run(versions.declare()).indexes == {}
    catalogs.append(world.run(versions.declare(["t:f"])).version)
    assert len({*catalogs, "0"}) == 5


def test_the_version_is_no_index(world: World) -> None:
    two_indexes(world)
    assert world.changes_nothing(versions.forget("version")) is False


def test_while_it_is_being_built(world: World) -> None:
    # C6.1: what its builder brings comes too late.
    world.write(("add", "t:1", b""))
    world.run(versions.declare(["t:f"]))
    part = versions.reindex("t:f", 0, None, [("t:1", world.read("doc", "t:1").version, b"\x02")], world.catalog())
    assert world.run(versions.forget("t:f")) is True
    assert world.changes_nothing(part) is Word.LOST


def test_while_a_mutation_writes(world: World) -> None:
    # C6.1: it does not bring the index back.
    two_indexes(world)
    late = world.commit_of(
        world.deliver(),
        writes=[("put", "t:1", b"")],
        entries=[("add", "t:f", "t:1", b"\x03")],
        catalog=world.catalog(),
    )
    world.run(versions.forget("t:f"))
    assert world.changes_nothing(transitions.commit([late], "w", world.now)) == [Word.STALE]


def test_wrong_type(world: World) -> None:
    # C6.3
    world.break_key("indexes")
    world.refuses(versions.forget("t:f"))


@pytest.mark.parametrize("entries", ["damaged", "none"])
def test_damaged_entries_go_too(world: World, entries: str) -> None:
    world.run(versions.declare(["t:f"]))
    if entries == "damaged":
        world.break_key("index:t:f")
    assert world.run(versions.forget("t:f")) is True
    assert world.exists("index:t:f") == 0

"""declare: state, call, reply and state."""

from __future__ import annotations

import pytest

from scheduler import transitions, versions
from scheduler.script_call import Word
from scheduler.versions import Catalog
from tests.transitions.conftest import NOW, World, entry


def declare(world: World, *indexes: str) -> dict[str, int | None]:
    """What is known afterwards; the version that was told is the one that counts."""
    catalog = world.run(versions.declare(indexes))
    assert world.indexes().get("version", b"0").decode() == catalog.version
    return dict(catalog.indexes)


def test_empty(world: World) -> None:
    assert world.changes_nothing(versions.declare()) == Catalog("0", {})


def test_of_an_empty_table(world: World) -> None:
    # C6.1: nothing is to be built.
    assert declare(world, "t:f") == {"t:f": None}
    assert world.indexes() == {"t:f": b"ready", "version": world.catalog().encode()}
    assert world.exists("index:t:f") == 0


def test_of_a_table_with_documents(world: World) -> None:
    # C6.1: to be built from the first.
    world.write(("add", "t:1", b""))
    assert declare(world, "t:f") == {"t:f": 0}
    assert world.indexes()["t:f"] == b"0"


def test_of_a_table_that_had_documents(world: World) -> None:
    world.write(("add", "t:1", b""))
    world.write(("del", "t:1", b""))
    assert declare(world, "t:f") == {"t:f": None}


def test_of_a_table_whose_name_begins_another(world: World) -> None:
    world.write(("add", "a.b-c:1", b""))
    want = {"a:f": None, "a.b:f": None, "a.b-c:f,g.h": 0, "a.b-cd:f": None}
    assert declare(world, *want) == want


def test_twice(world: World) -> None:
    world.write(("add", "u:1", b""))
    call = versions.declare(["t:f", "u:f"])
    known = world.run(call)
    assert known.indexes == {"t:f": None, "u:f": 0}
    assert world.changes_nothing(call) == known
    assert world.changes_nothing(versions.declare()) == known


def test_one_named_twice(world: World) -> None:
    assert declare(world, "t:f", "t:f") == {"t:f": None}


def test_others_stay(world: World) -> None:
    # C6.1: those of another deployment are kept up too; the version is another with each that is new.
    declare(world, "t:f")
    before = world.catalog()
    known = world.run(versions.declare(["t:f,g", "t:f"]))
    assert (known.indexes, known.version != before) == ({"t:f": None, "t:f,g": None}, True)
    assert world.changes_nothing(versions.declare(["t:f"])) == known


def test_one_that_is_being_built(world: World) -> None:
    # C6.1: it goes on where it is, whatever has become of its table.
    world.write(*(("add", f"t:{i}", b"") for i in range(3)))
    declare(world, "t:f")
    world.run(versions.reindex("t:f", 0, 2, [], world.catalog()))
    world.write(*(("del", f"t:{i}", b"") for i in range(3)), catalog=world.catalog())
    assert world.changes_nothing(versions.declare(["t:f"])).indexes == {"t:f": 2}


def test_one_that_has_been_forgotten(world: World) -> None:
    # C6.1
    world.write(("add", "t:1", b""))
    declare(world, "t:f")
    world.run(versions.reindex("t:f", 0, None, [], world.catalog()))
    world.run(versions.forget("t:f"))
    assert declare(world, "t:f") == {"t:f": 0}


def test_a_redis_that_has_lost_an_index_and_was_told_of_another(world: World) -> None:
    """C6.1: a counter came to the same number again, and who knew the lost index alone left entries out."""
    declare(world, "t:lost")
    known = world.catalog()
    world.command("DEL", world.key("indexes"))  # its last writes are gone: a failover, a power cut
    declare(world, "t:f")
    late = world.commit_of(world.deliver(), writes=[("add", "t:1", b"x")], catalog=known)
    assert world.changes_nothing(transitions.commit([late], "w", NOW)) == [Word.STALE]
    row = ("add", "t:f", "t:1", b"\x02")
    assert world.commit(late.delivery, writes=late.writes, entries=[row], catalog=world.catalog()) is Word.OK
    assert world.index("t:f") == [(entry(b"\x02", 1, "t:1"), 0)]


def test_the_same_call_again_after_all_was_lost(world: World) -> None:
    # C6.1: the nonce of a call alone would come twice.
    call = versions.declare(["t:f"])
    before = world.run(call).version
    world.command("DEL", world.key("indexes"))
    assert world.run(call).version != before


@pytest.mark.parametrize("key", ["indexes", "table:u"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    world.break_key(key)
    world.refuses(versions.declare(["t:f", "u:f"]))

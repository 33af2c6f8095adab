"""reindex: state, call, reply and state."""

from __future__ import annotations

import pytest
import redis

from scheduler import transitions, values, versions
from scheduler.catalog import IndexCatalog
from scheduler.reading import answer_blocking
from scheduler.script_call import Transition, Word
from scheduler.settings import Limits
from scheduler.table import Index
from scheduler.transaction import Transaction
from tests.transitions.conftest import WORKER, World, entry

Rows = list[tuple[str, str, bytes]]


def three(world: World) -> Rows:
    """Documents of a table whose index is still to be built, as the one who builds it has read them."""
    world.write(*(("add", f"t:{i}", b"") for i in (1, 2, 3)))
    world.run(versions.declare(["t:f"]))
    return [(f"t:{i}", world.read("doc", f"t:{i}").version, b"\x05%d" % -i) for i in (1, 2, 3)]


def rest(world: World, rows: Rows, before: int = 0) -> Transition[Word]:
    """The last part, by the catalog of now."""
    return versions.reindex("t:f", before, None, rows, world.catalog())


def built(world: World) -> bytes:
    return world.indexes()["t:f"]


def entries_of(*numbers: int) -> list[tuple[bytes, int]]:
    return [(entry(b"\x05%d" % -i, i, f"t:{i}"), 0) for i in numbers]


def test_empty(world: World) -> None:
    three(world)
    assert world.run(rest(world, [])) is Word.OK
    assert (built(world), world.index("t:f")) == (b"ready", [])


def test_all_at_once(world: World) -> None:
    # C6.1
    rows = three(world)
    catalog = world.catalog()
    assert world.run(rest(world, rows)) is Word.OK
    assert (built(world), world.index("t:f")) == (b"ready", entries_of(1, 2, 3))
    assert world.catalog() == catalog


def test_part_after_part(world: World) -> None:
    # C6.1
    rows = three(world)
    assert world.run(versions.reindex("t:f", 0, 2, rows[:2], world.catalog())) is Word.OK
    assert (built(world), world.index("t:f")) == (b"2", entries_of(1, 2))
    assert world.run(versions.reindex("t:f", 2, 3, rows[2:], world.catalog())) is Word.OK
    assert (built(world), world.index("t:f")) == (b"3", entries_of(1, 2, 3))
    assert world.run(rest(world, [], before=3)) is Word.OK
    assert (built(world), world.index("t:f")) == (b"ready", entries_of(1, 2, 3))


@pytest.mark.parametrize("after", [2, None])
def test_twice(world: World, after: int | None) -> None:
    call = versions.reindex("t:f", 0, after, three(world)[:2], world.catalog())
    assert world.run(call) is Word.OK
    assert world.changes_nothing(call) is Word.LOST


@pytest.mark.parametrize("before", [1, 3])
def test_another_built_this_part(world: World, before: int) -> None:
    # C6.1: whoever comes first.
    rows = three(world)
    world.run(versions.reindex("t:f", 0, 2, rows[:2], world.catalog()))
    assert world.changes_nothing(rest(world, rows, before=before)) is Word.LOST


def test_an_index_that_went_and_came_back_meanwhile(world: World) -> None:
    # C6.1: what was written in between has no entry, and a part that was read before does not know of it.
    part = rest(world, three(world))
    world.run(versions.forget("t:f"))
    world.write(("put", "t:1", b"new"), catalog=world.catalog())
    world.run(versions.declare(["t:f"]))
    assert built(world) == b"0"
    assert world.changes_nothing(part) is Word.LOST


def test_missing(world: World) -> None:
    rows = three(world)
    assert world.changes_nothing(versions.reindex("t:g", 0, None, rows, world.catalog())) is Word.LOST


def test_one_that_was_always_ready(world: World) -> None:
    world.run(versions.declare(["t:f"]))
    assert world.changes_nothing(rest(world, [("t:1", "", b"\x02")])) is Word.LOST


def test_a_document_written_meanwhile(world: World) -> None:
    # C6.1: its entry is the writer's; that of the value it no longer has does not come back.
    rows = three(world)
    world.write(
        ("put", "t:2", b""),
        entries=[("del", "t:f", "t:2", b"\x05-2"), ("add", "t:f", "t:2", b"\x059")],
        catalog=world.catalog(),
    )
    assert world.run(rest(world, rows)) is Word.OK
    assert world.index("t:f") == [*entries_of(1, 3), (entry(b"\x059", 2, "t:2"), 0)]


def rewrite(world: World, changed: int) -> Transaction:
    """Changes a field that the index does not hold; committed."""
    catalog = IndexCatalog()
    catalog.learn(world.run(versions.declare()))
    transaction = Transaction(Limits(), catalog)
    answer_blocking(transaction.get("t:1"), world.run)
    transaction.put("t:1", values.pack({"f": 1, "other": changed}, "document"), new=False)
    commit = transaction.with_effects(world.commit_of(world.deliver()))
    assert world.run(transitions.commit([commit], WORKER, world.now)) == [Word.OK]
    return transaction


def test_a_document_written_meanwhile_with_the_same_value(world: World) -> None:
    # C6.1: its entry may not be there yet, and who builds leaves to the writer what was written.
    world.write(("add", "t:1", values.pack({"f": 1, "other": 0}, "document")))
    world.run(versions.declare(["t:f"]))
    key = Index("t", ("f",)).key_of({"f": 1})
    rows = [("t:1", world.read("doc", "t:1").version, key)]
    rewrite(world, 1)
    assert world.run(rest(world, rows)) is Word.OK
    assert world.index("t:f") == [(entry(key, 1, "t:1"), 0)]
    assert rewrite(world, 2).entries == []


def test_a_document_deleted_meanwhile(world: World) -> None:
    # C6.1
    rows = three(world)
    world.write(("del", "t:2", b""), entries=[("del", "t:f", "t:2", b"\x05-2")], catalog=world.catalog())
    assert world.run(rest(world, rows)) is Word.OK
    assert world.index("t:f") == entries_of(1, 3)


def test_a_document_added_meanwhile(world: World) -> None:
    # C6.1: its writer knows the index.
    rows = three(world)
    world.write(("add", "t:4", b""), entries=[("add", "t:f", "t:4", b"\x05-4")], catalog=world.catalog())
    assert world.run(rest(world, rows)) is Word.OK
    assert world.index("t:f") == entries_of(1, 2, 3, 4)


def test_a_document_deleted_and_added_again_meanwhile(world: World) -> None:
    # C6.1: it is another one, with another number.
    rows = three(world)
    world.write(("del", "t:2", b""), entries=[("del", "t:f", "t:2", b"\x05-2")], catalog=world.catalog())
    world.write(("add", "t:2", b""), entries=[("add", "t:f", "t:2", b"\x05-2")], catalog=world.catalog())
    assert world.run(rest(world, rows)) is Word.OK
    assert world.index("t:f") == [*entries_of(1), (entry(b"\x05-2", 5, "t:2"), 0), *entries_of(3)]


def test_an_entry_that_is_there(world: World) -> None:
    # C6.1: of one that was written before this part was read.
    three(world)
    world.write(("put", "t:2", b""), entries=[("add", "t:f", "t:2", b"\x05-2")], catalog=world.catalog())
    rows = [(f"t:{i}", world.read("doc", f"t:{i}").version, b"\x05%d" % -i) for i in (1, 2, 3)]
    assert world.run(rest(world, rows)) is Word.OK
    assert world.index("t:f") == entries_of(1, 2, 3)


def test_a_damaged_document(world: World) -> None:
    # C6.3: without its number no entry can be made, and this is seen before the first write.
    rows = three(world)
    world.command("HDEL", world.key("doc:t:2"), "created")
    before, part = world.dump(), rest(world, rows)
    with pytest.raises(redis.ResponseError, match="t:2 is damaged"):
        world.run(part)
    assert world.dump() == before


@pytest.mark.parametrize("key", ["indexes", "index:t:f", "doc:t:2"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    part = rest(world, three(world))
    world.break_key(key)
    world.refuses(part)


def test_an_index_that_was_dropped_and_declared_anew_meanwhile(world: World) -> None:
    # C6.1: what was written between has no entry of its writer, and was not read as it is now.
    part = rest(world, three(world))
    world.run(versions.forget("t:f"))
    world.write(("put", "t:1", b"new"), catalog=world.catalog())
    world.run(versions.declare(["t:f"]))
    assert world.changes_nothing(part) is Word.LOST
    assert built(world) == b"0"

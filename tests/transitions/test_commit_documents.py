"""commit: documents, their numbers of creation and versions, and the entries of indexes."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from scheduler import transitions, versions
from scheduler.script_call import Transition, Word
from scheduler.transitions import Commit
from scheduler.versions import Document
from tests.transitions.conftest import WORKER, World, entry

LOW, HIGH = b"\x05\x00\x00", b"\x06\xff\x00"
"""Sort keys; what is binary in them is kept."""


def of(*commits: Commit) -> Transition[list[Word]]:
    return transitions.commit(commits, WORKER)


def sequence(world: World) -> int:
    return world.run(versions.read([])).sequence


def add(number: int, data: bytes = b"") -> tuple[str, str, bytes]:
    return "add", f"t:{number}", data


# Documents


def test_documents(world: World) -> None:
    # C6.1: a table is in creation order; deleted is absent.
    world.write(("add", "t:b", b"1"))
    world.write(("add", "t:a", b"2"))
    assert world.table() == {"t:b": 1, "t:a": 2}
    put = world.write(("put", "t:b", b"3"))
    assert world.table() == {"t:b": 1, "t:a": 2}
    assert world.read("doc", "t:b") == Document("t:b", f"1-{put.token}", 1, b"3")
    world.write(("del", "t:b", b""), ("del", "t:never", b""))
    assert world.read("doc", "t:b") == Document("t:b", "", 0, b"")
    assert (world.table(), world.exists("doc:t:b")) == ({"t:a": 2}, 0)
    again = world.write(("add", "t:b", b"4"), reads=[("doc", "t:b", "")])
    assert world.read("doc", "t:b") == Document("t:b", f"1-{again.token}", 5, b"4")
    assert list(world.table()) == ["t:a", "t:b"]
    world.write(("del", "t:a", b""), ("del", "t:b", b""))
    assert world.exists("table:t") == 0


def test_documents_of_one_commit_are_in_the_order_of_its_writes(world: World) -> None:
    # C6.1: more than ten, so that digits are no order; those of two tables have one count.
    world.write(("add", "t:old", b""))
    ids = [f"t:{i}" for i in range(12, 0, -1)]
    world.write(*(("add", one, b"") for one in ids[:6]), ("put", "t:old", b"new"), ("add", "u:1", b""))
    world.write(("del", "t:old", b""), *(("add", one, b"") for one in ids[6:]))
    assert world.table() == {one: i for i, one in zip([*range(2, 8), *range(9, 15)], ids, strict=True)}
    assert (world.table("u"), sequence(world)) == ({"u:1": 8}, 14)
    assert [world.read("doc", one).created for one in ids] == list(world.table().values())


@pytest.mark.parametrize(
    ("writes", "more"),
    [
        ([], 0),
        ([add(1)], 1),
        ([add(1), add(2), add(3)], 3),
        ([("put", "t:old", b"")], 1),
        ([("del", "t:old", b"")], 1),
        ([("del", "t:old", b""), ("put", "t:other", b"")], 1),
        ([("del", "t:old", b""), add(1), ("put", "t:other", b""), add(2)], 2),
    ],
)
def test_sequence(world: World, writes: list[tuple[str, str, bytes]], more: int) -> None:
    # C6.2: it tells of every commit that writes, and no number of creation comes twice.
    world.write(("add", "t:old", b""), ("add", "t:other", b""))
    assert world.commit(world.deliver(), writes=writes) is Word.OK
    assert sequence(world) == 2 + more
    world.write(add(9))
    assert world.table()["t:9"] == 3 + more


def test_the_sequence_counts_beyond_14_digits(world: World) -> None:
    world.command("SET", world.key("sequence"), 2**53 - 3)
    world.write(add(1), add(2), entries=[("add", "t:f", "t:2", LOW)])
    assert world.table() == {"t:1": 2**53 - 2, "t:2": 2**53 - 1}
    assert world.read("doc", "t:1").created == 2**53 - 2
    assert world.index("t:f") == [(entry(LOW, 2**53 - 1, "t:2"), 0)]


def test_two_commits_of_one_call_have_versions_and_numbers_of_their_own(world: World) -> None:
    # C6.2
    one, two = world.commit_of(world.deliver(), writes=[add(1), add(2)]), world.commit_of(
        world.deliver(), writes=[add(3)]
    )  # fmt: skip
    assert world.run(of(one, two)) == [Word.OK, Word.OK]
    assert world.table() == {"t:1": 1, "t:2": 2, "t:3": 3}
    versions = [world.read("doc", f"t:{i}").version for i in (1, 2, 3)]
    assert versions == [f"1-{commit.delivery.token}" for commit in (one, one, two)]


def test_a_later_one_reads_what_an_earlier_one_of_the_call_wrote(world: World) -> None:
    # C6.2: the version is known before the commit, and so it may be read by whoever follows in the same call.
    one = world.commit_of(world.deliver(), writes=[add(1)])
    seen = f"1-{one.delivery.token}"
    two = world.commit_of(world.deliver(), reads=[("doc", "t:1", seen)], writes=[("put", "t:1", b"2")])
    assert world.run(of(one, two)) == [Word.OK, Word.OK]
    assert world.read("doc", "t:1").data == b"2"


def test_the_version_of_a_later_attempt(world: World) -> None:
    # C6.2
    world.run(transitions.retry([transitions.Retry(world.deliver(), 3, 0)], world.now))
    (delivery,) = world.claim()
    world.commit(delivery, writes=[add(1)])
    assert world.read("doc", "t:1").version == f"4-{delivery.token}"


# Entries of indexes


def test_entries_are_added(world: World) -> None:
    # C6.1: for each index, in the order of the values and then of creation.
    world.write(
        *(add(i) for i in (1, 2, 3)),
        entries=[
            ("add", "t:f", "t:1", HIGH),
            ("add", "t:f", "t:3", LOW),
            ("add", "t:f", "t:2", LOW),
            ("add", "t:f,g.h", "t:1", LOW + HIGH),
        ],
    )
    assert world.index("t:f") == [(entry(LOW, 2, "t:2"), 0), (entry(LOW, 3, "t:3"), 0), (entry(HIGH, 1, "t:1"), 0)]
    assert world.index("t:f,g.h") == [(entry(LOW + HIGH, 1, "t:1"), 0)]


def test_an_entry_moves(world: World) -> None:
    # C6.1: its document keeps its number.
    world.write(add(1), add(2), entries=[("add", "t:f", f"t:{i}", LOW) for i in (1, 2)])
    world.write(("put", "t:1", b""), entries=[("del", "t:f", "t:1", LOW), ("add", "t:f", "t:1", HIGH)])
    assert world.index("t:f") == [(entry(LOW, 2, "t:2"), 0), (entry(HIGH, 1, "t:1"), 0)]


def test_entries_are_removed(world: World) -> None:
    # C6.1
    world.write(add(1), add(2), entries=[("add", "t:f", f"t:{i}", LOW) for i in (1, 2)])
    world.write(("del", "t:1", b""), entries=[("del", "t:f", "t:1", LOW)])
    assert world.index("t:f") == [(entry(LOW, 2, "t:2"), 0)]
    world.write(("del", "t:2", b""), entries=[("del", "t:f", "t:2", LOW)])
    assert world.exists("index:t:f") == 0


def test_two_documents_change_places(world: World) -> None:
    # C6.1
    world.write(add(1), add(2), entries=[("add", "t:f", "t:1", LOW), ("add", "t:f", "t:2", HIGH)])
    moves = [
        (op, "t:f", f"t:{i}", key)
        for i, old, new in ((1, LOW, HIGH), (2, HIGH, LOW))
        for op, key in (("del", old), ("add", new))
    ]
    world.write(("put", "t:1", b""), ("put", "t:2", b""), entries=moves)
    assert world.index("t:f") == [(entry(LOW, 2, "t:2"), 0), (entry(HIGH, 1, "t:1"), 0)]


def test_an_entry_of_a_document_added_again(world: World) -> None:
    # C6.1: with its new number.
    world.write(add(1), entries=[("add", "t:f", "t:1", LOW)])
    world.write(("del", "t:1", b""), entries=[("del", "t:f", "t:1", LOW)])
    world.write(add(1), entries=[("add", "t:f", "t:1", LOW)])
    assert world.index("t:f") == [(entry(LOW, 3, "t:1"), 0)]


def test_an_entry_that_is_not_there_yet(world: World) -> None:
    # C6.1: its index is being built.
    world.write(add(1))
    world.write(("put", "t:1", b""), entries=[("del", "t:f", "t:1", LOW), ("add", "t:f", "t:1", HIGH)])
    assert world.index("t:f") == [(entry(HIGH, 1, "t:1"), 0)]


@pytest.mark.parametrize("size", [1, 200])
def test_the_length_of_the_id(world: World, size: int) -> None:
    one = "t:" + "9" * size
    world.write(("add", one, b""), entries=[("add", "t:f", one, LOW)])
    assert world.index("t:f") == [(entry(LOW, 1, one), 0)]


def test_entries_twice(world: World) -> None:
    # C3.1
    call = of(world.commit_of(world.deliver(), writes=[add(1)], entries=[("add", "t:f", "t:1", LOW)]))
    assert world.run(call) == [Word.OK]
    assert world.changes_nothing(call) == [Word.ALREADY]


@pytest.mark.parametrize("op", ["add", "del"])
def test_a_damaged_document(world: World, op: str) -> None:
    # C6.3: without its number no entry can be made, and this is seen before the first write.
    world.write(add(1), entries=[("add", "t:f", "t:1", LOW)])
    world.command("HDEL", world.key("doc:t:1"), "created")
    write, entries = ("put" if op == "add" else "del", "t:1", b""), [(op, "t:f", "t:1", LOW)]
    call = of(world.commit_of(world.deliver(), writes=[add(2), write], entries=entries))
    before = world.dump()
    with pytest.raises(redis.ResponseError, match="t:1 is damaged"):
        world.run(call)
    assert world.dump() == before


@pytest.mark.parametrize(("write", "op"), [("put", "add"), ("del", "del"), ("add", "del")])
def test_an_entry_of_a_document_that_is_not_there(world: World, write: str, op: str) -> None:
    # C6.3: whoever says so has not read it.
    call = of(world.commit_of(world.deliver(), writes=[add(2), (write, "t:1", b"")], entries=[(op, "t:f", "t:1", LOW)]))
    before = world.dump()
    with pytest.raises(redis.ResponseError, match="t:1 is damaged"):
        world.run(call)
    assert world.dump() == before


# By an older catalog


def indexed(world: World) -> dict[str, Any]:
    world.write(add(1), entries=[("add", "t:f", "t:1", LOW)])
    return {
        "writes": [("put", "t:1", b"new"), add(2)],
        "entries": [("del", "t:f", "t:1", LOW), ("add", "t:f", "t:1", HIGH), ("add", "t:f", "t:2", LOW)],
        "children": [world.request()],
        "conflicts": 1,
    }


@pytest.mark.parametrize("known", ["none", "earlier", "of another Redis"])
def test_stale(world: World, known: str) -> None:
    # C6.1: it would leave entries out, so nothing is written.
    effects = indexed(world)
    world.run(versions.declare(["t:g"]))
    catalogs = {"none": "0", "earlier": world.catalog(), "of another Redis": "x:1"}
    world.run(versions.declare(["u:f"]))
    delivery = world.deliver()
    call = of(world.commit_of(delivery, **effects, catalog=catalogs[known]))
    assert world.changes_nothing(call) == [Word.STALE]
    assert world.changes_nothing(call) == [Word.STALE]
    assert world.commit(delivery, **effects, catalog=world.catalog()) is Word.OK
    assert [one for one, _ in world.index("t:f")] == [entry(LOW, 2, "t:2"), entry(HIGH, 1, "t:1")]


@pytest.mark.parametrize("state", ["success", "failed"])
def test_who_writes_no_document_is_never_stale(world: World, state: str) -> None:
    world.run(versions.declare(["t:f"]))
    effects = {"children": [world.request()], "reads": [("doc", "t:1", "")]}
    assert world.commit(world.deliver(), state, **effects) is Word.OK


def test_stale_is_said_last(world: World) -> None:
    # C3.1, C6.2: who has lost or read what changed is told so.
    world.run(versions.declare(["t:f"]))
    done, lost = world.in_state("success"), world.deliver()._replace(token="x")
    conflicting = world.commit_of(world.deliver(), reads=[("doc", "t:1", "other")], writes=[add(1)])
    call = of(world.commit_of(done, writes=[add(1)]), world.commit_of(lost, writes=[add(1)]), conflicting)
    assert world.changes_nothing(call) == [Word.ALREADY, Word.LOST, Word.CONFLICT]


def test_one_that_is_stale_changes_nothing_for_the_others(world: World) -> None:
    world.run(versions.declare(["t:f"]))
    one, stale, two = (
        world.commit_of(world.deliver(), writes=[add(i)], catalog=catalog)
        for i, catalog in enumerate([world.catalog(), "0", world.catalog()])
    )
    assert world.run(of(one, stale, two)) == [Word.OK, Word.STALE, Word.OK]
    assert world.table() == {"t:0": 1, "t:2": 2}
    assert world.state(stale.delivery.job_id) == "pending"


def test_stale_at_once_by_an_action(world: World) -> None:
    # C3.9
    world.run(versions.declare(["t:f"]))
    delivery = transitions.Delivery("", "", "", "direct-token", 1)
    commit = Commit(delivery, "f", "", 0, "success", b"", writes=[add(1)])
    assert world.changes_nothing(of(commit)) == [Word.STALE]
    assert world.run(of(commit._replace(catalog=world.catalog()))) == [Word.OK]

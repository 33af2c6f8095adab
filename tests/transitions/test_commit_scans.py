"""commit: whether scans still hold. `check` answers the same."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import transitions, versions
from scheduler.script_call import Word
from scheduler.versions import Scan
from tests.transitions.conftest import WORKER, World

IDS = {letter: f"t:{letter}" for letter in "abcdefz"}


def key(digit: int) -> bytes:
    return b"\x05%d" % digit


def add(letter: str, digit: int) -> dict[str, Any]:
    return {"writes": [("add", IDS[letter], b"")], "entries": [("add", "t:f", IDS[letter], key(digit))]}


def move(letter: str, old: int, new: int) -> dict[str, Any]:
    entries = [("del", "t:f", IDS[letter], key(old)), ("add", "t:f", IDS[letter], key(new))]
    return {"writes": [("put", IDS[letter], b"new")], "entries": entries}


def put(letter: str) -> dict[str, Any]:
    """With the same value in the index."""
    return {"writes": [("put", IDS[letter], b"new")]}


def delete(letter: str, digit: int) -> dict[str, Any]:
    return {"writes": [("del", IDS[letter], b"")], "entries": [("del", "t:f", IDS[letter], key(digit))]}


def elsewhere(table: str) -> dict[str, Any]:
    return {"writes": [("add", f"{table}:a", b"")], "entries": [("add", f"{table}:f", f"{table}:a", key(5))]}


def five(world: World) -> None:
    """Documents a to e with the values 1, 3, 5, 7, 9."""
    world.make_ready("t:f")
    world.write(
        *(("add", IDS[letter], b"") for letter in "abcde"),
        entries=[
            ("add", "t:f", IDS[letter], key(digit)) for letter, digit in zip("abcde", range(1, 10, 2), strict=True)
        ],
    )


TABLE = Scan("table:t", "BYSCORE", "-inf", "+inf", "asc", 9)
MIDDLE = TABLE._replace(lower="2", upper="4")
FIRST = TABLE._replace(most=2)
LAST = TABLE._replace(order="desc", most=2)
INDEX = Scan("index:t:f", "BYLEX", b"-", b"+", "asc", 9)
RANGE = INDEX._replace(lower=b"[" + key(3), upper=b"(" + key(8))
LOWEST = INDEX._replace(most=2)
HIGHEST = INDEX._replace(order="desc", most=2)
EMPTY = INDEX._replace(lower=b"[" + key(4), upper=b"(" + key(5))

HOLDS = [
    (TABLE, put("c")),
    (TABLE, move("c", 5, 8)),
    (TABLE, elsewhere("u")),
    (TABLE, elsewhere("t2")),
    (TABLE, {"writes": [("del", "t:z", b"")]}),
    (TABLE, {}),
    (MIDDLE, add("f", 5)),
    (MIDDLE, delete("a", 1)),
    (MIDDLE, delete("e", 9)),
    (FIRST, add("f", 0)),
    (FIRST, delete("c", 5)),
    (LAST, delete("c", 5)),
    (TABLE._replace(most=0), delete("a", 1)),
    (INDEX, put("c")),
    (INDEX, move("c", 5, 6)),
    (INDEX, elsewhere("u")),
    (INDEX, elsewhere("t2")),
    (RANGE, add("f", 2)),
    (RANGE, add("f", 8)),
    (RANGE, delete("a", 1)),
    (RANGE, delete("e", 9)),
    (RANGE, move("a", 1, 2)),
    (RANGE, move("a", 1, 9)),
    (LOWEST, add("f", 4)),
    (LOWEST, delete("c", 5)),
    (LOWEST, move("e", 9, 4)),
    (HIGHEST, add("f", 6)),
    (HIGHEST, delete("c", 5)),
    (EMPTY, add("f", 5)),
    (EMPTY, add("f", 3)),
]
BROKEN = [
    (TABLE, add("f", 5)),
    (TABLE, delete("a", 1)),
    (TABLE, delete("e", 9)),
    (MIDDLE, delete("b", 3)),
    (MIDDLE, delete("d", 7)),
    (FIRST, delete("a", 1)),
    (FIRST, delete("b", 3)),
    (LAST, add("f", 0)),
    (LAST, delete("d", 7)),
    (TABLE._replace(lower="(5"), add("f", 5)),
    (TABLE._replace(order="desc"), delete("c", 5)),
    (INDEX, add("f", 5)),
    (INDEX, delete("c", 5)),
    (INDEX, move("c", 5, 8)),
    (RANGE, add("f", 3)),
    (RANGE, add("f", 7)),
    (RANGE, delete("b", 3)),
    (RANGE, delete("d", 7)),
    (RANGE, move("a", 1, 4)),
    (RANGE, move("c", 5, 2)),
    (RANGE, move("c", 5, 8)),
    (RANGE, move("b", 3, 6)),
    (LOWEST, add("f", 2)),
    (LOWEST, move("e", 9, 2)),
    (LOWEST, delete("b", 3)),
    (HIGHEST, add("f", 8)),
    (HIGHEST, move("a", 1, 8)),
    (HIGHEST, delete("d", 7)),
    (EMPTY, add("f", 4)),
    (EMPTY, move("b", 3, 4)),
]
CASES = [(*case, Word.OK) for case in HOLDS] + [(*case, Word.CONFLICT) for case in BROKEN]


def found(world: World, scan: Scan) -> str:
    """The version of a scan."""
    (walked,) = world.run(versions.read([], [scan])).walks
    return " ".join(one.id for one in walked.documents)


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two calls"])
@pytest.mark.parametrize(("scan", "change", "word"), CASES)
def test_an_earlier_commit_changes_what_was_scanned(
    world: World, scan: Scan, change: dict[str, Any], word: Word, together: bool
) -> None:
    # C6.2: documents that were not there count too, and what is outside of the range does not.
    five(world)
    seen = [(scan, found(world, scan))]
    first = world.commit_of(world.deliver(), **change)
    second = world.commit_of(world.deliver(), scans=seen, writes=[("add", "v:1", b"")])
    if together:
        assert world.run(transitions.commit([first, second], WORKER)) == [Word.OK, word]
    else:
        assert world.run(transitions.commit([first], WORKER)) == [Word.OK]
        (checked,) = world.changes_nothing(versions.check([([], seen)]))
        assert checked.holds is (word is Word.OK)
        assert world.run(transitions.commit([second], WORKER)) == [word]
    assert world.exists("doc:v:1") == (word is Word.OK)


@pytest.mark.parametrize("scan", [TABLE, MIDDLE, FIRST, LAST, INDEX, RANGE, LOWEST, HIGHEST, EMPTY])
@pytest.mark.parametrize("state", ["success", "failed"])
def test_nothing_changed(world: World, scan: Scan, state: str) -> None:
    # C6.2
    five(world)
    assert world.commit(world.deliver(), state, scans=[(scan, found(world, scan))]) is Word.OK


@pytest.mark.parametrize("state", ["success", "failed"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_of_several_scans(world: World, state: str, place: int) -> None:
    # C6.2, C3.2: also a failure is committed only if what was read still holds.
    five(world)
    scans = [(scan, found(world, scan)) for scan in (FIRST, HIGHEST, EMPTY)]
    scans[place] = (scans[place][0], "t:z")
    commit = world.commit_of(world.deliver(), state, scans=scans, conflicts=1)
    assert world.changes_nothing(transitions.commit([commit], WORKER)) == [Word.CONFLICT]


def test_a_table_that_is_empty(world: World) -> None:
    # C6.2: of two that insert into what both saw empty, one wins.
    world.make_ready("t:f")
    commits = [world.commit_of(world.deliver(), scans=[(TABLE, ""), (INDEX, "")], **add(letter, 1)) for letter in "ab"]
    assert world.run(transitions.commit(commits, WORKER)) == [Word.OK, Word.CONFLICT]
    assert list(world.table()) == ["t:a"]


def test_its_own_writes_are_no_conflict(world: World) -> None:
    # C6.2
    five(world)
    seen = [(scan, found(world, scan)) for scan in (TABLE, INDEX)]
    assert world.commit(world.deliver(), scans=seen, **add("f", 5)) is Word.OK


def test_a_scan_that_was_cut_counts_as_far_as_it_came(world: World) -> None:
    # C6.2
    world.write(*(("add", IDS[letter], bytes(600 * 1024)) for letter in "abc"))
    (walked,) = world.run(versions.read([], [TABLE])).walks
    assert ([one.id for one in walked.documents], walked.cut) == (["t:a", "t:b"], True)
    seen = [(TABLE._replace(most=2), "t:a t:b")]
    world.write(("del", "t:c", b""))
    assert world.commit(world.deliver(), scans=seen) is Word.OK
    world.write(("del", "t:b", b""))
    assert world.commit(world.deliver(), scans=seen) is Word.CONFLICT


def test_a_document_deleted_and_added_again(world: World) -> None:
    # C6.2: a table has it at its end then, an index where it was; that it is another, its version says.
    five(world)
    table, index = found(world, TABLE), found(world, INDEX)
    seen = [("doc", "t:c", world.read("doc", "t:c").version)]
    for change in (delete("c", 5), add("c", 5)):
        assert world.commit(world.deliver(), **change) is Word.OK
    assert world.commit(world.deliver(), scans=[(TABLE, table)]) is Word.CONFLICT
    assert world.commit(world.deliver(), scans=[(INDEX, index)]) is Word.OK
    assert world.commit(world.deliver(), scans=[(INDEX, index)], reads=seen) is Word.CONFLICT


@pytest.mark.parametrize("scan", [TABLE, INDEX])
def test_wrong_type(world: World, scan: Scan) -> None:
    # C6.3
    world.make_ready("t:f")
    commit = world.commit_of(world.deliver(), scans=[(scan, "")], writes=[("add", "u:1", b"")], conflicts=1)
    world.break_key(scan.key)
    world.refuses(transitions.commit([commit], WORKER))


@pytest.mark.parametrize("state", [None, "0", "3"])
def test_an_index_that_is_not_ready(world: World, state: str | None) -> None:
    # C6.1: dropped, or built anew, after it was scanned.
    five(world)
    seen = [(INDEX, found(world, INDEX))]
    world.command(
        *(("HDEL",) if state is None else ("HSET",)), world.key("indexes"), "t:f", *([state] if state else [])
    )
    call = transitions.commit([world.commit_of(world.deliver(), scans=seen)], WORKER)
    assert world.changes_nothing(call) == [Word.CONFLICT]

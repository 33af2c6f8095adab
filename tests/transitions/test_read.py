"""read: state, call and reply."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import versions
from scheduler.versions import Document, Scan, Snapshot, Walked
from tests.transitions.conftest import World

MIB = 1024 * 1024


def test_empty(world: World) -> None:
    assert world.changes_nothing(versions.read([])) == Snapshot(0, [], [])


@pytest.mark.parametrize("kind", ["doc", "job", "key"])
def test_absent(world: World, kind: str) -> None:
    # C6.2
    assert world.changes_nothing(versions.read([(kind, "t:1")])) == Snapshot(0, [Document("t:1", "", 0, b"")], [])


@pytest.mark.parametrize("state", ["pending", "inProgress", "success", "failed", "canceled"])
def test_jobs(world: World, state: str) -> None:
    # C6.2: the version of a job is its state.
    delivery = world.in_state(state)
    assert world.changes_nothing(versions.read([("job", delivery.job_id)])).things == [
        Document(delivery.job_id, state, 0, b"")
    ]


def test_all_at_once_in_order(world: World) -> None:
    # C6.2
    job_id = world.schedule(delay=9, key="k")
    delivery = world.deliver()
    world.commit(delivery, writes=[("add", "t:1", b"data")])
    pairs = [("key", "k"), ("doc", "t:1"), ("job", job_id), ("doc", "t:2")]
    want = [
        Document("k", job_id, 0, b""),
        Document("t:1", f"1-{delivery.token}", 1, b"data"),
        Document(job_id, "pending", 0, b""),
        Document("t:2", "", 0, b""),
    ]
    scan = Scan("table:t", "BYSCORE", "-inf", "+inf", "asc", 9)
    walks = [Walked([want[1]], False), Walked([], False)]
    call = versions.read(pairs, [scan, scan._replace(key="table:none")])
    assert world.changes_nothing(call) == Snapshot(1, want, walks)


def five(world: World) -> None:
    """Documents t:a to t:e, in that order by creation and in the other by the index."""
    world.make_ready("t:f")
    ids = [f"t:{letter}" for letter in "abcde"]
    world.write(
        *(("add", document_id, document_id.encode()) for document_id in ids),
        entries=[("add", "t:f", document_id, b"\x05%d" % -i) for i, document_id in enumerate(ids, -5)],
    )


def found(world: World, *scan: Any) -> str:
    """The letters of the documents that a scan found."""
    (walked,) = world.changes_nothing(versions.read([], [Scan(*scan)])).walks
    assert not walked.cut
    for document in walked.documents:
        assert document == world.read("doc", document.id)
    return "".join(document.id[2:] for document in walked.documents)


@pytest.mark.parametrize(
    ("lower", "upper", "most", "want"),
    [
        ("-inf", "+inf", 9, "abcde"),
        ("-inf", "+inf", 5, "abcde"),
        ("-inf", "+inf", 2, "ab"),
        ("-inf", "+inf", 0, ""),
        ("2", "4", 9, "bcd"),
        ("(2", "4", 9, "cd"),
        ("(2", "(4", 9, "c"),
        ("(2", "+inf", 1, "c"),
        ("6", "+inf", 9, ""),
        ("4", "2", 9, ""),
    ],
)
def test_a_scan_of_a_table(world: World, lower: str, upper: str, most: int, want: str) -> None:
    # C6.1: in the order of creation.
    five(world)
    assert found(world, "table:t", "BYSCORE", lower, upper, "asc", most) == want


@pytest.mark.parametrize(
    ("lower", "upper", "most", "want"),
    [("-inf", "+inf", 9, "edcba"), ("-inf", "+inf", 2, "ed"), ("-inf", "(4", 2, "cb"), ("2", "4", 9, "dcb")],
)
def test_a_scan_of_a_table_backwards(world: World, lower: str, upper: str, most: int, want: str) -> None:
    # C6.1
    five(world)
    assert found(world, "table:t", "BYSCORE", lower, upper, "desc", most) == want


@pytest.mark.parametrize(
    ("lower", "upper", "most", "want"),
    [
        (b"-", b"+", 9, "edcba"),
        (b"-", b"+", 2, "ed"),
        (b"[\x052", b"(\x054", 9, "dc"),
        (b"(\x052\xff", b"+", 9, "cba"),
        (b"[\x052", b"[\x052\xff", 9, "d"),
        (b"[\x06", b"+", 9, ""),
        (b"[\x054", b"(\x052", 9, ""),
    ],
)
def test_a_scan_of_an_index(world: World, lower: bytes, upper: bytes, most: int, want: str) -> None:
    # C6.1: in the order of the values.
    five(world)
    assert found(world, "index:t:f", "BYLEX", lower, upper, "asc", most) == want


@pytest.mark.parametrize(
    ("lower", "upper", "most", "want"),
    [(b"-", b"+", 9, "abcde"), (b"-", b"+", 2, "ab"), (b"[\x052", b"(\x054", 9, "cd"), (b"-", b"(\x053", 1, "d")],
)
def test_a_scan_of_an_index_backwards(world: World, lower: bytes, upper: bytes, most: int, want: str) -> None:
    # C6.1
    five(world)
    assert found(world, "index:t:f", "BYLEX", lower, upper, "desc", most) == want


def test_equal_values_of_an_index_are_in_the_order_of_creation(world: World) -> None:
    # C6.1: the tenth comes after the ninth, and an id may be long, short and of digits.
    world.make_ready("t:f")
    ids = ["t:" + "9" * 200, *(f"t:{i}" for i in range(9, 0, -1)), "t:" + "a" * 200]
    world.write(*(("add", one, b"") for one in ids), entries=[("add", "t:f", one, b"\x02") for one in ids])
    scan = Scan("index:t:f", "BYLEX", "-", "+", "asc", 99)
    (walked,) = world.run(versions.read([], [scan])).walks
    assert [(one.id, one.created) for one in walked.documents] == [(one, i) for i, one in enumerate(ids, 1)]


@pytest.mark.parametrize(
    ("sizes", "count", "cut"),
    [
        pytest.param([MIB - 1, 1, 1], 2, True, id="exactly"),
        pytest.param([MIB - 1, 1], 2, False, id="exactly, the last"),
        pytest.param([MIB - 2, 1, 1, 1], 3, True, id="one byte below"),
        pytest.param([MIB, 1], 1, True, id="the first"),
        pytest.param([MIB + 1], 1, False, id="one alone"),
        pytest.param([MIB - 1, 0], 2, False, id="below"),
    ],
)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_scan_stops_at_1_mib(world: World, sizes: list[int], count: int, cut: bool, order: str) -> None:
    made = sizes if order == "asc" else sizes[::-1]
    world.write(*(("add", f"t:{i}", bytes(size)) for i, size in enumerate(made)))
    scans = [Scan("table:t", "BYSCORE", "-inf", "+inf", order, 9)] * 2
    for walked in world.changes_nothing(versions.read([], scans)).walks:
        assert ([len(one.data) for one in walked.documents], walked.cut) == (sizes[:count], cut)


def test_a_scan_is_not_cut_by_the_documents_asked_for(world: World) -> None:
    world.write(*(("add", f"t:{i}", bytes(MIB)) for i in range(2)))
    (walked,) = world.run(versions.read([("doc", "t:0")], [Scan("table:t", "BYSCORE", "-inf", "+inf", "asc", 1)])).walks
    assert (len(walked.documents), walked.cut) == (1, False)


@pytest.mark.parametrize("key", ["sequence", "doc:t:1", "table:t", "index:t:f", "doc:t:2"])
def test_wrong_type(world: World, key: str) -> None:
    # C6.3
    world.make_ready("t:f")
    world.write(("add", "t:2", b""))
    world.break_key(key)
    scans = [
        Scan("table:t", "BYSCORE", "-inf", "+inf", "asc", 9),
        Scan("index:t:f", "BYLEX", "-", "+", "desc", 9),
    ]
    world.refuses(versions.read([("doc", "t:1"), ("job", "j"), ("key", "k")], scans))


def test_a_damaged_key_is_as_good_as_none(world: World) -> None:
    # C6.2: it costs nobody else who asks in the same call.
    job_id = world.schedule()
    for key in (f"status:{job_id}", "status:j", "key:k"):
        world.break_key(key)
    assert [world.read("job", one).version for one in (job_id, "j")] == ["pending", ""]
    assert world.read("key", "k").version == ""


@pytest.mark.parametrize("state", ["", "0", "3"])
def test_a_scan_of_an_index_that_is_not_ready(world: World, state: str) -> None:
    # C6.1: never declared or dropped, or being built.
    five(world)
    command = ("HSET", world.key("indexes"), "t:f", state) if state else ("HDEL", world.key("indexes"), "t:f")
    world.command(*command)
    scan = Scan("index:t:f", "BYLEX", "-", "+", "asc", 9)
    assert world.changes_nothing(versions.read([], [scan])).walks == [Walked([], stale=True)]

"""What a mutation buffers: documents, children, cancels, reads; savepoints and limits (C2.9, C3.9, C6.2)."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import values
from scheduler.call import Request
from scheduler.catalog import IndexCatalog
from scheduler.errors import InvalidCall, LimitExceeded
from scheduler.ids import JobId
from scheduler.query import Plan
from scheduler.reading import Check, Read
from scheduler.settings import Limits
from scheduler.sortkey import sort_key
from scheduler.table import Index
from scheduler.transaction import Conflict, Transaction
from scheduler.versions import Catalog, Scan
from scheduler.walk import walk
from tests.answers import Answers


def child(number: int, tail: bytes = b"x", key: str = "") -> Request:
    return Request(JobId(f"JOB{number}"), "default", "f", "after", 0, "P", key, "", tail)


def stored(a: int, b: int) -> bytes:
    return values.pack({"a": a, "b": b}, "document")


class Begun(Transaction):
    """A transaction with who carries its reads."""

    def __init__(self, redis: Answers, limits: Limits, catalog: IndexCatalog | None = None) -> None:
        super().__init__(limits, catalog)
        self._reader = redis.reader

    async def see(self, document_id: str) -> bytes | None:
        return await self._reader(self.get(document_id))

    async def version_of(self, kind: str, key: str) -> str:
        return await self._reader(self.version(kind, key))

    async def holds(self) -> bool:
        return await self._reader(self.still_holds())

    async def scan(self, scan: Scan) -> list[str]:
        return [document.id for document in (await self._reader(self.walk(scan))).documents]


def begin(redis: Answers | None = None, **limits: Any) -> Begun:
    return Begun(redis or Answers(), Limits(**limits))


# Writes


async def apply(transaction: Begun, steps: str) -> None:
    """i insert, p patch or replace, d delete of t:x, each after a look as ctx.db does it."""
    for step in steps:
        found = await transaction.see("t:x")
        match step:
            case "i":
                assert found is None
                transaction.put("t:x", b"i", new=True)
            case "p":
                assert found is not None
                transaction.put("t:x", b"p", new=False)
            case "d":
                assert found is not None
                transaction.delete("t:x")


@pytest.mark.parametrize(
    ("steps", "writes"),
    [
        ("i", [("add", b"i")]), ("ip", [("add", b"p")]), ("ipp", [("add", b"p")]), ("id", []), ("ipd", []),
        ("idi", [("add", b"i")]), ("idip", [("add", b"p")]), ("idid", []),
    ],
)  # fmt: skip
async def test_a_document_that_was_absent(steps: str, writes: list[tuple[str, bytes]]) -> None:
    # C6.1
    transaction = begin()
    await apply(transaction, steps)
    assert [(op, data) for op, _, data in transaction.writes] == writes
    assert transaction.reads == [("doc", "t:x", "")]


@pytest.mark.parametrize(
    ("steps", "writes"),
    [
        ("p", [("put", b"p")]), ("pp", [("put", b"p")]), ("d", [("del", b"")]), ("pd", [("del", b"")]),
        ("di", [("put", b"i")]), ("dip", [("put", b"p")]), ("did", [("del", b"")]), ("pdi", [("put", b"i")]),
        ("didi", [("put", b"i")]),
    ],
)  # fmt: skip
async def test_a_document_that_existed(steps: str, writes: list[tuple[str, bytes]]) -> None:
    # C6.1
    transaction = begin(Answers(x=b"old"))
    await apply(transaction, steps)
    assert [(op, data) for op, _, data in transaction.writes] == writes
    assert transaction.reads == [("doc", "t:x", "1-x")]


async def test_an_insert_under_a_new_key_reads_nothing() -> None:
    redis = Answers()
    transaction = begin(redis)
    transaction.put("t:new", b"1", new=True)
    assert await transaction.see("t:new") == b"1"
    assert (transaction.reads, redis.questions) == ([], [])


async def test_reads_see_the_transactions_own_writes() -> None:
    # C6.2
    transaction = begin(Answers(x=b"old"))
    assert await transaction.see("t:x") == b"old"
    transaction.put("t:x", b"new", new=False)
    assert await transaction.see("t:x") == b"new"
    transaction.delete("t:x")
    assert await transaction.see("t:x") is None


# Reads


async def test_what_was_read_is_read_once() -> None:
    redis = Answers(x=b"1")
    transaction = begin(redis)
    for _ in range(3):
        assert await transaction.see("t:x") == b"1"
        assert await transaction.see("t:absent") is None
    assert transaction.reads == [("doc", "t:x", "1-x"), ("doc", "t:absent", "")]
    assert redis.questions == [Read([("doc", "t:x")]), Read([("doc", "t:absent")])]


async def test_a_commit_elsewhere_that_changed_nothing_read_is_no_conflict() -> None:
    # C6.2
    redis = Answers(x=b"1", y=b"2")
    transaction = begin(redis)
    await transaction.see("t:x")
    redis.commit("doc", "t:z", "2-z")
    assert await transaction.see("t:y") == b"2"
    assert redis.questions[-1] == Check([("doc", "t:x", "1-x"), ("doc", "t:y", "1-y")], [])  # all, at one moment


@pytest.mark.parametrize(
    ("kind", "key"), [("doc", "t:x"), ("doc", "t:absent"), ("job", "J"), ("job", "GONE"), ("key", "k"), ("key", "free")]
)
async def test_no_half_of_anothers_commit_is_seen(kind: str, key: str) -> None:
    # C6.2: documents, absent documents, jobs and keys
    redis = Answers(x=b"1", y=b"2")
    redis.commit("job", "J", "pending")
    redis.commit("key", "k", "J")
    transaction = begin(redis)
    if kind == "doc":
        await transaction.see(key)
    else:
        await transaction.version_of(kind, key)
    redis.commit(kind, key, "changed")
    redis.commit("doc", "t:y", "2-y")
    with pytest.raises(Conflict):
        await transaction.see("t:y")


async def test_a_job_that_changes_between_two_reads_is_a_conflict() -> None:
    # C6.2: the state of a job moves without a commit of documents
    redis = Answers(x=b"1")
    redis.commit("job", "J", "pending")
    transaction = begin(redis)
    assert await transaction.version_of("job", "J") == "pending"
    redis.commit("job", "J", "success")
    with pytest.raises(Conflict):
        await transaction.version_of("job", "K")


async def test_a_handler_cannot_catch_a_conflict_by_accident() -> None:
    # C6.2
    assert not issubclass(Conflict, Exception)
    with pytest.raises(Conflict):
        begin().conflict()


async def test_whether_all_still_holds() -> None:
    # C3.2
    redis = Answers(x=b"1")
    transaction = begin(redis)
    assert await transaction.holds()
    assert redis.questions == []
    await transaction.see("t:x")
    await transaction.version_of("job", "J")
    assert await transaction.holds()
    redis.commit("job", "J", "pending")
    assert not await transaction.holds()


# Scans

ALL = Scan("table:t", "BYSCORE", "-inf", "+inf", "asc", 10)


def three() -> Answers:
    redis = Answers(a=b"1", b=b"2", c=b"3")
    redis.find(ALL, ["t:a", "t:b", "t:c"])
    return redis


async def test_a_scan_and_each_document_it_found_are_read() -> None:
    # C6.2
    redis = three()
    transaction = begin(redis)
    assert await transaction.scan(ALL) == ["t:a", "t:b", "t:c"]
    assert transaction.scans == [(ALL, "t:a t:b t:c")]
    assert transaction.reads == [("doc", "t:a", "1-a"), ("doc", "t:b", "1-b"), ("doc", "t:c", "1-c")]
    assert await transaction.see("t:b") == b"2"
    assert len(redis.questions) == 1
    assert await transaction.scan(ALL) == ["t:a", "t:b", "t:c"]
    assert len(transaction.scans) == 1


async def test_a_scan_that_was_cut_short_counts_as_far_as_it_came() -> None:
    # C6.2
    redis = three()
    redis.cut = 2
    transaction = begin(redis)
    assert await transaction.scan(ALL) == ["t:a", "t:b"]
    assert transaction.scans == [(ALL._replace(most=2), "t:a t:b")]
    redis.find(ALL, ["t:a", "t:b"])
    assert await transaction.holds()
    redis.find(ALL, ["t:a", "t:new", "t:b"])
    assert not await transaction.holds()


@pytest.mark.parametrize("found", [["t:a", "t:b"], ["t:a", "t:b", "t:c", "t:x"], ["t:b", "t:a", "t:c"], []])
async def test_a_scan_that_finds_something_else_the_second_time_is_a_conflict(found: list[str]) -> None:
    # C6.2
    redis = three()
    transaction = begin(redis)
    await transaction.scan(ALL)
    redis.find(ALL, found)
    redis.sequence += 1
    assert not await transaction.holds()
    with pytest.raises(Conflict):
        await transaction.scan(ALL)
    assert transaction.conflicted


async def test_a_scan_that_finds_a_document_that_was_seen_otherwise_is_a_conflict() -> None:
    # C6.2: changed, or absent before
    for key in ("t:a", "t:x"):
        redis = three()
        transaction = begin(redis)
        await transaction.see(key)
        redis.commit("doc", key, "2-new", b"new")
        redis.find(ALL, ["t:a", "t:b", "t:c", "t:x"][: 3 + (key == "t:x")])
        with pytest.raises(Conflict):
            await transaction.scan(ALL)


async def test_a_read_after_a_scan_shows_no_half_of_anothers_commit() -> None:
    # C6.2
    redis = three()
    transaction = begin(redis)
    await transaction.scan(ALL)
    redis.commit("doc", "t:x", "2-x")
    redis.find(ALL, ["t:a", "t:b", "t:c", "t:x"])
    with pytest.raises(Conflict):
        await transaction.see("t:elsewhere")


async def test_a_scan_that_finds_nothing_is_read_too() -> None:
    # C6.2
    redis = Answers()
    transaction = begin(redis)
    assert await transaction.scan(ALL) == []
    assert await transaction.holds()
    redis.find(ALL, ["t:x"])
    assert not await transaction.holds()


async def test_documents_of_scans_count_as_read() -> None:
    # C2.9
    transaction = begin(three(), documents_read=2)
    with pytest.raises(LimitExceeded, match="read 2 documents"):
        await transaction.scan(ALL)


# Index entries


async def test_writes_move_the_entries_of_the_indexes_there_are() -> None:
    # C6.1
    redis = Answers(x=stored(1, 1), y=stored(2, 2), z=stored(3, 3))
    catalog = IndexCatalog()
    catalog.learn(Catalog("7", {"t:a": None, "t:b": 5, "other:a": None}))
    transaction = Begun(redis, Limits(), catalog)
    for key in "xyz":
        await transaction.see(f"t:{key}")
    transaction.put("t:x", stored(1, 9), new=False)
    transaction.delete("t:y")
    transaction.put("t:new", stored(4, 4), new=True)
    transaction.put("t:z", stored(3, 3), new=False)
    assert transaction.catalog == "7"
    assert transaction.entries == [
        ("del", "t:b", "t:x", sort_key(1)), ("add", "t:b", "t:x", sort_key(9)),
        ("del", "t:a", "t:y", sort_key(2)), ("del", "t:b", "t:y", sort_key(2)),
        ("add", "t:a", "t:new", sort_key(4)), ("add", "t:b", "t:new", sort_key(4)),
        # An index that is being built may not have it yet.
        ("del", "t:b", "t:z", sort_key(3)), ("add", "t:b", "t:z", sort_key(3)),
    ]  # fmt: skip


def test_the_numbers_of_what_was_added_stay_when_others_go() -> None:
    # C6.2: a page of a query goes on from one that was deleted meanwhile
    transaction = begin()
    for key in "abc":
        transaction.put(f"t:{key}", b"", new=True)
    transaction.put("t:c", b"1", new=False)
    transaction.delete("t:a")
    savepoint = transaction.savepoint()
    transaction.delete("t:b")
    transaction.put("t:b", b"", new=True)
    assert {key: write.number for key, write in transaction.buffered.items()} == {"t:c": 2, "t:b": 3}
    transaction.restore(savepoint)
    assert {key: write.number for key, write in transaction.buffered.items()} == {"t:b": 1, "t:c": 2}
    assert [transaction.has_added(f"t:{key}") for key in "abd"] == [True, True, False]


# Children and cancels


def test_children_are_known_by_id_and_by_key() -> None:
    # C2.7, C2.10
    transaction = begin()
    one, other = child(1), child(2, key="k")
    transaction.add_child(one)
    transaction.add_child(other)
    assert transaction.children == [one, other]
    assert transaction.child("JOB1") is one
    assert transaction.child("JOB3") is None
    assert transaction.child_of_key("k") is other
    assert transaction.child_of_key("free") is None


def test_a_canceled_child_is_born_so() -> None:
    # C4
    transaction = begin()
    transaction.add_child(child(1))
    assert not transaction.canceled("JOB1")
    transaction.cancel_child("JOB1")
    assert transaction.canceled("JOB1")
    assert [one.born for one in transaction.children] == ["canceled"]
    assert transaction.cancels == []


def test_cancels_are_buffered_once() -> None:
    # C4.1
    transaction = begin()
    transaction.cancel("A")
    transaction.cancel("B")
    transaction.cancel("A")
    assert transaction.cancels == ["A", "B"]
    assert transaction.canceled("A")
    assert not transaction.canceled("C")


# Savepoints


async def test_a_savepoint_restores_all_that_was_buffered_and_keeps_the_reads() -> None:
    # C3.9
    transaction = begin(Answers(x=b"old", y=b"old"), jobs_bytes=10)
    await apply(transaction, "p")
    transaction.add_child(child(1, b"12345"))
    transaction.cancel("A")
    savepoint = transaction.savepoint()
    before = (transaction.writes, transaction.children, transaction.cancels)
    for _ in range(2):  # a savepoint can be used again
        await apply(transaction, "d")
        transaction.put("t:new", b"1", new=True)
        assert await transaction.see("t:y") == b"old"
        transaction.add_child(child(2, b"12345"))
        transaction.cancel_child("JOB1")
        transaction.cancel("B")
        transaction.restore(savepoint)
        assert (transaction.writes, transaction.children, transaction.cancels) == before
        assert not transaction.canceled("JOB1")
    assert await transaction.see("t:x") == b"p"
    assert await transaction.see("t:new") is None
    assert ("doc", "t:y", "1-y") in transaction.reads
    transaction.add_child(child(3, b"12345"))  # the bytes of the undone one are free again
    with pytest.raises(LimitExceeded):
        transaction.add_child(child(4))


async def test_savepoints_nest() -> None:
    # C3.9
    transaction = begin()
    outer = transaction.savepoint(0)
    transaction.put("t:a", b"1", new=True)
    inner = transaction.savepoint(1)
    transaction.put("t:a", b"2", new=False)
    transaction.restore(inner)
    assert transaction.writes == [("add", "t:a", b"1")]
    transaction.restore(outer)
    assert transaction.writes == []


def test_savepoints_are_a_stack() -> None:
    # C3.9: undoing one of two that run at the same time would undo the other's work.
    transaction = begin()
    first = transaction.savepoint(0)
    with pytest.raises(InvalidCall, match="await them one by one"):
        transaction.savepoint(0)
    transaction.release(first)
    transaction.restore(transaction.savepoint(0))


# Limits


def test_the_number_of_jobs_is_limited() -> None:
    # C2.9
    transaction = begin()
    for number in range(1000):
        transaction.add_child(child(number))
    with pytest.raises(LimitExceeded, match="1,000 jobs"):
        transaction.add_child(child(1000))
    assert len(transaction.children) == 1000


def test_the_bytes_of_arguments_are_limited() -> None:
    # C2.9
    transaction = begin()
    transaction.add_child(child(1, bytes(8 * 1024 * 1024)))
    transaction.add_child(child(2, bytes(8 * 1024 * 1024)))
    with pytest.raises(LimitExceeded, match="16,777,216 bytes"):
        transaction.add_child(child(3))


async def test_documents_are_limited_in_size_and_number() -> None:
    transaction = begin(document_bytes=10, documents_read=2, documents_written=2)
    transaction.put("t:a", bytes(10), new=True)
    with pytest.raises(LimitExceeded, match="t:b: takes 11 bytes, the limit is 10"):
        transaction.put("t:b", bytes(11), new=True)
    transaction.put("t:b", b"", new=True)
    transaction.put("t:b", b"1", new=False)
    with pytest.raises(LimitExceeded, match="write 2 documents"):
        transaction.put("t:c", b"", new=True)
    await transaction.see("t:x")
    await transaction.version_of("job", "J")
    await transaction.see("t:x")
    with pytest.raises(LimitExceeded, match="read 2 documents"):
        await transaction.see("t:y")


async def test_scans_that_find_nothing_new_are_limited_too() -> None:
    # Each is walked again by the commit, which holds up the server.
    redis = Answers(x=b"1")
    transaction = begin(redis, documents_read=3)
    scans = [Scan("index:t:v", "BYLEX", b"[%d" % number, b"(a", "asc", 5) for number in range(7)]
    for scan in scans:
        redis.find(scan, [])
    for scan in scans[:6]:
        await transaction.scan(scan)
    await transaction.scan(scans[0])
    with pytest.raises(LimitExceeded, match="queries find twice as many at most"):
        await transaction.scan(scans[6])


async def test_queries_look_into_each_written_document_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each unpacked all that had been written: a look-up before each insert took the square of the time."""
    looked: list[object] = []
    key_of = Index.key_of

    def look(index: Index, document: dict[str, Any]) -> bytes:
        looked.append(document)
        return key_of(index, document)

    monkeypatch.setattr(Index, "key_of", look)
    redis = Answers()
    redis.indexes = {"t:v": None}
    transaction = begin(redis)
    plan = Plan("t").walking(Index("t", ("v",)), {})
    for number in range(5):
        transaction.put(f"t:{number}", values.pack({"v": number}, "document"), new=True)
        rows, more = await redis.read(walk(transaction, IndexCatalog(), plan, 9))
        assert ([row.document_id for row in rows], more) == ([f"t:{one}" for one in range(number + 1)], False)
    assert len(looked) == 5
    transaction.put("t:0", values.pack({"v": 9}, "document"), new=False)
    rows, _ = await redis.read(walk(transaction, IndexCatalog(), plan, 9))
    assert [row.document_id for row in rows] == ["t:1", "t:2", "t:3", "t:4", "t:0"]


# The end


async def test_after_its_end_nothing_more_can_be_done() -> None:
    # C3.1
    transaction = begin(Answers(x=b"1"))
    transaction.put("t:a", b"1", new=True)
    transaction.add_child(child(1))
    transaction.close()
    late: list[Any] = [
        lambda: transaction.put("t:a", b"2", new=False),
        lambda: transaction.put("t:b", b"2", new=True),
        lambda: transaction.add_child(child(2)),
        lambda: transaction.cancel("A"),
        lambda: transaction.cancel_child("JOB1"),
        lambda: transaction.delete("t:a"),
    ]
    for act in late:
        with pytest.raises(RuntimeError, match="has ended"):
            act()
    with pytest.raises(RuntimeError, match="has ended"):
        await transaction.see("t:x")
    assert transaction.writes == [("add", "t:a", b"1")]
    assert transaction.children == [child(1)]


async def test_the_bytes_that_one_mutation_writes_are_limited() -> None:
    """Eight thousand documents of a MiB each: a commit of 300 MiB held the server for 0.7 s (C2.9)."""
    one = Transaction(Limits(written_bytes=100, document_bytes=80))
    one.put("t:a", b"x" * 60, new=True)
    with pytest.raises(
        LimitExceeded, match=r"document t:b: one mutation may write 100 bytes of documents \(limits: wri"
    ):
        one.put("t:b", b"x" * 41, new=True)
    one.put("t:b", b"x" * 40, new=True)
    one.put("t:b", b"x" * 30, new=False)  # a document that is written again counts once
    one.put("t:c", b"x" * 10, new=True)
    one.delete("t:a")
    one.put("t:d", b"x" * 60, new=True)


async def test_what_a_nested_mutation_wrote_in_vain_does_not_count() -> None:
    # C3.9
    one = Transaction(Limits(written_bytes=100))
    savepoint = one.savepoint()
    one.put("t:a", b"x" * 90, new=True)
    one.restore(savepoint)
    one.put("t:b", b"x" * 90, new=True)
    with pytest.raises(LimitExceeded, match="100 bytes"):
        one.put("t:c", b"x" * 11, new=True)

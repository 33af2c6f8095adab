"""What a mutation buffers: documents, children, cancels, reads; savepoints and limits (C2.9, C3.9, C6.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from scheduler.call import Request
from scheduler.errors import InvalidCall, LimitExceeded
from scheduler.ids import JobId
from scheduler.settings import Limits
from scheduler.transaction import Conflict, Transaction
from scheduler.transitions import Snapshot


class Redis:
    """Versions and data by (kind, key), and the sequence of commits."""

    def __init__(self, **documents: bytes) -> None:
        self.sequence = 1
        self.reads: list[list[tuple[str, str]]] = []
        self.items = {("doc", f"t:{key}"): (f"1-{key}", data) for key, data in documents.items()}

    def commit(self, kind: str, key: str, version: str, data: bytes = b"") -> None:
        self.items[kind, key] = (version, data)
        self.sequence += kind == "doc"

    async def read(self, wanted: Sequence[tuple[str, str]]) -> Snapshot:
        self.reads.append(list(wanted))
        return Snapshot(self.sequence, [self.items.get(one, ("", b"")) for one in wanted])


def child(number: int, tail: bytes = b"x", key: str = "") -> Request:
    return Request(JobId(f"JOB{number}"), "default", "f", "after", 0, "P", key, "", tail)


def begin(redis: Redis | None = None, **limits: Any) -> Transaction:
    return Transaction((redis or Redis()).read, Limits(**limits))


# Writes


async def apply(transaction: Transaction, steps: str) -> None:
    """i insert, p patch or replace, d delete of t:x, each after a look as ctx.db does it."""
    for step in steps:
        found = await transaction.get("t:x")
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
    transaction = begin(Redis(x=b"old"))
    await apply(transaction, steps)
    assert [(op, data) for op, _, data in transaction.writes] == writes
    assert transaction.reads == [("doc", "t:x", "1-x")]


async def test_an_insert_under_a_new_key_reads_nothing() -> None:
    redis = Redis()
    transaction = begin(redis)
    transaction.put("t:new", b"1", new=True)
    assert await transaction.get("t:new") == b"1"
    assert (transaction.reads, redis.reads) == ([], [])


async def test_reads_see_the_transactions_own_writes() -> None:
    # C6.2
    transaction = begin(Redis(x=b"old"))
    assert await transaction.get("t:x") == b"old"
    transaction.put("t:x", b"new", new=False)
    assert await transaction.get("t:x") == b"new"
    transaction.delete("t:x")
    assert await transaction.get("t:x") is None


# Reads


async def test_what_was_read_is_read_once() -> None:
    redis = Redis(x=b"1")
    transaction = begin(redis)
    for _ in range(3):
        assert await transaction.get("t:x") == b"1"
        assert await transaction.get("t:absent") is None
    assert transaction.reads == [("doc", "t:x", "1-x"), ("doc", "t:absent", "")]
    assert len(redis.reads) == 2


async def test_a_commit_elsewhere_that_changed_nothing_read_is_no_conflict() -> None:
    # C6.2
    redis = Redis(x=b"1", y=b"2")
    transaction = begin(redis)
    await transaction.get("t:x")
    redis.commit("doc", "t:z", "2-z")
    assert await transaction.get("t:y") == b"2"
    assert redis.reads[-1] == [("doc", "t:x"), ("doc", "t:y")]  # all again, at one moment


@pytest.mark.parametrize(
    ("kind", "key"), [("doc", "t:x"), ("doc", "t:absent"), ("job", "J"), ("job", "GONE"), ("key", "k"), ("key", "free")]
)
async def test_no_half_of_anothers_commit_is_seen(kind: str, key: str) -> None:
    # C6.2: documents, absent documents, jobs and keys
    redis = Redis(x=b"1", y=b"2")
    redis.items["job", "J"] = ("pending", b"")
    redis.items["key", "k"] = ("J", b"")
    transaction = begin(redis)
    if kind == "doc":
        await transaction.get(key)
    else:
        await transaction.version(kind, key)
    redis.commit(kind, key, "changed")
    redis.commit("doc", "t:y", "2-y")
    with pytest.raises(Conflict):
        await transaction.get("t:y")


async def test_a_job_that_changes_between_two_reads_is_a_conflict() -> None:
    # C6.2: the state of a job moves without a commit of documents
    redis = Redis(x=b"1")
    redis.items["job", "J"] = ("pending", b"")
    transaction = begin(redis)
    assert await transaction.version("job", "J") == "pending"
    redis.commit("job", "J", "success")
    with pytest.raises(Conflict):
        await transaction.version("job", "K")


async def test_a_handler_cannot_catch_a_conflict_by_accident() -> None:
    # C6.2
    assert not issubclass(Conflict, Exception)
    with pytest.raises(Conflict):
        begin().conflict()


async def test_whether_all_still_holds() -> None:
    # C3.2
    redis = Redis(x=b"1")
    transaction = begin(redis)
    assert await transaction.still_holds()
    assert redis.reads == []
    await transaction.get("t:x")
    await transaction.version("job", "J")
    assert await transaction.still_holds()
    redis.commit("job", "J", "pending")
    assert not await transaction.still_holds()


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
    transaction = begin(Redis(x=b"old", y=b"old"), jobs_bytes=10)
    await apply(transaction, "p")
    transaction.add_child(child(1, b"12345"))
    transaction.cancel("A")
    savepoint = transaction.savepoint()
    before = (transaction.writes, transaction.children, transaction.cancels)
    for _ in range(2):  # a savepoint can be used again
        await apply(transaction, "d")
        transaction.put("t:new", b"1", new=True)
        assert await transaction.get("t:y") == b"old"
        transaction.add_child(child(2, b"12345"))
        transaction.cancel_child("JOB1")
        transaction.cancel("B")
        transaction.restore(savepoint)
        assert (transaction.writes, transaction.children, transaction.cancels) == before
        assert not transaction.canceled("JOB1")
    assert await transaction.get("t:x") == b"p"
    assert await transaction.get("t:new") is None
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
    await transaction.get("t:x")
    await transaction.version("job", "J")
    await transaction.get("t:x")
    with pytest.raises(LimitExceeded, match="read 2 documents"):
        await transaction.get("t:y")


# The end


async def test_after_its_end_nothing_more_can_be_done() -> None:
    # C3.1
    transaction = begin(Redis(x=b"1"))
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
        await transaction.get("t:x")
    assert transaction.writes == [("add", "t:a", b"1")]
    assert transaction.children == [child(1)]

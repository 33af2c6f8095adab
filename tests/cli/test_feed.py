"""`enqueue --from`: many calls from NDJSON."""

from __future__ import annotations

import io
import json

import pytest

from scheduler import operations
from scheduler.cli import feed
from tests.cli.conftest import Room


def ndjson(*rows: object) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def test_every_line_is_scheduled(room: Room) -> None:
    rows = ndjson(
        {"function": "shop:order", "args": {"item": 1}},
        {"function": "shop:order", "args": [2, "note"], "after": "5s", "queue": "slow"},
        {"function": "shop:mail", "args": ["ann"], "at": "2030-01-01T09:00Z"},
        {"function": "shop:order", "args": {"item": 4}, "after": 250.5, "key": "k"},
    )
    assert room.ok("enqueue", "--from", "-", stdin=rows) == "scheduled 4, duplicates 0, refused 0\n"
    jobs = {str(job.args or job.kwargs["item"]): job for job in room.scheduler.list().jobs}
    assert set(jobs) == {"1", "[2, 'note']", "['ann']", "4"}
    assert jobs["[2, 'note']"].queue == "slow"
    assert jobs["['ann']"].scheduled_time == 1_893_488_400_000
    assert 251 <= jobs["4"].scheduled_time - jobs["4"].created_time <= 252


def test_name_and_options_stand_in_for_what_a_line_leaves_out(room: Room) -> None:
    rows = ndjson({"args": {"item": 1}}, {"args": {"item": 2}, "queue": "own", "at": 1_893_488_400_000})
    room.ok("enqueue", "shop:order", "--from", "-", "--after", "1h", "--queue", "slow", stdin=rows)
    first, second = sorted(room.scheduler.list().jobs, key=lambda job: job.kwargs["item"])
    assert (first.queue, second.queue) == ("slow", "own")
    assert first.scheduled_time - first.created_time >= 3_600_000
    assert second.scheduled_time == 1_893_488_400_000


BAD = [
    (b"{broken\n", "not JSON"),
    (b'{"args": "\xff"}\n', "not UTF-8: byte 11"),
    (b"[1]\n", "expected an object"),
    (b"[" * 100_000 + b"\n", "not JSON"),
    ({"args": {}}, "function: missing"),
    ({"function": 3}, "function: expected a name"),
    ({"function": "no such"}, "function: expected a name like"),
    ({"function": "shop:none"}, "no live deployment"),
    ({"function": "shop:order"}, "item: missing argument"),
    ({"function": "shop:order", "args": {"item": "1"}}, "item: expected integer (got '1')"),
    ({"function": "shop:order", "args": {"item": True}}, "item: expected integer (got True)"),
    ({"function": "shop:order", "args": {"item": 1, "x": 2}}, "x: unexpected argument"),
    ({"function": "shop:order", "args": 3}, "args: expected an object or an array"),
    ({"function": "shop:order", "args": [1], "after": "5"}, "delay: '5' has no unit"),
    ({"function": "shop:order", "args": [1], "after": -1}, "delay: must not be negative"),
    ({"function": "shop:order", "args": [1], "after": 1, "at": 1}, "delay: pass after or at"),
    ({"function": "shop:order", "args": [1], "at": "2030-01-01T09:00"}, "timestamp: "),
    ({"function": "shop:order", "args": [1], "at": True}, "timestamp: "),
    ({"function": "shop:order", "args": [1], "queue": 3}, "queue: "),
    ({"function": "shop:order", "args": [1], "key": ""}, "idempotency_key: "),
    ({"function": "shop:order", "args": [1], "when": "now"}, "when: unknown field"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_a_bad_line_is_reported_and_the_others_are_scheduled(room: Room, bad: object, reason: str) -> None:
    good = {"function": "shop:order", "args": {"item": 1}}
    result = room.run("enqueue", "--from", "-", stdin=ndjson(good, b"\n", bad, b"  \r\n", good))
    assert (result.exit_code, result.stdout) == (1, "scheduled 2, duplicates 0, refused 1\n")
    assert result.stderr.startswith("line 3: ")
    assert reason in result.stderr
    assert room.scheduler.count() == 2


def test_with_the_app_lines_are_checked_by_the_real_signature(empty: Room) -> None:
    rows = ndjson({"function": "shop:order", "args": {"item": 1, "gift": "x"}}, {"function": "shop:order", "args": [1]})
    result = empty.run("enqueue", "--from", "-", "-a", f"{empty.module}:app", stdin=rows)
    assert (result.exit_code, result.stdout) == (1, "scheduled 1, duplicates 0, refused 1\n")
    assert "line 1: shop:order: gift: Input should be a valid boolean" in result.stderr


def test_a_call_that_only_the_batch_refuses_does_not_take_the_others_with_it(room: Room) -> None:
    # Five years are known to be exceeded only when the batch is prepared, with the time of Redis.
    rows: list[dict[str, object]] = [{"function": "shop:order", "args": [number]} for number in range(9)]
    rows[4]["at"] = 99_999_999_999_999
    result = room.run("enqueue", "--from", "-", stdin=ndjson(*rows))
    assert (result.exit_code, result.stdout) == (1, "scheduled 8, duplicates 0, refused 1\n")
    assert result.stderr.startswith("line 5: timestamp: more than five years ahead")
    assert sorted(job.args[0] for job in room.scheduler.list().jobs) == [0, 1, 2, 3, 5, 6, 7, 8]


def test_duplicates_are_counted(room: Room) -> None:
    rows = ndjson(*({"function": "shop:order", "args": [number], "key": f"k{number % 2}"} for number in range(5)))
    assert room.json("enqueue", "--from", "-", stdin=rows) == {"scheduled": 2, "duplicates": 3, "refused": 0}
    assert room.scheduler.count() == 2


def test_more_than_one_batch_from_a_file_keeps_its_order(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "BATCH_JOBS", 4)
    path = "calls.ndjson"
    with open(path, "wb") as file:  # noqa: PTH123 - the working directory is the test's
        file.write(b"\xef\xbb\xbf" + ndjson(*({"args": [number]} for number in range(10))).rstrip())
    assert room.json("enqueue", "shop:order", "--from", path)["scheduled"] == 10
    assert [job.args for job in room.scheduler.list().jobs] == [[number] for number in range(10)]


def test_a_line_of_several_megabytes(room: Room) -> None:
    rows = ndjson({"args": {"item": 1, "note": "x" * 3_000_000}}, {"args": {"item": 2}})
    assert room.json("enqueue", "shop:order", "--from", "-", stdin=rows)["scheduled"] == 2


def test_arguments_above_the_limit_are_refused_by_line(room: Room) -> None:
    rows = ndjson({"args": {"item": 1, "note": "x" * 9_000_000}}, {"args": {"item": 2}})
    result = room.run("enqueue", "shop:order", "--from", "-", stdin=rows)
    assert (result.exit_code, result.stdout) == (1, "scheduled 1, duplicates 0, refused 1\n")
    assert result.stderr.startswith("line 1: shop:order: the arguments take 9,0")


def test_a_line_without_end_is_passed_over_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_LINE", 8)
    monkeypatch.setattr(feed, "_READ", 4)
    text = b"short\n" + b"x" * 30 + b"\n" + b"12345678" + b"\nlast"
    found = list(feed.lines(io.BytesIO(text)))
    assert [(number, line) for number, line, _ in found] == [(1, b"short\n"), (2, None), (3, None), (4, b"last")]
    assert sum(size for *_, size in found) == len(text)


def test_no_lines_at_all(room: Room) -> None:
    assert room.ok("enqueue", "--from", "-", stdin=b"") == "scheduled 0, duplicates 0, refused 0\n"

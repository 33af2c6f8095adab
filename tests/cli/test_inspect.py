"""`queue list`, `worker list`, `function list`, `info`."""

from __future__ import annotations

import json

from scheduler import transitions
from scheduler.job import JobError
from scheduler.script_call import Word
from scheduler.transitions import Retry
from tests.cli.conftest import Room


def test_queues(room: Room) -> None:
    room.scheduler.run_after(60_000, "shop:order", item=1)
    for item in (2, 3):
        room.scheduler.run_after(0, "shop:order", item=item)
    room.claim("orders")
    default, orders = room.json("queue", "list")
    assert (default["name"], default["due"], default["ready"], default["next_due_ms"]) == ("default", 0, 0, None)
    assert (orders["due"], orders["ready"], orders["in_flight"]) == (1, 1, 1)
    row = room.ok("queue", "list").splitlines()[2].split()
    assert row[:5] == ["orders", "1", "1", "1", "in"]


def test_a_queue_that_no_worker_has_read_has_nothing_in_flight(empty: Room) -> None:
    empty.scheduler.options(queue="new", allow_unknown=True).run_after(0, "shop:order", item=1)
    (queue,) = empty.json("queue", "list")
    assert (queue["name"], queue["ready"], queue["in_flight"]) == ("new", 1, 0)


def test_a_queue_that_nobody_promotes_is_late(room: Room) -> None:
    room.store.command("ZADD", room.keys.due("orders"), 1_000, "01JD6Q2M8XK0T9V4W5Y7Z3ABCD")
    assert "late: is a worker or promoter running?" in room.ok("queue", "list")


def test_workers(room: Room) -> None:
    room.join("worker-2")
    room.store.command("DEL", room.keys.worker("worker-2"))
    first, second = room.json("worker", "list")
    assert (first["name"], first["host"], first["pid"], first["queues"]) == (
        "worker-1",
        "box",
        7,
        ["default", "orders"],
    )
    assert (first["alive"], second["alive"], second["pid"]) == (True, False, None)
    lines = room.ok("worker", "list").splitlines()
    assert lines[1].split() == ["worker-1", "box", "7", "default,", "orders", "0/4", "now"]
    assert "silent, now" in lines[2]


def test_functions_that_live_workers_registered(room: Room) -> None:
    mail, order = room.json("function", "list")
    assert (order["name"], order["kind"], order["internal"], order["queue"]) == (
        "shop:order",
        "mutation",
        False,
        "orders",
    )
    assert order["doc"] == "Place an order."
    assert [one["name"] for one in mail["parameters"]] == ["to", "tags", "extra"]
    _, first, second = room.ok("function", "list").splitlines()
    assert "shop:mail" in first
    assert "to: string, tags?: string[] | null, **extra: integer" in first
    assert "public" in second
    assert "item: integer, note?: string, gift?: boolean" in second


def test_functions_with_what_has_become_of_their_jobs(room: Room) -> None:
    for item in range(3):
        room.scheduler.run_after(0, "shop:order", item=item)
    room.succeed("orders", "shop:order", None)
    room.fail("orders", "shop:order", JobError("SoldOut", "none left"))
    again = Retry(room.claim("orders"), 1, 60_000, "shop:order", conflicts=1_200)
    assert room.call(transitions.retry([again])) == [Word.OK]
    room.store.command("HINCRBY", room.keys.stats("shop:order"), "refused", 17)
    mail, order = room.json("function", "list")
    assert (order["refused"], mail["refused"]) == (17, 0)
    assert (order["finished"], order["conflicts"]) == ({"success": 1, "failed": 1, "canceled": 0}, 1_200)
    assert (mail["finished"], mail["conflicts"]) == ({"success": 0, "failed": 0, "canceled": 0}, 0)
    head, _, second = room.ok("function", "list").splitlines()
    columns = ["NAME", "KIND", "VISIBILITY", "QUEUE", "PARAMETERS", "FINISHED", "CONFLICTS", "REFUSED", "DOC"]
    assert head.split() == columns
    assert " 17 " in second
    assert "1 success, 1 failed" in second
    assert "1,200" in second


def test_functions_of_an_app_need_no_server(room: Room) -> None:
    words = ("function", "list", "-a", f"{room.module}:app")
    result = room.run(*words, REDIS_URL="redis://127.0.0.1:1/0")
    assert result.exit_code == 0
    assert "shop:order" in result.stdout
    found = json.loads(room.run(*words, "--json", REDIS_URL="redis://127.0.0.1:1/0").stdout)
    assert {(one["finished"], one["conflicts"], one["refused"]) for one in found} == {(None, None, None)}


def test_nothing_to_list_is_said_on_stderr(empty: Room) -> None:
    for noun in ("queue", "worker", "function"):
        result = empty.run(noun, "list")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"no {noun}s\n")
        assert empty.json(noun, "list") == []


def test_info(room: Room) -> None:
    room.scheduler.run_after(0, "shop:order", item=2)
    found = room.json("info")
    assert found["namespace"] == room.app.namespace
    assert found["jobs"]["pending"] == 1
    assert (found["workers"], found["promoter"]) == (1, None)
    assert found["server"]["append_only"] is False
    assert found["server"]["memory"] > 0
    text = room.ok("info")
    assert found["server"]["version"] in text
    assert "none: nothing that falls due is run" in text


def test_info_of_an_app_that_is_not_here_says_so(empty: Room) -> None:
    said = f"warning: no app {empty.app.namespace!r} has been used on this server yet\n"
    for words in (("info",), ("info", "--json")):
        result = empty.run(*words)
        assert (result.exit_code, result.stderr) == (0, said)
    assert empty.json("info")["known"] is False
    empty.scheduler.options(allow_unknown=True).run_after(0, "shop:order", item=2)
    assert (empty.run("info").stderr, empty.json("info")["known"]) == ("", True)


def test_info_names_the_promoter(room: Room) -> None:
    room.store.command("SET", room.keys.promoter, "promoter-9")
    assert room.json("info")["promoter"] == "promoter-9"

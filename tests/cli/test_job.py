"""`job show`, `job list`, `job count`."""

from __future__ import annotations

from scheduler.job import JobError
from tests.cli.conftest import Room


def schedule(room: Room, count: int = 1, **named: object) -> list[str]:
    return [room.scheduler.run_after(0, "shop:order", item=number, **named) for number in range(count)]


def test_show_a_failure_with_its_traceback(room: Room) -> None:
    schedule(room, note="[red]two\x1b[31m")
    error = JobError("SoldOut", "none left", "Traceback:\n  line 1\nSoldOut: none left")
    job_id = room.fail("orders", "shop:order", error)
    text = room.ok("job", "show", job_id)
    fields = {line.split()[0]: line.split(maxsplit=1)[1] for line in text.splitlines() if len(line.split()) > 1}
    assert fields["id"] == job_id
    assert (fields["state"], fields["function"], fields["kind"]) == ("failed", "shop:order", "mutation")
    assert fields["error"] == "SoldOut: none left"
    assert fields["attempts"] == "1"
    assert "  line 1" in text
    assert "note='[red]two\\x1b[31m'" in text
    assert "\x1b" not in text
    assert fields["completed"].split()[0].endswith("Z")


def test_show_whose_deaths_it_outlived(room: Room) -> None:
    # C3.4
    (job_id,) = schedule(room)
    assert "deaths     -" in room.ok("job", "show", job_id)
    store = room.store
    store.command("HSET", store.keys.status(job_id), "died", "1800000000000 host-1-a\n1800000005000 host-2-b")
    lines = [line.split() for line in room.ok("job", "show", job_id).splitlines()]
    assert ["deaths", "host-1-a", "2027-01-15T08:00:00.000Z"] in [line[:3] for line in lines]
    assert ["host-2-b", "2027-01-15T08:00:05.000Z"] in [line[:2] for line in lines]
    deaths = room.json("job", "show", job_id)["deaths"]
    assert deaths[1] == {"worker": "host-2-b", "time": 1_800_000_005_000}


def test_show_a_result_as_json(room: Room) -> None:
    schedule(room)
    found = room.json("job", "show", room.succeed("orders", "shop:order", {"total": float("nan"), "raw": b"\xff"}))
    assert found["state"] == "success"
    assert found["result"] == {"total": "nan", "raw": "_w=="}
    assert found["kwargs"] == {"item": 0}
    assert found["error"] is None


def test_show_what_is_not_there(room: Room) -> None:
    result = room.run("job", "show", "01JD6Q2M8XK0T9V4W5Y7Z3ABCD")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: job 01JD6Q2M8XK0T9V4W5Y7Z3ABCD: ")
    assert "not a job id" in room.run("job", "show", "x").stderr


def test_list_pages_by_cursor(room: Room) -> None:
    ids = schedule(room, 5)
    seen: list[str] = []
    cursor: list[str] = []
    while True:
        page = room.json("job", "list", "--limit", "2", *cursor)
        seen += [job["id"] for job in page["jobs"]]
        if page["cursor"] is None:
            break
        cursor = ["--cursor", page["cursor"]]
    assert seen == ids


def test_list_says_when_there_may_be_more(room: Room) -> None:
    first, _ = schedule(room, 2)
    result = room.run("job", "list", "--limit", "1")
    head, row = result.stdout.splitlines()
    assert head.split() == ["ID", "STATE", "FUNCTION", "QUEUE", "WHEN"]
    assert row.split()[:4] == [first, "pending", "shop:order", "orders"]
    assert result.stderr.startswith("There may be more: --cursor '")


def test_list_filters(room: Room) -> None:
    schedule(room, 2)
    done = room.succeed("orders", "shop:order", None)
    assert [job["id"] for job in room.json("job", "list", "--state", "SUCCESS")["jobs"]] == [done]
    assert room.json("job", "list", "--function", "shop:mail")["jobs"] == []
    assert len(room.json("job", "list", "--queue", "orders", "--after", "2020-01-01T00:00Z")["jobs"]) == 2
    assert room.json("job", "list", "--before", "2020-01-01T00:00Z")["jobs"] == []
    result = room.run("job", "list", "--state", "failed")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no jobs\n")


def test_a_page_that_is_empty_is_not_the_end(room: Room) -> None:
    # 2,500 jobs are passed over before the first that matches; one page looks at 2,000.
    calls = [room.app.functions["shop:order"].after(0, item=number) for number in range(2_500)]
    room.scheduler.schedule_many(calls)
    wanted = room.scheduler.options(queue="orders").run_after(0, "shop:mail", "ann")
    assert [job["id"] for job in room.json("job", "list", "--function", "shop:mail")["jobs"]] == [wanted]


def test_count(room: Room) -> None:
    schedule(room, 3)
    room.succeed("orders", "shop:order", None)
    counts = {"pending": 2, "inProgress": 0, "success": 1, "failed": 0, "canceled": 0}
    assert room.json("job", "count") == counts
    lines = room.ok("job", "count").splitlines()
    assert dict(line.split() for line in lines[1:]) == {state: str(number) for state, number in counts.items()}
    assert room.ok("job", "count", "--state", "pending") == "2\n"
    assert room.json("job", "count", "--queue", "other") == {"count": 0}


def test_options_that_the_library_refuses(room: Room) -> None:
    assert "cursor: not one that this list returned" in room.run("job", "list", "--cursor", "x").stderr
    assert "queue: expected" in room.run("job", "list", "--queue", "a b").stderr
    assert room.run("job", "list", "--state", "lost").exit_code == 2
    assert room.run("job", "list", "--limit", "0").exit_code == 2

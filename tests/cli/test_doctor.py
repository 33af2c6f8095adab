"""`duestream doctor`, and the commands that warn of what it would find."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Room


@pytest.fixture(autouse=True)
def kept(room: Room) -> None:
    """The server keeps what it has as far as the doctor can see, somebody promotes."""
    room.store.command("CONFIG", "SET", "save", "3600 1")
    room.store.command("SET", room.keys.promoter, "p", "PX", 600_000)


@pytest.fixture(autouse=True)
def _as_it_was(room: Room) -> object:
    yield
    room.store.command("CONFIG", "SET", "save", "")


def lose_a_job(room: Room) -> str:
    job_id = room.scheduler.run_after(0, "shop:order", item=1)
    room.store.command("XTRIM", room.keys.ready("orders"), "MAXLEN", 0)
    return job_id


def test_warnings(room: Room) -> None:
    result = room.run("doctor")
    assert result.exit_code == 3
    assert "disk-snapshots" in result.stdout
    assert result.stderr == ""


def test_errors_and_the_way_out(room: Room) -> None:
    job_id = lose_a_job(room)
    result = room.run("doctor")
    assert result.exit_code == 4
    assert [line.split()[1] for line in result.stdout.splitlines()[1:3] if line.split()[0] == "error"] == ["job-lost"]
    assert job_id in result.stdout
    refused = room.run("doctor", "--fix", stdin="n\n")
    assert refused.exit_code == 1
    assert "nothing was mended" in refused.stderr
    assert room.run("doctor").exit_code == 4
    mended = room.run("doctor", "--fix", "--yes")
    assert mended.exit_code == 3  # what is left
    assert mended.stdout.splitlines()[0] == f"mended job-lost: {job_id}"
    assert room.succeed("orders", "shop:order", None) == job_id


def test_consent(room: Room) -> None:
    job_id = lose_a_job(room)
    agreed = room.run("doctor", "--fix", stdin="y\n")
    assert f"job-lost: 1 job: {job_id}" in agreed.stderr
    assert f"mended job-lost: {job_id}" in agreed.stdout


def test_json(room: Room) -> None:
    job_id = lose_a_job(room)
    found = json.loads(room.run("doctor", "--json").stdout)
    first, second = found["findings"]
    assert (first["code"], first["severity"], first["names"], first["fixable"]) == ("job-lost", "error", [job_id], True)
    assert (second["code"], second["severity"], second["fixable"]) == ("disk-snapshots", "warning", False)
    assert found["mended"] == []
    mended = json.loads(room.run("doctor", "--json", "--fix", "-y").stdout)
    assert mended["mended"] == [{"code": "job-lost", "names": [job_id]}]
    assert [one["code"] for one in mended["findings"]] == ["disk-snapshots"]


def test_all_is_well(room: Room) -> None:
    room.store.command("CONFIG", "SET", "appendonly", "yes")
    try:
        result = room.run("doctor", "--deep", "--fix")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "all is well\n")
    finally:
        room.store.command("CONFIG", "SET", "appendonly", "no")


@pytest.mark.parametrize("words", [("--role", "nobody"), ("--deep=1",), ("extra",)])
def test_wrong_usage(room: Room, words: tuple[str, ...]) -> None:
    assert room.run("doctor", *words).exit_code == 2


def test_rights_of_another_user(room: Room) -> None:
    room.store.command("ACL", "SETUSER", "cli-poor", "on", "nopass", "+get", "~*")
    try:
        result = room.run("doctor", "--user", "cli-poor", "--role", "worker")
        assert result.exit_code == 4
        assert "rights-missing" in result.stdout
    finally:
        room.store.command("ACL", "DELUSER", "cli-poor")


def test_enqueue_warns_where_no_worker_takes_the_queue(room: Room) -> None:
    result = room.run("enqueue", "shop:order", "item=1", "--queue", "slow")
    assert result.exit_code == 0
    assert result.stderr == "warning: no live worker takes queue slow; the job waits until one does\n"
    assert room.run("enqueue", "shop:order", "item=1").stderr == ""
    room.store.command("HSET", room.keys.worker("worker-1"), "seen", 1_000)
    assert "queue orders" in room.run("enqueue", "shop:order", "item=1").stderr


def test_enqueue_of_many_warns_once_a_queue(room: Room) -> None:
    lines = '{"function": "shop:order", "args": {"item": 1}, "queue": "slow"}\n' * 3
    result = room.run("enqueue", "--from", "-", stdin=lines)
    assert result.exit_code == 0
    assert result.stderr == "warning: no live worker takes queue slow; the job waits until one does\n"


def test_a_worker_that_fell_silent_is_listed_with_its_host(room: Room) -> None:
    room.store.command("HSET", room.keys.worker("worker-1"), "seen", 1_000)
    assert "box" in room.ok("worker", "list")
    assert "silent, " in room.ok("worker", "list")
    (listed,) = room.json("worker", "list")
    assert (listed["alive"], listed["silent"], listed["host"]) == (True, True, "box")

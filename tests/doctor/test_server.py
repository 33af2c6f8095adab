"""The server, its clock and its users: on real servers, and by what INFO says where none can be had."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from scheduler import EmbeddedServer
from scheduler.doctor import doctor as room
from scheduler.doctor import server as subject
from scheduler.doctor.clocks import Look, check_clocks
from scheduler.doctor.server import check_server
from scheduler.keys import Keys
from scheduler.rights import rules
from scheduler.role import Role
from scheduler.store import BlockingStore
from tests.doctor.conftest import codes, examine
from tests.transitions.conftest import World


@contextmanager
def started(
    path: Path, *, persistent: bool = True, config: dict[str, str] | None = None
) -> Iterator[tuple[EmbeddedServer, BlockingStore]]:
    with (
        EmbeddedServer(path, persistent=persistent, config=config or {}) as server,
        redis.Redis.from_url(server.url, protocol=2) as client,
    ):
        store = BlockingStore(Keys("doctor"), client)
        store.execute("SADD", store.keys.queues, "default")
        yield server, store


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "not so after 20 s"
        time.sleep(0.01)  # between two looks at the condition


def test_a_full_and_evicting_server(tmp_path: Path) -> None:
    # C7.3
    with started(tmp_path) as (_, store):
        used = int(store.execute("INFO", "memory").decode().split("used_memory:")[1].split()[0])
        store.execute("CONFIG", "SET", "maxmemory", int(used / 0.85))
        assert codes(examine(store)) == ["memory-short"]
        store.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        store.execute("CONFIG", "SET", "maxmemory", used + 3_000_000)
        for number in range(400):
            store.execute("SET", f"filler:{number}", b"x" * 20_000)
        found = codes(examine(store))
        assert {"memory-evicting", "memory-evicted"} <= set(found)
        assert {"memory-full", "memory-short"} & set(found)
        store.execute("CONFIG", "SET", "maxmemory", 1)
        assert "memory-full" in codes(examine(store))
        store.execute("CONFIG", "SET", "maxmemory", 0)


def test_a_server_that_keeps_nothing(tmp_path: Path) -> None:
    with started(tmp_path, persistent=False) as (_, store):
        assert codes(examine(store)) == ["disk-none"]
        store.execute("CONFIG", "SET", "save", "3600 1")
        assert codes(examine(store)) == ["disk-snapshots"]


def test_a_disk_that_fails(tmp_path: Path) -> None:
    with started(tmp_path / "server", config={"enable-protected-configs": "yes"}) as (_, store):
        gone = tmp_path / "gone"
        gone.mkdir()
        before = store.execute("CONFIG", "GET", "dir")[1]
        store.execute("CONFIG", "SET", "dir", str(gone))
        gone.rmdir()
        store.execute("BGSAVE")
        eventually(lambda: b"rdb_last_bgsave_status:err" in store.execute("INFO", "persistence"))
        store.execute("CONFIG", "SET", "dir", before)
        (finding,) = examine(store)
        assert (finding.code, finding.names) == ("disk-failing", ("the last snapshot",))


def test_a_replica_and_one_that_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        started(tmp_path / "primary", config={"repl-diskless-sync-delay": "0"}) as (primary, store),
        started(tmp_path / "replica") as (replica, copy),
    ):
        host, port = primary.url.removeprefix("redis://").split(":")
        copy.execute("REPLICAOF", host, port.split("/")[0])
        eventually(lambda: b"master_link_status:up" in copy.execute("INFO", "replication"))
        eventually(lambda: b"state=online" in store.execute("INFO", "replication"))
        assert examine(store) == []
        assert codes(examine(copy)) == ["server-replica"]
        monkeypatch.setattr(subject, "BEHIND_S", 1)
        os.kill(replica.pid, signal.SIGSTOP)
        try:
            eventually(lambda: codes(examine(store)) == ["replica-behind"])
        finally:
            os.kill(replica.pid, signal.SIGCONT)
        copy.execute("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize(
    ("version", "old"), [("6.2.14", True), ("7.0.0", False), ("7.2.4", False), ("8.0", False), ("", True), ("5", True)]
)
def test_versions(version: str, old: bool) -> None:
    facts = {"redis_version": version, "aof_enabled": "1"}
    assert [one.code for one in check_server(facts, snapshots=False)] == ["server-old"] * old


@pytest.mark.parametrize("name", ["aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"])
def test_what_fails_on_disk(name: str) -> None:
    facts = {"redis_version": "7.0", "aof_enabled": "1", name: "err"}
    assert [one.code for one in check_server(facts, snapshots=False)] == ["disk-failing"]


def test_memory_without_a_limit_is_that_of_the_machine() -> None:
    facts = {"redis_version": "7.0", "aof_enabled": "1", "total_system_memory": "1000", "used_memory": "960"}
    (finding,) = check_server(facts, snapshots=True)
    assert (finding.code, "machine" in finding.said) == ("memory-full", True)


def test_a_clock_that_is_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr("scheduler.doctor.doctor.time.time", lambda: real() - 3)
    (finding,) = examine(world.store)
    assert (finding.code, finding.said) == ("clock-off", "the server is 3.0 s ahead")


@pytest.mark.parametrize(
    ("server_ms", "beats", "found"),
    [
        (11_000, [], []),
        (11_200, [], []),
        (11_900, [], ["clock-jumped"]),
        (10_100, [], ["clock-jumped"]),
        (11_000, [12_900], []),
        (11_000, [13_100], ["clock-jumped"]),
    ],
)
def test_jumps(server_ms: int, beats: list[int], found: list[str]) -> None:
    first, last = Look(10_000, 10_000, 500, 1), Look(server_ms, server_ms, 1_500, 1)
    assert [one.code for one in check_clocks(first, last, beats)] == found


@pytest.mark.parametrize("role", list(Role))
def test_rights(world: World, role: Role) -> None:
    user = f"doctor-{role}"
    namespace = world.keys.namespace
    world.command("ACL", "SETUSER", user, "on", "nopass", *rules(role, namespace))
    try:
        assert examine(world.store, user=user, role=role) == []
        world.command("ACL", "SETUSER", user, "-hset", "-zrange")
        (finding,) = examine(world.store, user=user, role=role)
        assert finding.code == "rights-missing"
        assert {"HSET", "ZRANGE"} <= set(finding.names)
        world.command("ACL", "SETUSER", user, *rules(role, "another"))
        (finding,) = examine(world.store, user=user, role=role)
        assert "EVALSHA" in finding.names
    finally:
        world.command("ACL", "DELUSER", user)


def test_a_user_that_there_is_not(world: World) -> None:
    (finding,) = examine(world.store, user="nobody", role=Role.WORKER)
    assert (finding.code, finding.said) == ("rights-missing", "the server has no user nobody")


def test_a_user_who_may_not_ask(world: World, sick_url: str) -> None:
    allowed = rules(Role.OPERATOR, world.keys.namespace)
    world.command("ACL", "SETUSER", "poor", "on", ">secret", *allowed, "-acl", "-info")
    try:
        with redis.Redis.from_url(sick_url.replace("redis://", "redis://poor:secret@"), protocol=2) as client:
            findings = room.Doctor(BlockingStore(world.keys, client)).examine()
        assert [(one.code, one.names) for one in findings] == [("not-asked", ("server",)), ("not-asked", ("rights",))]
    finally:
        world.command("ACL", "DELUSER", "poor")


def test_an_operator_may_do_all_that_the_doctor_does(world: World, sick_url: str) -> None:
    world.command("ACL", "SETUSER", "doctor", "on", ">secret", *rules(Role.OPERATOR, world.keys.namespace))
    try:
        world.schedule()
        world.command("XTRIM", world.keys.ready("q"), "MAXLEN", 0)
        with redis.Redis.from_url(sick_url.replace("redis://", "redis://doctor:secret@"), protocol=2) as client:
            doctor = room.Doctor(BlockingStore(world.keys, client), deep=True)
            findings = doctor.examine()
            assert codes(findings) == ["job-lost"]
            assert doctor.mend(findings)
            assert doctor.examine() == []
    finally:
        world.command("ACL", "DELUSER", "doctor")

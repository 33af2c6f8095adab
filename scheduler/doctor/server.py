"""The server: version, role, memory, disk, replicas. Pure, from what INFO says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from scheduler.doctor.findings import Finding, counted
from scheduler.facts import OLDEST, version_of

SECTIONS: Final = ("server", "memory", "persistence", "stats", "replication")
SHORT, FULL = 0.80, 0.95
"""Parts of the memory in use."""

BEHIND_S: Final = 10
_REPLICA = re.compile(r"slave\d+")


def check_server(facts: Mapping[str, str], *, snapshots: bool) -> list[Finding]:
    """All that these facts tell; `snapshots`: the server saves snapshots by itself."""
    checks = (_version, _role, _memory, _evicted, _failing, _replicas)
    found = [finding for check in checks for finding in check(facts)]
    return [*found, *_disk(facts, snapshots=snapshots)]


def _version(facts: Mapping[str, str]) -> Iterator[Finding]:
    if version_of(facts) < OLDEST:
        yield Finding("server-old", f"Redis {facts.get('redis_version') or 'of an unknown version'}")


def _role(facts: Mapping[str, str]) -> Iterator[Finding]:
    if facts.get("role") == "slave":
        yield Finding("server-replica", f"of {facts.get('master_host')}:{facts.get('master_port')}")


def _memory(facts: Mapping[str, str]) -> Iterator[Finding]:
    used, limit = _number(facts, "used_memory"), _number(facts, "maxmemory")
    policy = facts.get("maxmemory_policy", "noeviction")
    if limit and policy != "noeviction":
        yield Finding("memory-evicting", f"maxmemory-policy {policy}")
    room = limit or _number(facts, "total_system_memory")
    part = used / room if room else 0
    if part >= SHORT:
        said = f"{part:.0%} of {room / 1024 / 1024:,.0f} MiB" + ("" if limit else ", all that the machine has")
        yield Finding("memory-full" if part >= FULL else "memory-short", said)


def _evicted(facts: Mapping[str, str]) -> Iterator[Finding]:
    if evicted := _number(facts, "evicted_keys"):
        yield Finding("memory-evicted", f"{counted(evicted, 'key')} since the server started")


def _disk(facts: Mapping[str, str], *, snapshots: bool) -> Iterator[Finding]:
    if facts.get("aof_enabled") == "1":
        return
    if snapshots:
        yield Finding("disk-snapshots", f"{_number(facts, 'rdb_changes_since_last_save'):,} changes not saved yet")
    else:
        yield Finding("disk-none", "neither an append-only file nor snapshots")


def _failing(facts: Mapping[str, str]) -> Iterator[Finding]:
    watched = {
        "aof_last_write_status": "the last write to the append-only file",
        "aof_last_bgrewrite_status": "the last rewrite of the append-only file",
        "rdb_last_bgsave_status": "the last snapshot",
    }
    names = tuple(text for name, text in watched.items() if facts.get(name, "ok") != "ok")
    if names:
        yield Finding("disk-failing", "failed", names)


def _replicas(facts: Mapping[str, str]) -> Iterator[Finding]:
    for name, text in facts.items():
        if not _REPLICA.fullmatch(name):
            continue
        replica = dict(part.partition("=")[::2] for part in text.split(","))
        lag_s = int(replica.get("lag", "0") or 0)
        if replica.get("state") != "online" or lag_s > BEHIND_S:
            said = f"{replica.get('state')}, heard of {lag_s} s ago"
            yield Finding("replica-behind", said, (f"{replica.get('ip')}:{replica.get('port')}",))


def _number(facts: Mapping[str, str], name: str) -> int:
    text = facts.get(name, "0")
    return int(text) if text.isdecimal() else 0

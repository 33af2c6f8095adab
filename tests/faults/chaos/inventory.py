"""Reads what there is at rest: keys, processes, connections, memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler import transitions
from scheduler.clients import blocking_client
from scheduler.keys import GROUP, Keys
from scheduler.role import Role
from scheduler.store import BlockingStore
from tests.acl import as_role
from tests.faults.chaos.crew import Crew
from tests.faults.chaos.invariants.rest import Footprint
from tests.faults.chaos.server import OURS
from tests.worker.processes import wait_until

BATCH = 1_000
LATER_S = 8 * 24 * 3600
"""Past every retention and every lifetime."""


def sizes(server: Any, keys: Keys) -> dict[str, int]:
    """How much is due, ready, pending in a worker's hands, and running, by key."""
    queues = sorted(name.decode() for name in server.smembers(keys.queues))
    found = {keys.running: int(server.zcard(keys.running))}
    for queue in queues:
        ready = keys.ready(queue)
        found[keys.due(queue)] = int(server.zcard(keys.due(queue)))
        found[ready] = int(server.xlen(ready))
        groups = server.xinfo_groups(ready) if found[ready] or server.exists(ready) else []
        found[f"{ready} {GROUP}"] = sum(int(group["pending"]) for group in groups)
    return found


def all_keys(server: Any) -> dict[str, tuple[str, int]]:
    """Every key of the server, with type and time to live."""
    found: dict[str, tuple[str, int]] = {}
    for names in _batches(server.scan_iter(count=BATCH)):
        pipe = server.pipeline(transaction=False)
        for name in names:
            pipe.type(name).pttl(name)
        replies = pipe.execute()
        for name, kind, ttl in zip(names, replies[::2], replies[1::2], strict=True):
            if kind != b"none":
                found[name.decode()] = (kind.decode(), int(ttl))
    return found


def _batches(names: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for name in names:
        batch.append(name)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def footprints(crew: Crew) -> list[Footprint]:
    """What each worker has open."""
    return [_footprint(member.pid, crew.tasks(member)) for member in crew.alive()]


def _footprint(pid: int, tasks: Sequence[str]) -> Footprint:
    process = Path("/proc") / str(pid)
    return Footprint(pid, len(list((process / "fd").iterdir())), len(list((process / "task").iterdir())), tasks)


def processes_with(variable: str) -> list[str]:
    """Processes whose environment holds this text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if variable.encode() in (entry / "environ").read_bytes():
                    found.append(f"process {entry.name}: {(entry / 'cmdline').read_bytes().decode()}")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it ended this moment, or it is nobody of ours
    return found


def connections(server: Any) -> list[str]:
    """The server's clients besides our own."""
    shown = ("addr", "age", "idle", "cmd", "lib-name")
    others = [one for one in server.client_list(_type="normal") if one["name"] != OURS]
    return [", ".join(f"{name} {one.get(name)}" for name in shown) for one in others]


def pass_time(server: Any, found: Mapping[str, tuple[str, int]]) -> None:
    """Remove what the server would remove by itself in time: all keys that have one."""
    for key, (_, ttl_ms) in found.items():
        if ttl_ms >= 0:
            server.delete(key)


def prune_all(url: str, keys: Keys, now_ms: int) -> int:
    """Remove all records and traces of workers that are past their time at `now_ms`; returns how many records."""
    store, removed = BlockingStore(keys, blocking_client(as_role(url, Role.WORKER))), 0
    try:
        more = True
        while more:
            gone, more, _ = store.run(transitions.prune(BATCH, now_ms))
            removed += gone
        while store.run(transitions.sweep(1, BATCH, now_ms)):
            pass
    finally:
        store.close()
    return removed


def settled_memory(server: Any, goal: int | None = None, timeout_s: float = 10.0) -> int:
    """Used memory without scripts, once all that was removed is free; with `goal`, once it is within that, if ever."""
    server.script_flush()
    wait_until(lambda: server.info("memory")["lazyfree_pending_objects"] == 0, timeout_s, "memory to be freed")
    deadline, found = time.monotonic() + timeout_s, _memory(server)
    while goal is not None and found > goal and time.monotonic() < deadline:
        time.sleep(0.05)  # between two looks at the condition
        found = _memory(server)
    return found


def memory_stats(server: Any) -> dict[str, int]:
    """Where the memory is, as the server tells it."""
    found: dict[Any, Any] = server.memory_stats()
    told = {str(name): int(value) for name, value in found.items() if isinstance(value, int)}
    return told | {key.decode(): int(server.memory_usage(key, samples=0) or 0) for key in server.scan_iter(count=BATCH)}


def _memory(server: Any) -> int:
    found = server.info("memory")
    buffers = ("mem_clients_slaves", "mem_aof_buffer", "mem_replication_backlog")
    return int(found["used_memory"]) - sum(int(found.get(name, 0)) for name in buffers)

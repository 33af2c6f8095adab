"""The Redis server of one case, and what it says of itself."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from scheduler import EmbeddedServer
from scheduler.embedded import find_server
from tests.servers import NoServer, program

VARIABLE = "BENCH_SERVER"
"""A name of the matrix of servers (`redis-7.0`, `valkey-9`), or the path of a program."""

_SCRIPTS = frozenset({"eval", "evalsha", "fcall", "exec"})
_NOT_STORED = ("mem_clients_normal", "used_memory_scripts_eval")
_OURS = frozenset({"info", "config|resetstat", "memory|usage", "client|setinfo", "flushall"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counters of the server at one moment.

    Attributes:
        calls: Calls of commands by name, those inside scripts too.
        micros: What they took, by name.
        received, sent: Bytes.
        reads: Reads of sockets: about the number of round trips.
    """

    calls: dict[str, int]
    micros: dict[str, int]
    received: int
    sent: int
    reads: int


@dataclass(frozen=True, slots=True)
class Server:
    """A server on a port of its own, without persistence."""

    pid: int
    port: int
    version: str
    client: redis.Redis

    def snapshot(self) -> Snapshot:
        stats: dict[str, Any] = self.client.info("stats")
        commands: dict[str, Any] = self.client.info("commandstats")
        return Snapshot(
            calls={name.removeprefix("cmdstat_"): int(found["calls"]) for name, found in commands.items()},
            micros={name.removeprefix("cmdstat_"): int(found["usec"]) for name, found in commands.items()},
            received=int(stats["total_net_input_bytes"]),
            sent=int(stats["total_net_output_bytes"]),
            reads=int(stats.get("total_reads_processed", 0)),
        )

    def used_bytes(self) -> int:
        """Memory of what is stored: without the buffers of clients, and without scripts."""
        found: dict[str, Any] = self.client.info("memory")
        return int(found["used_memory"]) - sum(int(found.get(name, 0)) for name in _NOT_STORED)


def chosen() -> Path:
    """The program to start: what the environment names, else Redis 7.0 of `make servers`, else the one of the product.

    Raises:
        NoServer: The one that is named is not here.
    """
    named = os.environ.get(VARIABLE)
    if named is None:
        with contextlib.suppress(NoServer):
            return program("redis-7.0")
        return find_server()
    return Path(named) if os.sep in named else program(named)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server, gone at the end with all it had."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-server-") as folder,
        EmbeddedServer(folder, persistent=False, program=chosen()) as embedded,
        contextlib.closing(redis.Redis.from_url(embedded.url)) as client,
    ):
        said = client.info("server")
        name = "Valkey" if "valkey_version" in said else "Redis"
        version = said.get("valkey_version", said["redis_version"])
        port = client.connection_pool.connection_kwargs["port"]
        yield Server(embedded.pid, int(port), f"{name} {version}", client)


def a_job(before: Snapshot, after: Snapshot, jobs: int) -> dict[str, Any]:
    """What the server did between two snapshots, for each of so many jobs."""
    calls = {name: after.calls[name] - before.calls.get(name, 0) for name in after.calls if name not in _OURS}
    micros = {name: after.micros[name] - before.micros.get(name, 0) for name in calls}
    in_scripts = sum(took for name, took in micros.items() if name in _SCRIPTS)
    shares = {name: round(count / jobs, 4) for name, count in calls.items() if count >= 0.002 * jobs}
    return {
        "commands_per_job": round(sum(calls.values()) / jobs, 3),
        "by_command": dict(sorted(shares.items(), key=lambda item: -item[1])),
        "net_in_bytes_per_job": round((after.received - before.received) / jobs, 1),
        "net_out_bytes_per_job": round((after.sent - before.sent) / jobs, 1),
        "socket_reads_per_job": round((after.reads - before.reads) / jobs, 4),
        "redis_script_us_per_job": round(in_scripts / jobs, 2),
        "redis_plain_us_per_job": round((sum(micros.values()) - in_scripts) / jobs, 2),
    }

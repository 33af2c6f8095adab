"""One client process that schedules, and no worker."""

from __future__ import annotations

from typing import Any

from benchmarks import machine
from benchmarks.cases.asked import Asked
from benchmarks.cases.watch import watching_others
from benchmarks.server import a_job
from benchmarks.stage import Stage


def enqueue(stage: Stage, asked: Asked) -> dict[str, Any]:
    """Jobs a second and CPU a job: `one` by one, a `burst` of 50 single calls, in `bulk`, a `crowd` of clients."""
    return {operation: _operation(stage, asked, operation) for operation in asked.operations}


def _operation(stage: Stage, asked: Asked, operation: str) -> dict[str, Any]:
    server = stage.server
    server.client.flushall()
    quiet = machine.wait_for_quiet()
    before, memory, cpu_s = server.snapshot(), server.used_bytes(), machine.own_cpu_s(server.pid)
    with watching_others(stage) as others:
        chunk = asked.chunk or stage.system.chunk
        done = stage.client(operation, seconds=asked.seconds, chunk=chunk, clients=asked.clients)
    jobs = done["jobs"]
    return {
        "n": jobs,
        "rate": round(done["rate"], 1),
        "client_cpu_us_per_job": round(done["client_cpu_s"] / jobs * 1e6, 1),
        "redis_cpu_us_per_job": round((machine.own_cpu_s(server.pid) - cpu_s) / jobs * 1e6, 1),
        "ready_bytes_per_job": round((server.used_bytes() - memory) / jobs, 1),
        "quiet": quiet,
        **others,
        **a_job(before, server.snapshot(), jobs),
    }

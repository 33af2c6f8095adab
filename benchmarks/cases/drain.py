"""Jobs that are all due before the first worker starts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from benchmarks import machine, records
from benchmarks.cases.asked import Asked
from benchmarks.server import a_job
from benchmarks.stage import Stage

BOOT_S, STALL_S = 60.0, 20.0
"""How long a first job, and a next one, may keep us waiting."""

_SETTLES = 4


@dataclass(frozen=True, slots=True)
class _Sample:
    done: int
    workers_s: float
    redis_s: float
    others_s: float
    at: float

    @classmethod
    def take(cls, stage: Stage) -> _Sample:
        workers_s, redis_s = machine.cpu_s(stage.roots), machine.own_cpu_s(stage.server.pid)
        return cls(stage.count(), workers_s, redis_s, stage.others_cpu_s(), time.time())


def drain(stage: Stage, asked: Asked) -> dict[str, Any]:
    """Fill, start, and wait: rate, CPU and commands a job, and what is left in memory."""
    return drained(stage, asked.jobs or stage.jobs(), asked.payload)


def drained(stage: Stage, jobs: int, payload: int = 0) -> dict[str, Any]:
    """The same for so many jobs, whatever waits besides."""
    memory = stage.server.used_bytes()
    fill = stage.client("fill", jobs=jobs, seconds=0, payload=payload, chunk=stage.system.chunk)
    ready = stage.server.used_bytes()
    quiet, base, before = machine.wait_for_quiet(), stage.count(), stage.server.snapshot()
    stage.start()
    first, last = _wait(stage, base, jobs)
    figures = _figures(stage, jobs, first, last)
    _settle(stage)
    return {
        **figures,
        **a_job(before, stage.server.snapshot(), jobs),
        "ready_bytes_per_job": round((ready - memory) / jobs, 1),
        "left_bytes_per_job": round((stage.server.used_bytes() - memory) / jobs, 1),
        "stream_bytes": _stream_bytes(stage),
        "quiet": quiet,
        "fill_rate": round(fill["rate"], 1),
    }


def _wait(stage: Stage, base: int, jobs: int) -> tuple[_Sample | None, _Sample]:
    """Until all have started or none does any more; samples at the first start and at the last."""
    first, known, moved = None, base, time.monotonic()
    while known < base + jobs and time.monotonic() - moved < (BOOT_S if first is None else STALL_S):
        time.sleep(0.01)
        found = stage.count()
        if found > known:
            known, moved = found, time.monotonic()
            first = first or _Sample.take(stage)
    return first, _Sample.take(stage)


def _settle(stage: Stage) -> None:
    """Until the last commits are in: the server has stood still for half a second; some systems never let it."""
    known = -1
    for _ in range(_SETTLES):
        if (now := stage.server.snapshot().received) - known < 3_000:
            break
        known = now
        time.sleep(0.5)


def _figures(stage: Stage, jobs: int, first: _Sample | None, last: _Sample) -> dict[str, Any]:
    found = records.execution(records.read(stage.records), range(jobs))
    if found is None or first is None:
        return {"n": jobs, "error": f"no job ran: {stage.said()}"}
    each = 1e6 / max(1, last.done - first.done)
    return {
        "n": jobs,
        "executed": found.executed,
        "missing": found.missing,
        "duplicates": found.double,
        "seconds": round(found.seconds, 3),
        "rate": round(found.rate, 1),
        "worker_pids": found.processes,
        "boot_s": round(found.first_at - stage.started_at, 2),
        "worker_cpu_us_per_job": round((last.workers_s - first.workers_s) * each, 1),
        "redis_cpu_us_per_job": round((last.redis_s - first.redis_s) * each, 1),
        "other_cpu_cores": round((last.others_s - first.others_s) / max(1e-9, last.at - first.at), 2),
        "worker_rss_mb": round(machine.resident_bytes(stage.roots) / 2**20, 1),
    }


def _stream_bytes(stage: Stage) -> int:
    """What the streams still cost, drained as they are."""
    client = stage.server.client
    return sum(int(client.memory_usage(key) or 0) for key in client.scan_iter(count=1_000, _type="stream"))

"""A simulated fleet: whole workers, but for the keeper process, many of them in each process."""

from __future__ import annotations

import os
import signal
import sys
import time
from itertools import pairwise
from typing import Any

from benchmarks import machine, records
from benchmarks.cases.asked import Asked
from benchmarks.cases.delayed import delayed
from benchmarks.cases.idle import monitored, wait_for
from benchmarks.figures import spread_ms
from benchmarks.server import Snapshot
from benchmarks.stage import Stage

MOST_ALONE = 125
"""Workers of one process at most."""

WATCH_S = 10.0
JOBS = 1_000


def measure(stage: Stage, workers: int) -> dict[str, Any]:
    """Commands a second without work and under a light load, lateness, and the gap when the leader is killed."""
    start(stage, workers)
    present = wait_for(stage, workers)
    cpu_s = machine.own_cpu_s(stage.server.pid)
    sent, inside = monitored(stage, WATCH_S)
    found: dict[str, Any] = {
        "workers": present,
        "idle_per_s": round(sent.total() / WATCH_S, 1),
        "idle_inside_per_s": round(inside.total() / WATCH_S, 1),
        "idle_by_command": {name: round(count / WATCH_S, 2) for name, count in sent.most_common(8)},
        "idle_redis_cores": round((machine.own_cpu_s(stage.server.pid) - cpu_s) / WATCH_S, 3),
        "connections": int(stage.server.client.info("clients")["connected_clients"]),
    }
    before, at = stage.server.snapshot(), time.monotonic()
    found["delayed"] = _run(stage)
    found["loaded_per_s"] = round(_commands(before, stage.server.snapshot()) / (time.monotonic() - at), 1)
    if len(stage.started) > 1:
        found["handover"] = handover(stage)
    return found


def start(stage: Stage, workers: int) -> None:
    """So many workers in at least two processes, where there are two: one can be killed."""
    each = min(MOST_ALONE, max(1, workers // 2))
    sizes = [each] * (workers // each) + ([workers % each] if workers % each else [])
    stage.run([[sys.executable, "-m", "benchmarks.many_workers", str(size)] for size in sizes])


def handover(stage: Stage) -> dict[str, Any]:
    """Jobs due evenly over ten seconds; in the middle the process that promotes is killed.

    Returns:
        The lateness of all, and the longest time without a start: about what the hand-over took.
    """
    due = _schedule(stage)
    while time.time() < due[len(due) // 2]:
        time.sleep(0.01)
    _kill_leader(stage)
    while time.time() < due[-1] + 15 and len({one.number for one in _starts(stage)}) < len(due):
        time.sleep(0.1)
    starts = sorted(_starts(stage), key=lambda one: one.at)
    gaps = [after.at - before.at for before, after in pairwise(starts)]
    late = spread_ms([one.at - due[one.number] for one in starts])
    missing = len(due) - len({one.number for one in starts})
    return {"lag_ms": late, "gap_s": round(max(gaps, default=0.0), 2), "missing": missing}


def _run(stage: Stage) -> dict[str, Any]:
    return delayed(stage, Asked(jobs=JOBS), start=False)


def _schedule(stage: Stage) -> list[float]:
    stage.forget()
    sent = stage.client("delayed", jobs=JOBS, seconds=WATCH_S, lead=3.0)
    due: list[float] = sent["due"]
    return due


def _starts(stage: Stage) -> list[records.Record]:
    return [one for one in records.read(stage.records) if one.kind == records.START and one.number < JOBS]


def _kill_leader(stage: Stage) -> None:
    """The process of the worker whose name the promoter's lease has: HOST-PID-RANDOM."""
    (key,) = stage.server.client.scan_iter("*:promoter")
    name = stage.server.client.get(key)
    assert isinstance(name, bytes)
    os.kill(int(name.rpartition(b"-")[0].rpartition(b"-")[2]), signal.SIGKILL)


def _commands(before: Snapshot, after: Snapshot) -> int:
    return sum(after.calls.values()) - sum(before.calls.values())

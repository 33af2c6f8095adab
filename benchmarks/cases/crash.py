"""Workers that are killed while all their jobs run."""

from __future__ import annotations

import time
from typing import Any

from benchmarks import records
from benchmarks.cases.asked import Asked
from benchmarks.stage import Stage

START_S = 60.0


def crash(stage: Stage, asked: Asked) -> dict[str, Any]:
    """SIGKILL to everything while jobs of a second run, new workers at once: when are all done, which twice."""
    jobs = stage.system.crash
    stage.client("fill", jobs=jobs, function="sleep1", seconds=0)
    stage.start()
    deadline = time.monotonic() + START_S
    while len(_numbers(stage, records.START)) < jobs and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    running = len(_numbers(stage, records.START) - _numbers(stage, records.END))
    stage.kill()
    killed_at = time.time()
    stage.start()
    recovered_s = _wait(stage, jobs, killed_at, asked.cap_s)
    return {"n": jobs, "running_at_kill": running, "cap_s": asked.cap_s, "recovered_s": recovered_s} | _after(
        stage, jobs, killed_at
    )


def _wait(stage: Stage, jobs: int, killed_at: float, cap_s: float) -> float | None:
    while time.time() - killed_at < cap_s:
        if len(_numbers(stage, records.END)) >= jobs:
            took_s = round(time.time() - killed_at, 1)
            time.sleep(3)  # for those that end twice
            return took_s
        time.sleep(0.1)
    return None


def _after(stage: Stage, jobs: int, killed_at: float) -> dict[str, Any]:
    found = records.read(stage.records)
    again = [one for one in found if one.kind == records.START and one.at > killed_at]
    ends = [one.number for one in found if one.kind == records.END]
    return {
        "restarted": len({one.number for one in again}),
        "first_restart_s": round(min(one.at for one in again) - killed_at, 1) if again else None,
        "not_completed_at_cap": jobs - len(set(ends)),
        "completed_twice": len(ends) - len(set(ends)),
        "log": stage.said(400),
    }


def _numbers(stage: Stage, kind: int) -> set[int]:
    return {one.number for one in records.read(stage.records) if one.kind == kind}

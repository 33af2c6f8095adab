"""Single jobs to an idle worker."""

from __future__ import annotations

import time
from typing import Any

from benchmarks import machine, records
from benchmarks.cases.asked import Asked
from benchmarks.cases.watch import watching_others
from benchmarks.figures import spread_ms
from benchmarks.server import a_job
from benchmarks.stage import Stage


def latency(stage: Stage, asked: Asked) -> dict[str, Any]:
    """From before the schedule call to the first line of the job, at a steady rate."""
    stage.start()
    quiet, before = machine.wait_for_quiet(), stage.server.snapshot()
    with watching_others(stage) as others:
        times: list[float] = stage.client("paced", rate=asked.rate, seconds=asked.span_s)["times"]
    _wait(stage, len(times))
    starts = [one for one in records.read(stage.records) if one.kind == records.START and one.number < len(times)]
    return {
        "latency_ms": spread_ms([one.at - times[one.number] for one in starts]),
        "sent": len(times),
        "executed": len(starts),
        "quiet": quiet,
        **others,
        **a_job(before, stage.server.snapshot(), len(times)),
    }


def _wait(stage: Stage, jobs: int, most_s: float = 2.0) -> None:
    deadline = time.monotonic() + most_s
    while stage.count() < jobs and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)

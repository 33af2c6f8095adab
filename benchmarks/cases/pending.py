"""Jobs that wait for a far day."""

from __future__ import annotations

from typing import Any

from benchmarks.cases.asked import Asked
from benchmarks.cases.drain import drained
from benchmarks.server import a_job
from benchmarks.stage import Stage

FIRST = 1_000_000
"""Their numbers begin here: above those that are drained."""

DAY_S = 86_400


def pending(stage: Stage, asked: Asked) -> dict[str, Any]:
    """Memory of a job that is due in one to two days and has 100 bytes of arguments; then a drain beside them."""
    found = fill_far(stage, asked.pending, asked.cap_s)
    if asked.drain:
        found["drain"] = drained(stage, asked.jobs or stage.jobs())
    return found


def fill_far(stage: Stage, jobs: int, cap_s: float) -> dict[str, Any]:
    """Schedule so many jobs of a far day, or as many as there is time for; what they cost."""
    memory, before = stage.server.used_bytes(), stage.server.snapshot()
    filled = stage.client(
        "fill", timeout_s=cap_s * 3 + 60, jobs=jobs, first=FIRST, seconds=cap_s, payload=100, due_in=DAY_S,
        chunk=stage.system.chunk,
    )  # fmt: skip
    jobs = filled["jobs"]
    return {
        "pending": jobs,
        "enqueue_rate": round(filled["rate"], 1),
        "bytes_per_job": round((stage.server.used_bytes() - memory) / jobs, 1),
        "enqueue": a_job(before, stage.server.snapshot(), jobs),
    }

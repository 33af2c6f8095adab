"""Jobs of the near future, as many as a worker can run."""

from __future__ import annotations

import time
from typing import Any

from benchmarks import machine, records
from benchmarks.cases.asked import Asked
from benchmarks.cases.watch import watching_others
from benchmarks.client import WARM
from benchmarks.figures import spread_ms
from benchmarks.stage import Stage

LATE_S = 15.0
"""How long after the last job's time we wait for it."""

EARLY_S = 0.001
"""So much before its time a job counts as early: two clocks of one machine are read a moment apart."""


def delayed(stage: Stage, asked: Asked, *, start: bool = True) -> dict[str, Any]:
    """Start minus due of jobs that are due evenly over some seconds; without `start` the workers run already."""
    jobs = asked.jobs or stage.system.delayed
    if start:
        stage.start()
    quiet = machine.wait_for_quiet()
    with watching_others(stage) as others:
        sent = stage.client("delayed", jobs=jobs, seconds=asked.span_s, lead=asked.lead_s)
        due: list[float] = sent["due"]
        _wait(stage, due[-1], jobs + WARM)
    starts = [one for one in records.read(stage.records) if one.kind == records.START and one.number < jobs]
    late = [one.at - due[one.number] for one in starts]
    distinct = len({one.number for one in starts})
    return {
        "lag_ms": spread_ms(late),
        "n": jobs,
        "missing": jobs - distinct,
        "duplicates": len(starts) - distinct,
        "early": sum(one < -EARLY_S for one in late),
        "enqueue_s": round(sent["enqueue_s"], 2),
        "late_enqueue": sent["late_enqueue"],
        "quiet": quiet,
        **others,
        **({"log": stage.said()} if distinct < jobs else {}),
    }


def _wait(stage: Stage, last_due: float, starts: int) -> None:
    while time.time() < last_due + LATE_S and not (stage.count() >= starts and time.time() > last_due + 0.5):
        time.sleep(0.05)
    time.sleep(0.5)  # for doubles

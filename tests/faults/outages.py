"""Redis away at a step, for a while: no worker exits, nothing is lost or doubled, and work goes on soon (C7.3)."""

from __future__ import annotations

import time
from enum import StrEnum

from scheduler import JobState
from tests.faults.crash_points import WORKER_STEPS, Step
from tests.faults.rules import Fault, Rule
from tests.faults.stage import PATIENCE_S, Stage
from tests.faults.zygote import is_alive
from tests.worker.processes import wait_until

BACK_S = 2.0
"""So soon after its return work goes on."""


class Away(StrEnum):
    """How Redis is away."""

    REFUSED = "nobody listens on the port"
    SILENT = "what is sent is lost"
    STILL = "the network stands still"

    def begin(self, stage: Stage) -> None:
        {Away.REFUSED: stage.proxy.refuse, Away.SILENT: stage.proxy.silence, Away.STILL: stage.proxy.pause}[self]()

    def end(self, stage: Stage) -> None:
        {Away.REFUSED: stage.proxy.accept, Away.SILENT: stage.proxy.speak, Away.STILL: stage.proxy.resume}[self]()


STEPS = tuple(step for step in WORKER_STEPS if step.name != "leave")


def play_outage(stage: Stage, step: Step, away: Away, seconds: float) -> float:
    """One case; returns the seconds from the return of Redis to the end of a job that was scheduled meanwhile."""
    mark = step.prepare(stage)
    rule = Rule(
        Fault.HOLD_BEFORE,
        step.verb,
        when=lambda request: mark is None or any(mark.encode() in arg for arg in request.args),
        nth=step.nth,
    )
    stage.proxy.add(rule)
    stage.victim = stage.worker("victim", keeper=step.verb == "renew")
    step.meanwhile(stage)
    rule.wait(PATIENCE_S)
    away.begin(stage)
    rule.release()
    gone = time.monotonic()
    step.after(stage)
    job_id = stage.schedule("add")
    wait_until(lambda: time.monotonic() - gone >= seconds, seconds + PATIENCE_S, "the end of the outage")
    away.end(stage)
    back = time.monotonic()
    stage.wait_state(job_id, JobState.SUCCESS)
    took_s = time.monotonic() - back
    stage.wait_idle()
    stage.check()
    assert is_alive(stage.victim), stage.log("victim")
    assert "Traceback" not in stage.log("victim"), stage.log("victim")
    return took_s


def step_named(name: str) -> Step:
    """A step of the table."""
    return next(step for step in STEPS if step.name == name)

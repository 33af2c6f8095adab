"""The table of crash points: each step of worker and producer with each fault, and how one case is played."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scheduler import JobState, scripts, transitions
from tests.faults.producing import KEY, MANY
from tests.faults.rules import Fault, Rule
from tests.faults.stage import LEASE_MS, PATIENCE_S, Stage
from tests.faults.zygote import is_alive
from tests.worker.processes import wait_until

PAST_LEASE_S = 1.6 * LEASE_MS / 1000


class Crash(StrEnum):
    """What happens at a step (faults.md, "Crash points")."""

    DIES_BEFORE = "dies before sending"
    DIES_AFTER = "dies after it was applied"
    CUT = "reply cut"
    SWALLOWED = "reply swallowed"
    DELAYED = "request delayed past the lease"
    RESET = "connection reset"
    STOPPED = "stopped past the lease"

    @property
    def kills(self) -> bool:
        return self in (Crash.DIES_BEFORE, Crash.DIES_AFTER)


FAULTS = {
    Crash.DIES_BEFORE: Fault.CUT_BEFORE,
    Crash.DIES_AFTER: Fault.CUT_AFTER,
    Crash.CUT: Fault.CUT_AFTER,
    Crash.SWALLOWED: Fault.SWALLOW,
    Crash.DELAYED: Fault.HOLD_BEFORE,
    Crash.RESET: Fault.RESET_BEFORE,
    Crash.STOPPED: Fault.NONE,
}

Act = Callable[[Stage], None]


def nothing(stage: Stage) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a worker.

    Attributes:
        name: For the table.
        verb: What the request runs.
        prepare: Done before the worker starts; may return what only the request in question has among its arguments.
        meanwhile: Done while it works, to bring it to the step.
        nth: Which of the requests.
        after: Done when the fault has struck.
        expect: Checked at the end, beside the invariants.
    """

    name: str
    verb: str
    prepare: Callable[[Stage], str | None]
    meanwhile: Act = nothing
    nth: int = 1
    after: Act = nothing
    expect: Act = nothing


def schedule(function: str) -> Callable[[Stage], str | None]:
    """Schedule a job; the request in question has its id."""
    return lambda stage: stage.schedule(function)


def schedule_any(*functions: str, delay_ms: int = 0) -> Callable[[Stage], str | None]:
    """Schedule a job of each; any request of the verb will do."""

    def prepare(stage: Stage) -> None:
        for function in functions:
            stage.schedule(function, delay_ms=delay_ms)

    return prepare


def read_counter(stage: Stage) -> str:
    stage.schedule("add")
    return "counters:one"


def look_twice(stage: Stage) -> None:
    stage.schedule("look_twice", "two")


def others_write(counter: str, holder: str) -> Act:
    """Something is committed while a handler waits, and then it goes on."""

    def act(stage: Stage) -> None:
        stage.wait_marked(holder)
        stage.wait_state(stage.schedule("add", counter), JobState.SUCCESS)
        stage.release()

    return act


def lost_delivery(stage: Stage) -> None:
    stage.ghost("add")


def lost_action(stage: Stage) -> None:
    stage.run(transitions.begin([stage.ghost("act")], "ghost", LEASE_MS // 4))


def all_failed(stage: Stage) -> None:
    assert {stage.job(job_id).state for job_id in stage.jobs} == {JobState.FAILED}


def all_succeeded(stage: Stage) -> None:
    """An action may have had no renewal in time, on busy cores; a mutation runs again."""
    jobs = [stage.job(job_id) for job_id in stage.jobs]
    assert {job.state for job in jobs if job.kind == "mutation"} == {JobState.SUCCESS}


def one_old_record(stage: Stage) -> None:
    stage.old_record()
    stage.schedule("add")


def old_record_is_gone(stage: Stage) -> None:
    wait_until(lambda: set(stage.all_jobs()) == set(stage.jobs), PATIENCE_S, "the removal of the old record")
    all_succeeded(stage)


def term(stage: Stage) -> None:
    stage.wait_idle()
    os.kill(stage.victim, signal.SIGTERM)


WORKER_STEPS = (
    Step("join", "join", schedule_any("add", "act"), expect=all_succeeded),
    Step("declare", "declare", schedule_any("add", "act"), expect=all_succeeded),
    Step("promote", "promote", schedule_any("add", "add", delay_ms=300), nth=3, expect=all_succeeded),
    Step("claim", "xreadgroup", schedule_any("add", "act"), expect=all_succeeded),
    Step("read", "read", read_counter, expect=all_succeeded),
    Step("check", "check", look_twice, meanwhile=others_write("two", "look_twice"), expect=all_succeeded),
    Step("begin", "begin", schedule("act")),
    Step("commit of a success", "commit", schedule("add"), expect=all_succeeded),
    Step("commit of a failure", "commit", schedule("break_off"), expect=all_failed),
    Step("commit with children", "commit", schedule("parent"), expect=all_succeeded),
    Step("commit that loses", "commit", schedule("hold_back"), others_write("one", "hold_back"), expect=all_succeeded),
    Step("finish", "finish", schedule("act")),
    Step("retry", "retry", schedule("again"), expect=all_succeeded),
    Step("renew", "renew", schedule_any("hold", "hold_back"), nth=2, after=Stage.release),
    Step("redeliver", "redeliver", lost_delivery, expect=all_succeeded),
    Step("expire", "expire", lost_action, expect=all_failed),
    Step("prune", "prune", one_old_record, expect=old_record_is_gone),
    Step("leave", "leave", schedule_any("add", "act"), meanwhile=term, expect=all_succeeded),
)


def play_worker(stage: Stage, step: Step, crash: Crash) -> None:
    """One case: the fault at the step, and then all work is done by whoever is left."""
    mark = step.prepare(stage)
    rule = stage.proxy.add(
        Rule(
            FAULTS[crash],
            step.verb,
            when=lambda request: mark is None or any(mark.encode() in arg for arg in request.args),
            nth=step.nth,
            strike=lambda _: _strike(stage, crash),
        )
    )
    # A keeper is a process of its own and half a second of CPU: only where renewals matter.
    stage.victim = stage.worker("victim", keeper=step.verb == "renew")
    step.meanwhile(stage)
    rule.wait(PATIENCE_S)
    struck = time.monotonic()
    if crash is Crash.DELAYED:
        stage.proxy.add(Rule(Fault.HOLD_BEFORE, "renew", times=None))
    if crash.kills or crash in (Crash.DELAYED, Crash.STOPPED) or step.name == "leave":
        stage.worker("other", direct=True)
    step.after(stage)
    if crash is Crash.DELAYED:
        wait_until(lambda: time.monotonic() - struck > PAST_LEASE_S, PATIENCE_S, "the end of the lease")
        stage.proxy.clear()
    stage.wait_idle()
    if crash is Crash.STOPPED:
        wait_until(lambda: time.monotonic() - struck > PAST_LEASE_S, PATIENCE_S, "the end of the lease")
        _wake(stage, step)
    stage.wait_idle()
    step.expect(stage)
    stage.check()
    _check_victim(stage, step, crash)


def _strike(stage: Stage, crash: Crash) -> None:
    if crash.kills:
        os.kill(stage.victim, signal.SIGKILL)
    elif crash is Crash.STOPPED:
        os.kill(stage.victim, signal.SIGSTOP)


def _wake(stage: Stage, step: Step) -> None:
    """The victim goes on, and has its say."""
    before, seen = stage.all_jobs(), stage.proxy.steps["renew"]
    os.kill(stage.victim, signal.SIGCONT)
    if step.name == "leave":
        stage.wait_gone(stage.victim)
    else:
        wait_until(lambda: stage.proxy.steps["renew"] >= seen + 2, PATIENCE_S, "renewals of the woken worker")
    assert stage.all_jobs() == before, "a worker that was paused has changed something"


def _check_victim(stage: Stage, step: Step, crash: Crash) -> None:
    if crash.kills:
        stage.wait_gone(stage.victim)
    elif step.name == "leave":
        stage.wait_gone(stage.victim)
        assert "stopped worker=" in stage.log("victim")
    else:
        assert is_alive(stage.victim), stage.log("victim")
    assert "Traceback" not in stage.log("victim"), stage.log("victim")
    assert "Traceback" not in stage.log("other"), stage.log("other")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a producer.

    Attributes:
        operation: As in `producing.py`.
        verb: What the request in question runs.
        prepare: What is there before; may return the id that the call is about.
        check: Given the answer, None if the producer died, and whether the call was applied: what must be true.
    """

    operation: str
    verb: str
    prepare: Callable[[Stage], str]
    check: Callable[[Stage, Any, bool], None]


def no_job(stage: Stage) -> str:
    return ""


def one_elsewhere(stage: Stage) -> str:
    """A function that another deployment has registered."""
    described = json.dumps(stage.app.functions["add"].describe())
    stage.run(transitions.join("ghost", LEASE_MS, {}, {}, {"elsewhere": described}, ["default"]))
    return ""


def one_pending(stage: Stage) -> str:
    return stage.scheduler.run_after(60_000, stage.app.functions["add"])


def some_pending(stage: Stage) -> str:
    add = stage.app.functions["add"]
    return stage.scheduler.schedule_many([add.after(60_000) for _ in range(MANY)])[0]


def one_to_run(stage: Stage) -> str:
    """A job that a worker runs a little later, so that its end is waited for."""
    job_id = stage.schedule("act", delay_ms=300)
    stage.worker("other", direct=True)
    return job_id


def makes(count: int) -> Callable[[Stage, Any, bool], None]:
    """The call makes so many jobs, and answers with their ids."""

    def check(stage: Stage, answer: Any, applied: bool) -> None:
        made = sorted(stage.all_jobs())
        assert len(made) == (count if applied else 0), "an accepted call makes its jobs once"
        if answer is not None:
            assert made == (answer if isinstance(answer, list) else [answer])

    return check


def makes_one_for_the_key(stage: Stage, answer: Any, applied: bool) -> None:
    makes(1)(stage, answer, applied)
    again = stage.scheduler.options(idempotency_key=KEY).run_after(60_000, stage.app.functions["add"])
    assert list(stage.all_jobs()) == [again]
    assert answer in (None, again)


def cancels(stage: Stage, answer: Any, applied: bool) -> None:
    states = {job.state for job in stage.all_jobs().values()}
    assert states == {JobState.CANCELED if applied else JobState.PENDING}
    # C4.1: also a call that is said again tells what it did.
    assert answer in (None, "canceled", MANY)


def answers(*expected: Any) -> Callable[[Stage, Any, bool], None]:
    """The call only looks."""

    def check(stage: Stage, answer: Any, applied: bool) -> None:
        assert answer is None or answer in expected

    return check


def lists_all(stage: Stage, answer: Any, applied: bool) -> None:
    assert answer is None or sorted(answer) == sorted(stage.all_jobs())


CALLS = (
    Call("describe", "describe", one_elsewhere, lambda stage, answer, _: makes(1)(stage, answer, answer is not None)),
    Call("run_after", "schedule", no_job, makes(1)),
    Call("schedule_many", "schedule", no_job, makes(MANY)),
    Call("idempotency key", "schedule", no_job, makes_one_for_the_key),
    Call("cancel", "cancel", one_pending, cancels),
    Call("cancel_all", "cancel", some_pending, cancels),
    Call("result", "watch", one_to_run, answers("acted")),
    Call("get", "show", one_pending, answers("pending")),
    Call("list", "show", some_pending, lists_all),
)


def play_producer(stage: Stage, call: Call, crash: Crash) -> None:
    """One case: the fault in the call, and then it has its answer unless the producer died."""
    job_id = call.prepare(stage)
    # Else the first answer is that the script is not known, and nothing was applied.
    stage.store.execute("SCRIPT", "LOAD", scripts.load(call.verb).source)
    rule = stage.proxy.add(Rule(FAULTS[crash], call.verb, strike=lambda _: _strike(stage, crash)))
    stage.victim = stage.producer(call.operation, job_id)
    rule.wait(PATIENCE_S)
    struck = time.monotonic()
    if crash is Crash.STOPPED:
        wait_until(lambda: time.monotonic() - struck > PAST_LEASE_S, PATIENCE_S, "the end of the pause")
        os.kill(stage.victim, signal.SIGCONT)
    stage.wait_gone(stage.victim)
    stage.proxy.clear()
    wait_until(lambda: stage.proxy.connected == 0, PATIENCE_S, "the arrival of what was held back")
    file = stage.folder / "answer"
    assert file.exists() != crash.kills, stage.log("producer")
    call.check(stage, json.loads(file.read_text()) if file.exists() else None, crash is not Crash.DIES_BEFORE)
    if call.operation == "result":
        stage.wait_idle()
        stage.check()


WORKER_CASES = tuple((step, crash) for step in WORKER_STEPS for crash in Crash)
PRODUCER_CASES = tuple((call, crash) for call in CALLS for crash in Crash)

"""The bank's command moves money while workers are killed; its checks see each promise that is broken."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from examples.bank.app import app
from examples.bank.checks import AUDIT, RECEIPT, TRANSFER, Facts, broken
from examples.crew import ROOT
from scheduler import Job, JobError, JobId, JobState


def job(
    job_id: str, name: str, *args: str, state: JobState = JobState.SUCCESS, error: str = "", result: object = None,
    source: str = "a0", target: str = "a1", cents: int = 30,
) -> Job:  # fmt: skip
    kwargs = {"source": source, "target": target, "cents": cents} if name == TRANSFER else {}
    return Job(
        id=JobId(job_id), name=name, kind="", args=[*args], kwargs=kwargs, state=state, queue="default",
        scheduled_time=0, created_time=0, worker="w1", error=JobError(error, "") if error else None, result=result,
    )  # fmt: skip


MOVED, BACK = job("t1", TRANSFER), job("t2", TRANSFER, source="a1", target="a0", cents=10)
SHORT = job("t3", TRANSFER, cents=999, state=JobState.FAILED, error="Overdrawn")
SENT, UNSENT = job("r1", RECEIPT, "t1"), job("r2", RECEIPT, "t2", state=JobState.FAILED, error="WorkerLost")
COUNTED = job("c1", AUDIT, result=200)
JOBS = (MOVED, BACK, SHORT, SENT, UNSENT, COUNTED)
GOOD = Facts(
    opening={"a0": 100, "a1": 100},
    closing={"a0": 80, "a1": 120},
    asked=["t1", "t2", "t3"],
    jobs=JOBS,
    ended={one.id: [one.state] for one in JOBS},
    mailed={"t1": 1},
    killed=["w1"],
)


def but(old: Job, *new: Job) -> Facts:
    """The good run with other jobs in one's place, each ended under its state."""
    jobs = [one for one in JOBS if one is not old]
    jobs += new
    return replace(GOOD, jobs=jobs, ended={one.id: [one.state] for one in jobs})


def test_a_good_run_breaks_nothing() -> None:
    assert broken(GOOD) == []
    assert broken(replace(GOOD, mailed={"t1": 1, "t2": 1})) == [], "its worker died after the receipt had left"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(GOOD, closing={"a0": 80, "a1": 121}), "the sum of balances was 200, and is 201"),
        (but(COUNTED, job("c1", AUDIT, result=170)), "1 audits saw another sum than 200: 170"),
        (replace(GOOD, closing={"a0": 70, "a1": 130}), "account a0: holds 70, its transfers say 80"),
        (replace(GOOD, closing={"a0": 80, "a1": 120, "a2": 0}), "account a2: holds 0, its transfers say None"),
        (
            replace(but(MOVED, job("t1", TRANSFER, cents=130)), closing={"a0": -20, "a1": 220}),
            "account a0: overdrawn, -20",
        ),
        (replace(GOOD, asked=["t1", "t2", "t3", "t4"]), "transfers that were lost: t4"),
        (but(SHORT, SHORT, SHORT), "jobs with more than one record: t3"),
        (replace(GOOD, ended={**GOOD.ended, "t3": ["failed", "success"]}), "without exactly one final state: t3"),
        (replace(GOOD, ended={**GOOD.ended, "t3": []}), "without exactly one final state: t3"),
        (but(UNSENT), "transfers without a receipt: t2"),
        (but(UNSENT, UNSENT, job("r3", RECEIPT, "t3")), "receipts of transfers that did not succeed: t3"),
        (but(UNSENT, UNSENT, job("r3", RECEIPT, "t1")), "transfers with more than one receipt: t1"),
        (replace(GOOD, mailed={"t1": 2}), "receipts that were started twice: t1"),
        (replace(GOOD, mailed={"t1": 1, "t9": 1}), "receipts that left and were never scheduled: t9"),
        (replace(GOOD, mailed={}), "receipts that succeeded and never left: t1"),
        (but(SHORT, replace(SHORT, error=JobError("ValueError", ""))), "and not as Overdrawn: t3"),
        (but(UNSENT, replace(UNSENT, error=JobError("ValueError", ""))), "and not as WorkerLost: r2"),
        (but(UNSENT, replace(UNSENT, worker="w2")), "failed on a living worker: r2"),
    ],
)
def test_a_broken_promise_is_told(facts: Facts, said: str) -> None:
    assert any(said in problem for problem in broken(facts)), broken(facts)


def test_the_checks_name_the_functions_of_the_app() -> None:
    assert {TRANSFER, RECEIPT, AUDIT} <= app.functions.keys()


@pytest.mark.parametrize("where", [[], ["--sql"]])
def test_the_money_adds_up(where: list[str]) -> None:
    command = [sys.executable, "-m", "examples.bank.run", "--transfers", "150", "--kills", "2", "--seed", "7"]
    done = subprocess.run([*command, *where], cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert "150 transfers, 2 kills, --seed 7" in done.stdout
    assert "the money adds up, and every promise was kept" in done.stdout

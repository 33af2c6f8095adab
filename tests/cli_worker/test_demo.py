"""The demo's checks see each promise that is broken, and its orders are what their generator writes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from examples import make_orders
from examples.checks import PLACE, RECEIPT, Facts, broken
from scheduler import Job, JobError, JobId, JobState


def job(job_id: str, name: str, state: JobState = JobState.SUCCESS, **kwargs: Any) -> Job:
    return Job(
        id=JobId(job_id), name=name, kind="", args=[], kwargs=kwargs, state=state, queue="default",
        scheduled_time=0, created_time=0, worker="w2",
    )  # fmt: skip


def line(order_id: str, cents: int) -> str:
    return json.dumps({"function": PLACE, "args": {"order_id": order_id, "cents": cents}})


LOST = JobError("WorkerLost", "transient error while executing action")
PLACED = job("j1", PLACE, order_id="o1", cents=100, customer="c1")
GIFT = job("j2", PLACE, order_id="o2", cents=50, customer="c1")
FREE = replace(job("j3", PLACE, JobState.FAILED, order_id="o3", cents=0), error=JobError("ValueError", "cents"))
GONE = job("j4", PLACE, JobState.CANCELED, order_id="o4", cents=70)
SENT = job("r1", RECEIPT, order_id="o1")
UNSENT = replace(job("r2", RECEIPT, JobState.FAILED, order_id="o2"), error=LOST, worker="w1")
ORDERS = {"o1": {"cents": 100, "receipts": 1}, "o2": {"cents": 50, "receipts": 0}}
GOOD = Facts(
    lines=[line("o1", 100), line("o2", 50), line("o1", 100), "{", line("o3", 0), line("o4", 70)],
    refused={4: "not JSON"},
    jobs=[PLACED, GIFT, FREE, GONE, SENT, UNSENT],
    orders=ORDERS,
    accounts={"c1": {"balance": 150, "orders": 2}},
    held=["j2"],
    killed="w1",
)


def with_job(old: Job, new: Job) -> Facts:
    return replace(GOOD, jobs=[new if one is old else one for one in GOOD.jobs])


def test_a_good_run_breaks_nothing() -> None:
    assert broken(GOOD) == []
    assert (GOOD.cents, GOOD.charged) == (150, 150)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (with_job(GONE, replace(GONE, state=JobState.PENDING)), "1 jobs never ended: j4"),
        (with_job(GIFT, replace(GIFT, state=JobState.PENDING)), "lost with the killed worker: j2"),
        (replace(GOOD, held=["j9"]), "lost with the killed worker: j9"),
        (replace(GOOD, jobs=[*GOOD.jobs, replace(GONE, id=JobId("j5"))]), "scheduled twice despite one key: o4"),
        (replace(GOOD, lines=[*GOOD.lines, line("o9", 5)]), "accepted and lost: o9"),
        (replace(GOOD, refused={4: "", 6: ""}), "scheduled and never accepted: o4"),
        (replace(GOOD, orders={"o1": ORDERS["o1"]}), "succeeded without a document: o2"),
        (replace(GOOD, orders={**ORDERS, "o4": ORDERS["o1"]}), "a document of an order that did not succeed: o4"),
        (replace(GOOD, orders={**ORDERS, "o1": {"cents": 1, "receipts": 1}}), "documents with another price: o1"),
        (replace(GOOD, accounts={"c1": {"balance": 250, "orders": 3}}), "account c1: charged 250 cents for 3 orders"),
        (replace(GOOD, accounts={"c1": {"balance": 150, "orders": 3}}), "expected 150 for 2"),
        (replace(GOOD, accounts={}), "account c1: charged 0 cents"),
        (replace(GOOD, accounts={**GOOD.accounts, "c2": {"balance": 1, "orders": 1}}), "account c2: charged 1"),
        (replace(GOOD, orders={**ORDERS, "o1": {"cents": 100, "receipts": 2}}), "more than one receipt: o1"),
        (replace(GOOD, jobs=[one for one in GOOD.jobs if one is not SENT]), "1 receipts were scheduled for 2 orders"),
        (replace(GOOD, orders={**ORDERS, "o1": {"cents": 100, "receipts": 0}}), "succeeded and were not sent: o1"),
        (with_job(GONE, replace(GONE, state=JobState.FAILED)), "orders that failed without fault: j4"),
        (with_job(UNSENT, replace(UNSENT, error=JobError("ValueError", ""))), "failed for another reason: r2"),
        (with_job(UNSENT, replace(UNSENT, worker="w2")), "failed on a living worker: r2"),
    ],
)
def test_a_broken_promise_is_told(facts: Facts, said: str) -> None:
    assert any(said in problem for problem in broken(facts)), broken(facts)


def test_the_orders_are_what_the_generator_writes() -> None:
    lines = make_orders.make_lines()
    assert make_orders.PATH.read_text(encoding="utf-8").splitlines() == lines
    assert len(lines) == 1_000
    assert sum(one in make_orders.REFUSED for one in lines) == len(make_orders.REFUSED)
    assert len(lines) - len(set(lines)) == make_orders.DUPLICATES

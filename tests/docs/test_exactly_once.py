"""The code of `docs/exactly-once.md`, by the very lines that stand there."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scheduler import JobFailed, JobState, Limits, Scheduler
from tests.conftest import StartWorker, until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "exactly-once.md").read_text(encoding="utf-8")


@pytest.fixture
def shop(namespace: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """All Python blocks of the page as one module, in a namespace of the test's own."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 4
    code = "\n".join(blocks)
    assert code.count('App("shop")') == 1
    module = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", module)
    exec(compile(code.replace('App("shop")', f'App("{namespace}")'), "exactly-once.md", "exec"), module.__dict__)
    return module


@pytest.fixture
async def client(shop: Any, url: str, start_worker: StartWorker) -> AsyncIterator[Scheduler]:
    await start_worker(shop.app)
    async with Scheduler(shop.app, url=url) as scheduler:
        yield scheduler


async def call(client: Scheduler, function: Any, *args: Any) -> Any:
    return await client.result(await client.run_after(0, function, *args), timeout=10)


async def test_queries_read_what_mutations_write(shop: Any, client: Scheduler) -> None:
    await call(client, shop.open_account, "ada", 10)
    best = await call(client, shop.open_account, "ada", 30)
    await call(client, shop.open_account, "bob", 500)
    assert await call(client, shop.report, "ada") == 40
    assert await call(client, shop.richest, "ada") == best
    assert await call(client, shop.richest, "eve") is None


async def test_the_limit_that_a_query_checks_holds_against_crowds(shop: Any, client: Scheduler) -> None:
    ids = await client.schedule_many(shop.open_account.after(0, "ada", 300_000) for _ in range(20))
    for job_id in ids:
        await until(lambda job_id=job_id: _ended(client, job_id))  # type: ignore[misc]
    jobs = [await client.get(job_id) for job_id in ids]
    assert Counter(job.state for job in jobs if job is not None) == {JobState.SUCCESS: 3, JobState.FAILED: 17}
    assert await call(client, shop.report, "ada") == 900_000


async def test_an_order_is_charged_once_and_mailed_once(
    shop: Any, client: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails: list[str] = []
    monkeypatch.setattr(shop, "mail", mails.append)
    account = await call(client, shop.open_account, "ada", 100)
    await call(client, shop.place_order, "o1", account, 60)
    with pytest.raises(JobFailed, match="cannot pay"):
        await call(client, shop.place_order, "o2", account, 60)
    with pytest.raises(JobFailed, match="o1"):
        await call(client, shop.place_order, "o1", account, 10)
    key = client.options(idempotency_key="order-o3")
    assert await key.run_after(0, shop.place_order, "o3", account, 10) == await key.run_after(
        0, shop.place_order, "o3", account, 10
    )
    await until(lambda: len(mails) == 2)
    assert mails == ["Thank you for order o1", "Thank you for order o3"]
    assert await call(client, shop.report, "ada") == 30


async def test_a_payment_whose_call_fails_is_asked_for_again_with_the_same_key(
    shop: Any, client: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def charge(cents: int, *, idempotency_key: str) -> str:
        asked.append(idempotency_key)
        if len(asked) < 3:
            raise OSError("no answer from the bank")
        return f"{cents} cents"

    monkeypatch.setattr(shop, "charge", charge)
    monkeypatch.setattr(shop, "CHECK_MS", 100)
    await call(client, shop.pay, "o1", 60)

    async def paid() -> bool:
        payment = await client.db.get("payments:o1")
        return payment is not None and payment["receipt"] == "60 cents"

    await until(paid)
    await until(lambda: _idle(client))
    assert asked == ["order-o1"] * 3


async def test_a_counter_in_shards_loses_nothing(shop: Any, client: Scheduler) -> None:
    await client.schedule_many(shop.count_visit.after(0, "home") for _ in range(100))
    await until(lambda: _idle(client))
    assert await call(client, shop.show_visits, "home") == 100
    assert await call(client, shop.show_visits, "news") == 0


def test_the_limits_on_the_page_are_the_defaults() -> None:
    units = {"": 1, " MiB": 1024 * 1024}
    rows = re.findall(r"^\| (`.*?`) \| ([\d,]+)( MiB)? \|", PAGE, re.MULTILINE)
    told = {
        name: int(number.replace(",", "")) * units[unit]
        for names, number, unit in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    assert told == {name: getattr(Limits(), name) for name in Limits.__slots__}


def test_nothing_on_the_page_is_left_to_fill_in() -> None:
    assert re.findall(r"@[A-Z_]+@", PAGE) == []


async def _ended(client: Scheduler, job_id: str) -> bool:
    job = await client.get(job_id)
    return job is not None and job.state.final


async def _idle(client: Scheduler) -> bool:
    return not await client.count(state=JobState.PENDING) and not await client.count(state=JobState.IN_PROGRESS)

"""Docket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from docket import Docket, Worker

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told

TOLD = told()


async def noop(number: int, payload: str | None = None) -> None:
    records.start(number)


async def sleep1(number: int, payload: str | None = None) -> None:
    records.start(number)
    await asyncio.sleep(1)
    records.end(number)


FUNCTIONS = {"noop": noop, "sleep1": sleep1}


class Client:
    async def open(self) -> None:
        self._docket = _docket()
        await self._docket.__aenter__()
        for function in FUNCTIONS.values():
            self._docket.register(function)

    async def one(self, number: int) -> None:
        await self._docket.add(noop)(number)

    async def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        wanted, extra = FUNCTIONS[function], () if payload is None else (payload,)
        calls = []
        for number, due in items:
            when = None if due is None else datetime.fromtimestamp(due, UTC)
            calls.append(self._docket.call(wanted, when=when)(number, *extra))
        await self._docket.add_many(calls)

    async def close(self) -> None:
        await self._docket.__aexit__(None, None, None)


def worker() -> None:
    import uvloop

    uvloop.run(_work())


async def _work() -> None:
    tuned = TOLD.variant == "tuned"
    settings = {}
    if tuned:  # a full worker sleeps the check interval: the default caps it at 4 x concurrency a second
        settings = {
            "minimum_check_interval": timedelta(milliseconds=10),
            "scheduling_resolution": timedelta(milliseconds=20),
        }
    async with _docket() as docket:
        for function in FUNCTIONS.values():
            docket.register(function)
        at_once = TOLD.jobs_at_once(200 if tuned else 10)
        async with Worker(docket, name=f"w{os.getpid()}", concurrency=at_once, **settings) as running:
            await running.run_forever()


def _docket() -> Docket:
    return Docket(name="bench", url=f"{TOLD.url}?max_connections=1000", execution_ttl=timedelta(0))

"""Huey."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from huey import RedisHuey

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told

huey = RedisHuey("bench", url=told().url, results=False, blocking=True)


@huey.task(name="noop")
def noop(number: int, payload: str | None = None) -> None:
    records.start(number)


@huey.task(name="sleep1")
def sleep1(number: int, payload: str | None = None) -> None:
    records.start(number)
    time.sleep(1)
    records.end(number)


FUNCTIONS = {"noop": noop, "sleep1": sleep1}


class Client:
    def open(self) -> None:
        huey.storage.conn.ping()

    def one(self, number: int) -> None:
        noop(number)

    def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        task = FUNCTIONS[function]
        extra = () if payload is None else (payload,)
        for number, due in items:
            if due is None:
                task(number, *extra)
            else:
                task.schedule((number, *extra), eta=datetime.fromtimestamp(due))  # noqa: DTZ006 it takes local times

    def close(self) -> None:
        huey.storage.close()

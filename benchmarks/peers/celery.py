"""Celery."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from celery import Celery, group

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told

TOLD = told()

app = Celery("bench", broker=TOLD.url)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=64 if TOLD.case in ("drain", "pending") else 4,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    task_store_errors_even_if_ignored=False,
)


@app.task(name="noop")
def noop(number: int, payload: str | None = None) -> None:
    records.start(number)


@app.task(name="sleep1")
def sleep1(number: int, payload: str | None = None) -> None:
    records.start(number)
    time.sleep(1)
    records.end(number)


FUNCTIONS = {"noop": noop, "sleep1": sleep1}


class Client:
    def open(self) -> None:
        app.connection_for_write().ensure_connection()

    def one(self, number: int) -> None:
        noop.apply_async((number,))

    def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        task = FUNCTIONS[function]
        extra = () if payload is None else (payload,)
        if items[0][1] is None:
            group([task.s(number, *extra) for number, _due in items]).apply_async()
            return
        with app.producer_pool.acquire(block=True) as producer:
            for number, due in items:
                assert due is not None
                task.apply_async((number, *extra), eta=datetime.fromtimestamp(due, UTC), producer=producer)

    def close(self) -> None:
        app.close()

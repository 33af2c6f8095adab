"""RQ."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import redis
from rq import Queue

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told


def noop(number: int, payload: str | None = None) -> None:
    records.start(number)


def sleep1(number: int, payload: str | None = None) -> None:
    records.start(number)
    time.sleep(1)
    records.end(number)


class Client:
    def open(self) -> None:
        self._redis = redis.Redis(host="127.0.0.1", port=told().port)
        self._queue = Queue("default", connection=self._redis)

    def one(self, number: int) -> None:
        self._queue.enqueue(f"{__name__}.noop", number, result_ttl=0)

    def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        queue, name = self._queue, f"{__name__}.{function}"
        extra = () if payload is None else (payload,)
        if items[0][1] is None:
            queue.enqueue_many([queue.prepare_data(name, (number, *extra), result_ttl=0) for number, _due in items])
            return
        for number, due in items:
            assert due is not None
            queue.enqueue_at(datetime.fromtimestamp(due, UTC), name, number, *extra, result_ttl=0)

    def close(self) -> None:
        self._redis.close()

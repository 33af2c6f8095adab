"""Dramatiq."""

from __future__ import annotations

import time
from collections.abc import Sequence

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told

broker = RedisBroker(url=told().url)
broker.middleware = [one for one in broker.middleware if type(one).__name__ != "Prometheus"]
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="noop")
def noop(number: int, payload: str | None = None) -> None:
    records.start(number)


@dramatiq.actor(actor_name="sleep1")
def sleep1(number: int, payload: str | None = None) -> None:
    records.start(number)
    time.sleep(1)
    records.end(number)


FUNCTIONS = {"noop": noop, "sleep1": sleep1}


class Client:
    def open(self) -> None:
        broker.client.ping()

    def one(self, number: int) -> None:
        noop.send(number)

    def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        actor = FUNCTIONS[function]
        extra = () if payload is None else (payload,)
        if items[0][1] is None:
            dramatiq.group([actor.message(number, *extra) for number, _due in items]).run()
            return
        for number, due in items:
            assert due is not None
            delay_ms = max(0, int((due - time.time()) * 1000 + 0.999))
            actor.send_with_options(args=(number, *extra), delay=delay_ms)

    def close(self) -> None:
        broker.close()

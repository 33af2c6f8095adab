"""The client's side of a case, run in the environment of the system: one operation, its figures as a line of JSON.

    python -m benchmarks.client SYSTEM one|burst|bulk|crowd|fill|paced|delayed [options]

Only the standard library and the adapter are imported.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks import records
from benchmarks.adapter import Client, Item, awaited

Figures = dict[str, Any]

AT_ONCE = 50
"""Concurrent calls of a burst."""

WARM = 20
"""Jobs that a worker has run before a case with a clock begins."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("system")
    parser.add_argument("operation", choices=sorted(OPERATIONS))
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first job")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--chunk", type=int, default=1_000)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--function", default="noop")
    parser.add_argument("--payload", type=int, default=0, help="bytes to pass along")
    parser.add_argument("--due-in", type=float, default=0.0)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--lead", type=float, default=6.0)
    parser.add_argument("--uvloop", action="store_true")
    return parser.parse_args()


async def one(client: Client, asked: argparse.Namespace) -> Figures:
    """One job after the other, each awaited."""
    call: Callable[[int], Any] = client.one
    waits = inspect.iscoroutinefunction(call)
    await awaited(call(records.WARM_UP))
    number, began = 0, time.perf_counter()
    if waits:
        while time.perf_counter() - began < asked.seconds:
            await call(number)
            number += 1
    else:
        while time.perf_counter() - began < asked.seconds:
            call(number)
            number += 1
    return _rate(number, began)


async def burst(client: Any, asked: argparse.Namespace) -> Figures:
    """Single calls, so many at once, again and again."""
    await client.burst(range(records.WARM_UP, records.WARM_UP + AT_ONCE))
    number, began = 0, time.perf_counter()
    while time.perf_counter() - began < asked.seconds:
        await client.burst(range(number, number + AT_ONCE))
        number += AT_ONCE
    return _rate(number, began)


async def bulk(client: Client, asked: argparse.Namespace) -> Figures:
    """The best call for many, again and again."""
    await awaited(client.many([(records.WARM_UP, None)], "noop", None))
    number, began = 0, time.perf_counter()
    while time.perf_counter() - began < asked.seconds:
        await awaited(client.many([(number + place, None) for place in range(asked.chunk)], "noop", None))
        number += asked.chunk
    return _rate(number, began)


async def crowd(client: Client, asked: argparse.Namespace) -> Figures:
    """So many clients of their own, each one job after the other."""
    others = [type(client)() for _ in range(asked.clients)]
    for other in others:
        await awaited(other.open())
    began = time.perf_counter()
    done = await asyncio.gather(*[one(other, asked) for other in others])
    figures = _rate(sum(each["jobs"] for each in done), began)
    for other in others:
        await awaited(other.close())
    return figures


async def fill(client: Client, asked: argparse.Namespace) -> Figures:
    """So many jobs, for now or for one to two times `due_in` seconds from now; `seconds` cuts it off, 0 never."""
    chance, payload = random.Random(1), "x" * asked.payload or None
    now, number, began = time.time(), 0, time.perf_counter()
    while number < asked.jobs and not (asked.seconds and time.perf_counter() - began > asked.seconds):
        size = min(asked.chunk, asked.jobs - number)
        items: list[Item] = [
            (asked.first + number + place, now + asked.due_in * (1 + chance.random()) if asked.due_in else None)
            for place in range(size)
        ]
        await awaited(client.many(items, asked.function, payload))
        number += size
    return _rate(number, began)


async def paced(client: Client, asked: argparse.Namespace) -> Figures:
    """Jobs at a steady rate to an idle worker; the unix time before each call."""
    await _warm(client)
    times: list[float] = []
    first_at = time.time() + 0.2
    for number in range(int(asked.rate * asked.seconds)):
        wait_s = first_at + number / asked.rate - time.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        times.append(time.time())
        await awaited(client.one(number))
    return {"jobs": len(times), "times": times}


async def delayed(client: Client, asked: argparse.Namespace) -> Figures:
    """Jobs due evenly over `seconds`, scheduled in a shuffled order before the first of them is due."""
    await _warm(client)
    first_at = time.time() + asked.lead
    due = [first_at + asked.seconds * (number + 0.5) / asked.jobs for number in range(asked.jobs)]
    order = list(range(asked.jobs))
    random.Random(7).shuffle(order)
    began = time.perf_counter()
    for place in range(0, asked.jobs, asked.chunk):
        await awaited(client.many([(n, due[n]) for n in order[place : place + asked.chunk]], "noop", None))
    took_s = time.perf_counter() - began
    return {"jobs": asked.jobs, "due": due, "enqueue_s": took_s, "late_enqueue": time.time() > first_at}


OPERATIONS: dict[str, Callable[[Any, argparse.Namespace], Awaitable[Figures]]] = {
    "one": one, "burst": burst, "bulk": bulk, "crowd": crowd, "fill": fill, "paced": paced, "delayed": delayed,
}  # fmt: skip


async def _warm(client: Client) -> None:
    """Have a few jobs run, so that the worker is up.

    Raises:
        SystemExit: It is not, after a minute.
    """
    for number in range(WARM):
        await awaited(client.one(records.WARM_UP + number))
    path, deadline = Path(os.environ[records.VARIABLE]), time.monotonic() + 60
    while sum(record.number >= records.WARM_UP for record in records.read(path)) < WARM:
        if time.monotonic() > deadline:
            raise SystemExit("the worker did not come up")
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)


def _rate(jobs: int, began: float) -> Figures:
    seconds = time.perf_counter() - began
    return {"jobs": jobs, "seconds": seconds, "rate": jobs / seconds}


async def run(asked: argparse.Namespace) -> Figures:
    client: Client = importlib.import_module(f"benchmarks.peers.{asked.system}").Client()
    await awaited(client.open())
    before = time.process_time()
    figures = await OPERATIONS[asked.operation](client, asked)
    figures["client_cpu_s"] = time.process_time() - before
    await awaited(client.close())
    return figures


def main() -> None:
    asked = options()
    if asked.uvloop:
        import uvloop

        figures = uvloop.run(run(asked))
    else:
        figures = asyncio.run(run(asked))
    sys.stdout.write(f"\nJSON:{json.dumps(figures)}\n")


if __name__ == "__main__":
    main()

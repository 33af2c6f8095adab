"""No queue: loops by hand that bound what Python can reach with redis-py and hiredis in this harness.

Variants:
    pipe: XREADGROUP of 500, each job inline, then one pipeline of XACK and XDEL.
    lua: one EVALSHA a batch of 500, which acks and deletes the last batch and reads the next.
    task: as lua, under uvloop, with an asyncio task a job.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Sequence
from typing import Any

import redis

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told

TOLD = told()
STREAM, GROUP = "raw:s", "g"
BATCH = 500
MOST_TASKS = 1_000

NEXT = """
if #ARGV > 3 then
  local ids = {}
  for i = 4, #ARGV do ids[#ids + 1] = ARGV[i] end
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ids))
  redis.call('XDEL', KEYS[1], unpack(ids))
end
local r = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')
if not r then return {} end
local out = {}
for i, e in ipairs(r[1][2]) do out[2*i-1] = e[1]; out[2*i] = e[2][2] end
return out
"""


class Client:
    def open(self) -> None:
        self._redis = redis.Redis(host="127.0.0.1", port=TOLD.port)
        _group(self._redis)

    def one(self, number: int) -> None:
        self._redis.xadd(STREAM, {"d": json.dumps(["noop", number])})

    def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        extra = [] if payload is None else [payload]
        with self._redis.pipeline(transaction=False) as pipe:
            for number, _due in items:
                pipe.xadd(STREAM, {"d": json.dumps([function, number, *extra])})
            pipe.execute()

    def close(self) -> None:
        self._redis.close()


def noop(number: int, payload: str | None = None) -> None:
    records.start(number)


async def noop_async(number: int, payload: str | None = None) -> None:
    records.start(number)


FUNCTIONS = {"noop": noop}


def worker() -> None:
    name = str(os.getpid())
    if TOLD.variant == "task":
        import uvloop

        uvloop.run(_task(name))
        return
    client = redis.Redis(host="127.0.0.1", port=TOLD.port)
    _group(client)
    (_pipe if TOLD.variant == "pipe" else _lua)(client, name)


def _pipe(client: redis.Redis, name: str) -> None:
    while True:
        found: Any = client.xreadgroup(GROUP, name, {STREAM: ">"}, count=BATCH, block=2_000)
        if not found:
            continue
        ids = []
        for entry_id, fields in found[0][1]:
            function, *args = json.loads(fields[b"d"])
            FUNCTIONS[function](*args)
            ids.append(entry_id)
        with client.pipeline(transaction=False) as pipe:
            for entry_id in ids:
                pipe.xack(STREAM, GROUP, entry_id)
                pipe.xdel(STREAM, entry_id)
            pipe.execute()


def _lua(client: redis.Redis, name: str) -> None:
    sha = client.script_load(NEXT)
    ids: list[bytes] = []
    while True:
        found = client.evalsha(sha, 1, STREAM, GROUP, name, BATCH, *ids)
        ids = []
        if not found:
            time.sleep(0.001)
            continue
        for place in range(0, len(found), 2):
            function, *args = json.loads(found[place + 1])
            FUNCTIONS[function](*args)
            ids.append(found[place])


async def _task(name: str) -> None:
    import redis.asyncio as aredis

    client = aredis.Redis(host="127.0.0.1", port=TOLD.port)
    with contextlib.suppress(redis.ResponseError):  # there is one
        await client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    sha = await client.script_load(NEXT)
    done: list[bytes] = []
    running: set[asyncio.Task[None]] = set()

    async def run(entry_id: bytes, data: bytes) -> None:
        _, *args = json.loads(data)
        await noop_async(*args)
        done.append(entry_id)

    while True:
        ids, done[:] = list(done), []
        found = await client.evalsha(sha, 1, STREAM, GROUP, name, BATCH, *ids)
        if not found and not done:
            await asyncio.sleep(0.001)
        for place in range(0, len(found), 2):
            task = asyncio.create_task(run(found[place], found[place + 1]))
            running.add(task)
            task.add_done_callback(running.discard)
        while len(running) > MOST_TASKS:
            await asyncio.sleep(0)


def _group(client: redis.Redis) -> None:
    with contextlib.suppress(redis.ResponseError):  # there is one
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)

"""Somebody who can write to Redis, and has no key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from scheduler import values
from scheduler.keys import Keys
from scheduler.spec import Spec

Change = Callable[[list[Any]], None]

QUEUE, NAME, KIND, PARENT, KEY, BODY, COVER = range(3, 10)
"""The places of the fields of a spec."""


class Forger:
    """Alters what waits in the ready stream of an app, as it stands there."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client: Any = client
        self._keys = Keys(namespace)

    def alter(self, job_id: str, change: Change) -> None:
        """Change the spec of a job that is ready, in its entry and in its key."""
        spec = values.unpack(self.spec_of(job_id))
        change(spec)
        self.put(job_id, values.pack(spec, "spec"))

    def put(self, job_id: str, spec: bytes, queue: str = "default") -> None:
        """Put another spec in the place of a job's own; its delivery stays the one that counts."""
        stream = self._keys.ready("default")
        entry, fields = next(row for row in self._client.xrange(stream) if row[1][b"job"] == job_id.encode())
        self._client.xdel(stream, entry)
        self._client.xadd(self._keys.ready(queue), {**fields, b"spec": spec})
        self._client.set(self._keys.job(job_id), spec)

    def hurry(self, job_id: str) -> None:
        """Make a job due that is to run much later."""
        self._client.zadd(self._keys.due("default"), {job_id: 1})
        self._client.rpush(self._keys.wake, "1")

    def spec_of(self, job_id: str) -> bytes:
        spec: bytes = self._client.get(self._keys.job(job_id))
        return spec

    def read(self, job_id: str) -> Spec:
        return Spec.unpack(self.spec_of(job_id))

    def due_ms(self, job_id: str) -> float | None:
        """When a job is due, None where it is not waiting for that."""
        score: float | None = self._client.zscore(self._keys.due("default"), job_id)
        return score

    def refused(self, name: str) -> int:
        """How many jobs of a function were refused."""
        return int(self._client.hget(self._keys.stats(name), "refused") or 0)

"""The claimer: reads as many deliveries as there are free places, with one blocking read for all queues."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from scheduler.errors import InvalidValue
from scheduler.keys import GROUP
from scheduler.refusals import CONNECTION_LOST, ServerError
from scheduler.spec import Spec
from scheduler.store import AsyncStore
from scheduler.transitions import Delivery
from worker.delivery import Held
from worker.persistence import Persistence

BLOCK_S = 10.0
"""How long one read waits for work, in seconds."""

_ATTEMPT_DIGITS = 15
_FAKE_POLL_S = 0.01
_GROUP_GONE = ("NOGROUP", "UNBLOCKED", "no longer exists")
_log = logging.getLogger("duestream.claimer")


class Claimer:
    """Reads the ready streams of some queues as one consumer of their group.

    Args:
        store: For everything but the blocking read.
        persistence: Fetches what was claimed already, however long Redis is away.
        reader: A store with one connection of its own.
        release: Makes the server end the blocking read; for when it is doubtful whether it still has one.
        announce: Makes the worker known again; for when what the server held is gone.
        queues: In the order they are read.
        name: The consumer's.
    """

    def __init__(
        self,
        store: AsyncStore,
        persistence: Persistence,
        reader: AsyncStore,
        queues: tuple[str, ...],
        name: str,
        release: Callable[[], Awaitable[None]] | None = None,
        announce: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._persistence = persistence
        self._reader = reader
        self._queues = {store.keys.ready(queue).encode(): queue for queue in queues}
        self._name = name
        self._release = release
        self._announce = announce

    async def step(self, free: int, block: bool = True) -> list[Held]:
        """One read: at most `free` deliveries (a few more with several queues, for the count is each stream's).

        Raises:
            Unavailable: Redis does not answer. What it may have handed over is redelivered when the lease is over.
        """
        count = max(1, free // len(self._queues))
        wait = ("BLOCK", int(BLOCK_S * 1000)) if block and not self._reader.fake else ()
        try:
            reply = await self._reader.execute(
                "XREADGROUP", "GROUP", GROUP, self._name, "COUNT", count, *wait,
                "STREAMS", *self._queues, *(">" for _ in self._queues), nudge=self._release,
            )  # fmt: skip
        except ServerError as error:
            await self._mend(error)
            return []
        except CONNECTION_LOST as error:
            self._reader.sort(error)
        if not reply:
            if block and self._reader.fake:
                await asyncio.sleep(_FAKE_POLL_S)
            return []
        held = [self._hold(self._queues[stream], *entry) for stream, entries in reply for entry in entries]
        await self._fetch_large([one for one in held if one.spec is None and not one.problem])
        return held

    def _hold(self, queue: str, entry: bytes, pairs: Any) -> Held:
        found = dict(zip(pairs[::2], pairs[1::2], strict=True)) if pairs else {}
        job_id, token, attempt = found.get(b"job", b""), found.get(b"token", b""), found.get(b"attempt", b"")
        delivery = Delivery(
            job_id.decode("utf-8", "replace"),
            queue,
            entry.decode(),
            token.decode("utf-8", "replace"),
            int(attempt) if attempt.isdigit() and len(attempt) <= _ATTEMPT_DIGITS else 1,
        )
        return _with_spec(Held(delivery, None, poison=found.get(b"poison")), found.get(b"spec"))

    async def _fetch_large(self, held: list[Held]) -> None:
        """Specs too large for the entry, in one call."""
        if held:
            keys = [self._store.keys.job(one.delivery.job_id) for one in held]
            for one, spec in zip(held, await self._persistence.command("MGET", *keys), strict=True):
                _with_spec(one, spec or b"")

    async def _mend(self, error: Exception) -> None:
        """A group or stream that was deleted under the reader is made again.

        Raises:
            Unavailable: Redis cannot serve now.
            ServerError: It refused the read for another reason.
        """
        if not any(word in str(error) for word in _GROUP_GONE):
            self._reader.sort(error)
        for stream in self._queues:
            try:
                await self._store.execute("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM")
                _log.warning("made the consumer group of %s again", stream.decode())
            except (*CONNECTION_LOST, ServerError) as again:
                if "BUSYGROUP" not in str(again):
                    self._store.sort(again)
        if self._announce is not None:
            # A stream goes with all other keys more often than alone, and others then know no function by its name.
            await self._announce()


def _with_spec(held: Held, data: bytes | None) -> Held:
    """Read the spec where it is at hand; a damaged one is a problem of this job alone."""
    if data is not None:
        try:
            held.spec = Spec.unpack(data)
        except InvalidValue as error:
            held.problem = str(error)
    return held

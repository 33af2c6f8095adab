"""The beginner: acks actions, and says which of them may start (C3.5, C7.2)."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from scheduler import transitions
from scheduler.admission import admit_worker
from scheduler.backoff import jittered_ms
from scheduler.durability import Safety
from scheduler.leases import lost_after_ms
from scheduler.script_call import Transition, Word
from scheduler.store import AsyncStore
from scheduler.transitions import Delivery
from worker.persistence import Persistence
from worker.settings import WorkerSettings

_LATER_MS = (500, 5_000)
"""When an action comes again that was given back: soon, then later, in ms."""

_log = logging.getLogger("duestream.beginner")


class Beginner:
    """Begins actions of one worker.

    Args:
        store: Where.
        persistence: Sends each call until it is answered.
        settings: How the worker runs.
        safety: How safe an ack must be before the first line runs.
    """

    def __init__(self, store: AsyncStore, persistence: Persistence, settings: WorkerSettings, safety: Safety) -> None:
        self._store = store
        self._persistence = persistence
        self._settings = settings
        self._safety = safety
        self._proof = safety.proof(settings.replica_wait_ms)
        self._doubts = 0

    async def open(self) -> None:
        """Look whether the server gives the safety that is asked for, however long it is away.

        Raises:
            ConfigurationError: It does not, or it is none that workers can use.
        """
        wait_ms, prefix = self._settings.replica_wait_ms, self._store.keys.prefix
        proven = await self._persistence.until_answered(
            lambda: self._store.drive(admit_worker(prefix, self._safety, wait_ms))
        )
        self._proof = self._safety.proof(wait_ms) if proven else None

    async def begin(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """Ack actions; returns of each whether it may start, and is this worker's to end.

        The proof is taken with each ack and on its connection: servers are restarted, promoted and configured anew
        behind an address, without a word. Where it fails, all are given back before one has started.
        """
        words, doubt = await self._acknowledge(deliveries)
        begun = [word is not Word.LOST for word in words]
        if doubt and any(begun):
            await self._give_back([one for one, mine in zip(deliveries, begun, strict=True) if mine], doubt)
            return [False] * len(deliveries)
        if not doubt:
            self._trust()
        return begun

    async def _acknowledge(self, deliveries: Sequence[Delivery]) -> tuple[list[Word], str]:
        """`begin`, again if its answer is old: this process may have been paused, and what it began has expired since.

        The code of an action that is `failed` in the books does not run.

        Returns:
            The words of `begin`, and what doubt there is about their safety.
        """
        lease_ms = lost_after_ms(self._settings.lease_ms)
        begin = transitions.begin(deliveries, self._settings.name, lease_ms)
        while True:
            sent = time.monotonic()
            words, doubt = await self._begin(begin)
            if (time.monotonic() - sent) * 1000 < lease_ms:
                return words, doubt

    async def _begin(self, begin: Transition[list[Word]]) -> tuple[list[Word], str]:
        proof, wait_s = self._proof, self._settings.replica_wait_ms / 1000
        if proof is None:
            return await self._persistence.run(begin), ""
        words, reply = await self._persistence.until_answered(lambda: self._store.run_then(begin, proof, wait_s))
        return words, self._safety.doubt(reply)

    async def _give_back(self, deliveries: list[Delivery], doubt: str) -> None:
        if not self._doubts:
            _log.error(
                "durability %s is not given: %s; actions go back and are tried again until it is",
                self._safety.durability, doubt,
            )  # fmt: skip
        self._doubts += 1
        delay_ms = 100 + jittered_ms(self._doubts, *_LATER_MS)
        await self._persistence.run(transitions.revert(deliveries, self._settings.name, delay_ms))

    def _trust(self) -> None:
        if self._doubts:
            _log.warning("durability %s is given again", self._safety.durability)
        self._doubts = 0

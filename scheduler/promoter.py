"""The promoter: moves due jobs to their ready streams, one process at a time by lease, woken and never polling fast."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from scheduler import transitions
from scheduler.backoff import Outage
from scheduler.contact import PULSE_S
from scheduler.ending import end
from scheduler.errors import Unavailable
from scheduler.leases import DEFAULT_LEASE_MS
from scheduler.refusals import CONNECTION_LOST, ServerError
from scheduler.store import AsyncStore
from scheduler.transitions import Lead

LEASE_MS = 4_000
"""How long a promoter that died holds the others up at most; they ask again when it is over."""

LISTEN_S = 10.0
"""How long one blocking read waits for a token, in seconds."""

BATCH = 100
"""Jobs a call: about 1 ms of the server, so nobody waits long behind it."""

_log = logging.getLogger("duestream.promoter")


class Promoter:
    """Runs beside every worker; all but one wait.

    Args:
        store: Runs the script.
        listener: A store with a connection of its own, for blocking reads of up to `LISTEN_S`.
        name: Unlike any other's.
        outage: Told when Redis is away and back.
        lease_ms: The lease of the workers' jobs; the promoter's own is shorter, for the janitor sits beside it.
        observe: Told Redis time with each answer, in epoch ms, and the monotonic seconds at which it was asked.
    """

    def __init__(
        self,
        store: AsyncStore,
        listener: AsyncStore,
        name: str,
        outage: Outage,
        lease_ms: int = DEFAULT_LEASE_MS,
        observe: Callable[[int, float], None] = lambda *_: None,
    ) -> None:
        self._store = store
        self._listener = listener
        self._outage = outage
        self._lease_ms = min(LEASE_MS, lease_ms * 2 // 5)
        self._rest_s = self._lease_ms / 2_000
        self._observe = observe
        self._woken = False
        self._damaged: tuple[str, ...] = ()
        self._listening: asyncio.Task[bool | None] | None = None
        self._listens_to = ""
        self.name = name
        self.leads = False

    async def step(self) -> Lead:
        """One call of the script: what it moved, and when the next job is due."""
        asked = time.monotonic()
        lead = await self._store.run(transitions.promote(self.name, self._lease_ms, BATCH))
        self._observe(lead.now_ms, asked)
        if lead.leads and not self.leads:
            _log.info("leads promoter=%s", self.name)
        self.leads = lead.leads
        if lead.damaged and lead.damaged != self._damaged:
            _log.error("a key of the wrong type: nothing moves in queues=%s", ",".join(lead.damaged))
        self._damaged = lead.damaged
        return lead

    async def run(self) -> None:
        """Promote until cancelled."""
        try:
            while True:
                try:
                    lead = await self.step()
                    if self._woken and not lead.leads:
                        await self._give_token_back()
                except Unavailable as error:
                    self.leads = False
                    await self._outage.wait(error)
                    continue
                self._outage.over()
                self._woken = await (self._sleep(lead) if lead.leads else self._follow(lead))
        finally:
            self.leads = False
            if self._listening is not None:
                await end(self._listening)

    async def _sleep(self, lead: Lead) -> bool:
        """Until the next job is due, an earlier one is scheduled, or the lease wants renewal; whether a token came."""
        left_s = self._rest_s if lead.next_due_s is None else min(self._rest_s, lead.next_due_s)
        if self._listening is not None and self._listens_to != self._store.keys.wake:
            await end(self._listening)  # it leads already; a token that is lost here was for nobody else
            self._listening = None
        return await self._hear(self._store.keys.wake, left_s)

    async def _follow(self, lead: Lead) -> bool:
        """Until the leader's lease is over or it has left; whether a token came that was for the leader."""
        wake, key = self._store.keys.wake, self._store.keys.succession
        if self._listening is not None and self._listens_to == wake:
            key = wake  # from when it led; not ended, for a token may be on its way
        return await self._hear(key, max(0.01, lead.lease_left_ms / 1000)) and key == wake

    async def _hear(self, key: str, left_s: float) -> bool:
        """Listen to a key for `left_s` seconds at most; whether a token came.

        Less where a read ends, for with its connection a token may have been lost, and where nothing was heard from
        Redis for long: then the next step is the sign of life.
        """
        if self._listening is None:
            self._listening, self._listens_to = asyncio.create_task(self._listen(key, LISTEN_S)), key
        deadline = time.monotonic() + left_s
        while (left_s := min(deadline - time.monotonic(), PULSE_S - self._store.contact.quiet_s())) > 0:
            await asyncio.wait([self._listening], timeout=left_s)
            if self._listening.done():
                woken, self._listening = self._listening.result(), None
                return bool(woken)
        return False

    async def _give_token_back(self) -> None:
        """It was meant for whoever leads now."""
        await self._store.command("RPUSH", self._store.keys.wake, "1")

    async def _listen(self, key: str, block_s: float) -> bool | None:
        """Whether a token came within `block_s`; None if the connection was lost, which is not hurried."""
        started = time.monotonic()
        try:
            return await self._listener.execute("BLPOP", key, block_s) is not None
        except (*CONNECTION_LOST, ServerError):
            await asyncio.sleep(max(0.0, min(1.0, block_s) - (time.monotonic() - started)))
            return None

"""Interruptions: deliveries whose end does not wait for their handler: lost, past their time limit, or given back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from scheduler.transitions import Retry
from worker.committer import Committer
from worker.delivery import Held, Interruption
from worker.ended import Interrupted
from worker.flow import Flow
from worker.lease import Lease
from worker.outcome import Again, Next, Nothing, after_action, after_mutation, give_back
from worker.places import Places

_END_S = 0.05
"""How long a handler may take to end after a stop has cancelled it; then its job goes on without it."""

_ANSWER_S = 3.0
"""How long a stop waits at most, beyond the time of grace, until Redis has answered for what is still held."""

_log = logging.getLogger("duestream.worker")


class Interruptions:
    """Ends deliveries from outside.

    Args:
        lease: What is held.
        committer: Gives back.
        places: What does not run.
        flow: Goes on with them.
    """

    def __init__(self, lease: Lease, committer: Committer, places: Places, flow: Flow) -> None:
        self._lease = lease
        self._committer = committer
        self._places = places
        self._flow = flow

    def lose(self, gone: Sequence[Held]) -> None:
        """The janitor took these away, or somebody canceled them. Told twice, a handler has swallowed its cancel."""
        places = self._places
        for held in gone:
            timer = places.again.pop(held, None)
            if timer is not None:
                timer.cancel()
                self._flow.drop(held)
            elif held in places.waiting:
                places.waiting.remove(held)
                self._flow.drop(held)
            elif places.lanes.is_waiting(held):
                self._flow.drop(held)
            elif held.entered and held.interruption is Interruption.LEASE_LOST:
                self._abandon(held, Nothing())
            elif held.begun or not held.is_action:
                held.interrupt(Interruption.LEASE_LOST)

    def end_overdue(self, overdue: Sequence[Held]) -> None:
        """The books end at the time limit, whatever the handler does (C3.2)."""
        for held in overdue:
            if not held.entered or held.interruption is not Interruption.TIME_LIMIT:
                continue  # it has ended meanwhile
            if held.function is not None and held.function.transaction is not None:
                held.interrupt(Interruption.TIME_LIMIT)  # the row for its failure is in its own open transaction
            else:
                self._end(held, Interruption.TIME_LIMIT)

    def give_back(self) -> None:
        """Mutations go back at once, whatever their handlers do about it, and so does all that has not begun."""
        places = self._places
        for held, timer in list(places.again.items()):
            timer.cancel()
            self._flow.follow(held, Again(0))
        places.again.clear()
        for held in places.lanes.dissolve():
            self._committer.retry(held, give_back(held, 0))
        while places.waiting:
            held = places.waiting.popleft()
            self._committer.retry(held, Retry(held.delivery, held.attempt - 1, 0))
        for held in self._lease.held():
            if not held.is_action:
                held.interrupt(Interruption.STOP)
        asyncio.get_running_loop().call_later(_END_S, self._abandon_stopped)

    async def stop(self, grace_s: float) -> None:
        """Give back what there is, and let actions run for a while; then all is answered, as far as Redis does."""
        self.give_back()
        actions = sum(held.begun for held in self._lease.held())
        if actions:
            _log.info("stopping: actions=%d run on, for up to %g s", actions, grace_s)
        await self._until_ended(grace_s)
        for held in self._lease.held():
            if held.begun:
                held.interrupt(Interruption.STOP)
        await self._until_ended(_END_S)
        self._abandon_stopped()
        await self._until_ended(_ANSWER_S)

    async def _until_ended(self, most_s: float) -> None:
        deadline = time.monotonic() + most_s
        while len(self._lease) > 0 and (left_s := deadline - time.monotonic()) > 0:
            self._places.room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._places.room.wait()

    def _abandon_stopped(self) -> None:
        """Those whose handlers go on although a stop has cancelled them."""
        for held in self._lease.held():
            if held.entered and held.interruption is Interruption.STOP:
                self._end(held, Interruption.STOP)

    def _end(self, held: Held, reason: Interruption) -> None:
        ended = Interrupted(reason)
        self._abandon(
            held, after_action(held, ended) if held.begun else after_mutation(held, ended, held.transaction, ())
        )

    def _abandon(self, held: Held, follows: Next) -> None:
        """Go on without a handler, as without one in a thread: what it still does is nobody's.

        Its task keeps the old object, so that it cannot touch what becomes of the delivery.
        """
        held.abandoned = True
        if held.transaction is not None:
            held.transaction.close()
        self._flow.free(held)
        rest = replace(held, abandoned=False, task=None, entered_at=None, transaction=None)
        self._lease.swap(held, rest)
        self._flow.follow(rest, follows)

"""The flow of deliveries through a worker: from the claim to a handler, and from its end to the record."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import assert_never

from scheduler.app import App
from scheduler.clock import RedisClock
from scheduler.job import JobError, JobState
from scheduler.script_call import Word
from scheduler.transitions import Commit, Finish, Retry
from worker.beginner import Beginner
from worker.committer import Committer
from worker.delivery import Held
from worker.gate import Gate
from worker.handlers import Handlers
from worker.joblog import log_answer, log_retry
from worker.lease import Lease
from worker.outcome import Again, InTurn, Next, Nothing, after_conflict, after_stale, after_transient, give_back
from worker.pace import Pace
from worker.places import Places

_log = logging.getLogger("duestream.worker")

_MOST_IN_LANES = 1_000
"""So many may wait for their turn before they take the place of others."""


@dataclass(frozen=True, slots=True)
class Stations:
    """What a delivery passes, in this order.

    Attributes:
        lease: Renews it as long as it is here.
        gate: Lets it in, or not.
        places: Where it is while no handler runs it.
        beginner: Acks it, if it is an action.
        handlers: Run it.
        committer: Has it recorded.
    """

    lease: Lease
    gate: Gate
    places: Places
    beginner: Beginner
    handlers: Handlers
    committer: Committer


class Flow:
    """Takes each delivery from station to station.

    Args:
        app: Whose functions run.
        concurrency: Handlers at once.
        clock: Redis time.
        stations: What there is to pass.
        stopping: Set when nothing is to be started any more.
    """

    def __init__(
        self, app: App, concurrency: int, clock: RedisClock, stations: Stations, stopping: asyncio.Event
    ) -> None:
        self._app = app
        self._concurrency = concurrency
        self._clock = clock
        self._stopping = stopping
        self._lease = stations.lease
        self._gate = stations.gate
        self._beginner = stations.beginner
        self._handlers = stations.handlers
        self._committer = stations.committer
        places = stations.places
        self._waiting, self._again, self._lanes, self._room = places.waiting, places.again, places.lanes, places.room
        self._running = 0
        self._pace = Pace(concurrency)

    def free_places(self) -> int:
        """How many more deliveries may be claimed; none where it is 0 or less.

        Ended handlers whose commit is on the wire leave room for others, up to as many again. So do those that wait for
        their turn: that costs nothing, and jobs that want other documents go on. What will be started at once is
        claimed ahead.
        """
        held, ahead = len(self._lease) - min(len(self._lanes), _MOST_IN_LANES), self._pace.ahead()
        return ahead + min(self._concurrency - self._running - len(self._waiting), 2 * self._concurrency - held)

    # From the claim to the handler

    def take(self, claimed: list[Held]) -> None:
        """Take what was claimed, and start what there is room for."""
        if claimed:
            # No handler sees a time before its job was due.
            self._clock.advance(claimed[-1].delivery.entry_ms)
        for held in self._lease.add(claimed):
            if not held.delivery.job_id:
                _log.error("a foreign entry in queue %s: %s", held.delivery.queue, held.delivery.entry)
                self.drop(held)  # the janitor removes it when the lease is over
                continue
            turned_away = self._gate.admit(held)
            if turned_away is not None:
                self._committer.retry(held, turned_away)
                continue
            held.function = self._app.functions.get(held.name) if held.refusal is None else None
            self._waiting.append(held)
        self._admit()

    def _admit(self) -> None:
        """Start what waits, as far as there is room: claims from several queues and conflicts may bring more."""
        actions = []
        while self._waiting and self._running < self._concurrency and not self._stopping.is_set():
            held = self._waiting.popleft()
            self._running += 1
            if held.is_action:
                actions.append(held)
            else:
                self._start(held)
        if actions:
            beginning = asyncio.create_task(self._begin(actions))
            for held in actions:
                held.task = beginning

    async def _begin(self, actions: list[Held]) -> None:
        """Ack, and only then run (C3.5)."""
        try:
            begun = await self._beginner.begin([held.delivery for held in actions])
        except Exception:  # noqa: BLE001  a bug of ours must not stop the others
            _log.exception("not begun: %d actions come back when the lease is over", len(actions))
            begun = [False] * len(actions)
        for held, may_start in zip(actions, begun, strict=True):
            if may_start:
                held.begun = True
                self._start(held)
            else:
                self._running -= 1
                self.drop(held)

    def _start(self, held: Held) -> None:
        held.started, held.entered = time.monotonic(), False
        held.transaction = None
        held.task = asyncio.create_task(self._work(held))

    async def _work(self, held: Held) -> None:
        try:
            follows: Next = await self._handlers.run(held)
        except Exception:  # noqa: BLE001  a bug of ours must not stop the others
            _log.exception("job_id=%s function=%s: not run to its end", held.delivery.job_id, held.name)
            follows = Nothing()  # the lease runs out, and the delivery comes back or the action fails
        if not held.abandoned:
            self._running -= 1
            self._pace.ended()
            self.follow(held, follows)

    # From the handler to the record

    def follow(self, held: Held, follows: Next) -> None:
        """Bring to Redis what follows from how a handler ended, or start it again."""
        match follows:
            case Commit(state=state, value=value) | Finish(state=state, value=value):
                held.failure = JobError.unpack(value) if state == JobState.FAILED else None
                if isinstance(follows, Commit):
                    if follows.written_ms is None:
                        follows = follows._replace(written_ms=self._clock.now_ms())
                    self._committer.commit(held, follows)
                else:
                    self._committer.finish(held, follows)
            case Retry():
                held.failure = None
                log_retry(held, follows)
                self._committer.retry(held, follows)
            case InTurn(delay_ms) if not self._stopping.is_set():
                if self._lanes.join(held):
                    self._restart_after(delay_ms, held)
            case Again(delay_ms) if not self._stopping.is_set():
                self._leave_lane(held)
                self._restart_after(delay_ms, held)
            case Again() | InTurn():
                self._committer.retry(held, give_back(held, 0))
            case Nothing():
                self.drop(held)
            case _:
                assert_never(follows)
        self._make_room()

    def _restart_after(self, delay_ms: int, held: Held) -> None:
        if delay_ms:
            self._again[held] = asyncio.get_running_loop().call_later(delay_ms / 1000, self._restart, held)
        else:
            self._restart(held)

    def _leave_lane(self, held: Held) -> None:
        following = self._lanes.leave(held)
        if following is None:
            return
        if self._stopping.is_set():
            self._committer.retry(following, give_back(following, 0))
        else:
            self._restart(following)

    def _restart(self, held: Held) -> None:
        self._again.pop(held, None)
        held.interruption = None
        self._waiting.append(held)
        self._admit()

    def answered(self, held: Held, word: Word) -> None:
        """Go on with a delivery by what Redis has answered for it."""
        log_answer(held, word)
        if word is Word.CONFLICT:
            held.conflicts += 1
            self.follow(held, after_conflict(held))
        elif word is Word.STALE:
            held.stale += 1
            self.follow(held, after_stale(held))
        elif word is Word.SEALED:
            self.follow(held, after_transient(held))
        else:
            self.drop(held)

    def drop(self, held: Held) -> None:
        """Let go of a delivery that is another's, or has its answer."""
        self._lease.remove(held)
        self._leave_lane(held)
        self._make_room()

    def free(self, held: Held) -> None:
        """Its handler is not waited for any more."""
        self._leave_lane(held)
        self._running -= 1

    def _make_room(self) -> None:
        self._admit()
        self._room.set()

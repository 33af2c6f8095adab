"""The runtime of one worker: wires the rooms, starts and stops them in order, and holds no rule of the queue."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import assert_never

from scheduler import transitions
from scheduler.app import App
from scheduler.backoff import Outage
from scheduler.catalog import IndexCatalog
from scheduler.clock import RedisClock
from scheduler.ending import end
from scheduler.errors import Unavailable
from scheduler.ids import JobIds
from scheduler.indexer import Indexer
from scheduler.janitor import Janitor
from scheduler.job import JobError, JobState
from scheduler.keyring import Keyring, cipher_of
from scheduler.keys import Keys
from scheduler.operations import Producer
from scheduler.promoter import LEASE_MS, Promoter
from scheduler.store import AsyncStore
from scheduler.transitions import Commit, Finish, Retry, Word
from worker.claimer import BLOCK_S, Claimer
from worker.committer import Committer
from worker.connections import Connections
from worker.delivery import Held, Interruption
from worker.executor import Executor, Interrupted, not_runnable
from worker.gate import Gate
from worker.host import WorkerHost
from worker.inbox import Inbox
from worker.joblog import log_answer, log_retry
from worker.keeping import Keeping
from worker.lanes import Lanes
from worker.lease import Lease, Reports
from worker.outcome import (
    Again,
    InTurn,
    Next,
    Nothing,
    after_action,
    after_conflict,
    after_mutation,
    after_stale,
    after_transient,
    give_back,
)
from worker.parting import Parting
from worker.persistence import Persistence
from worker.presence import Presence
from worker.pruner import Pruner
from worker.settings import WorkerSettings

_log = logging.getLogger("duestream.worker")

_MOST_IN_LANES = 1_000
"""So many may wait for their turn before they take the place of others."""

_ANSWER_S = 3.0
"""How long a stop waits at most, beyond the time of grace, until Redis has answered for what is still held."""

_END_S = 0.05
"""How long a handler may take to end after a stop has cancelled it; then its job goes on without it."""


class Worker:
    """One worker process.

    Args:
        app: Whose functions it runs.
        connections: Where it runs them.
        settings: How it runs.
    """

    def __init__(self, app: App, connections: Connections, settings: WorkerSettings | None = None) -> None:
        self._app = app
        self._settings = settings or WorkerSettings()
        self._connections = connections
        keys = Keys(app.namespace)
        name = self._settings.name
        clock = RedisClock()
        self._outage = Outage()
        self._store = AsyncStore(keys, connections.commands)
        contact = self._store.contact
        self._persistence = Persistence(self._store, self._outage)
        self._promoter = Promoter(
            self._store,
            AsyncStore(keys, connections.listener, block_s=LEASE_MS / 1000, contact=contact),
            name,
            self._outage,
            self._settings.lease_ms,
            lambda now_ms, asked: self._janitor.observe(now_ms, asked),
        )
        self._janitor = Janitor(
            self._store,
            lease_ms=self._settings.lease_ms,
            max_deliveries=self._settings.max_deliveries,
            leads=lambda: self._promoter.leads,
            outage=self._outage,
        )
        reader_id = connections.reader_id
        catalog = IndexCatalog(app.indexes)
        self._presence = Presence(self._persistence, app, self._settings, name, clock, reader_id, catalog)
        self._indexer = Indexer(self._store, catalog, self._presence.declare, self._outage)
        self._claimer = Claimer(
            self._store,
            self._persistence,
            AsyncStore(keys, connections.reader, block_s=BLOCK_S, contact=contact),
            self._settings.queues,
            name,
            lambda: connections.release_reader(self._store),
        )
        keyring = Keyring.of(app)
        self._gate = Gate(keyring, clock, self._count_refused)
        self._committer = Committer(self._persistence, name, self._presence.declare, cipher_of(keyring), self._answered)
        self._executor = Executor(self._settings.concurrency, app.limits.result_bytes)
        producer = Producer(app, JobIds(clock.now_ms), clock, keyring=keyring)
        self._host = WorkerHost(
            self._store, producer, self._executor, self._persistence, catalog, self._presence.declare
        )
        self._inbox = Inbox(app, self._host, self._executor, self._persistence)
        self._pruner = Pruner(app, self._store, clock, lambda: self._promoter.leads, self._outage)
        self._lease = Lease(
            connections.lease_store(keys),
            self._settings,
            clock,
            Reports(self._lost, self._overdue),
            self.patience_s,
            reader_id,
            Keeping(connections.url, app.namespace, self._settings, self.patience_s) if self._settings.keeper else None,
        )
        self._parting = Parting(connections, self._store, self._lease, self._presence)
        self._has_run = False
        self._running = 0
        self._waiting: deque[Held] = deque()
        self._lanes = Lanes()
        self._again: dict[Held, asyncio.TimerHandle] = {}
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._stopping = asyncio.Event()
        self.started = asyncio.Event()
        """Set when it works."""

    def stop(self) -> None:
        """Ask for a graceful stop: no more claims, mutations given back, actions allowed to finish."""
        self._stopping.set()

    def patience_s(self) -> float:
        """How long handlers may block this process before it is of no use: longer than any may run, by a lease."""
        limits = [function.timeout_s for function in list(self._app.functions.values())]
        return max(limits, default=0.0) + self._settings.lease_ms / 1000

    async def run(self) -> None:
        """Work until `stop` is called, or with `burst` until nothing is due."""
        settings = self._settings
        if self._has_run:
            raise RuntimeError("a Worker runs once: its connections are closed; make another")
        self._has_run = True
        self._lease.start()
        if not await self._join():
            return
        self.started.set()
        _log.info(
            "started worker=%s app=%s queues=%s concurrency=%d functions=%d",
            settings.name, self._app.namespace, ",".join(settings.queues), settings.concurrency,
            len(self._app.functions),
        )  # fmt: skip
        rooms = [self._keep("presence", self._presence.run), self._keep("indexer", self._indexer.run)]
        rooms.append(self._keep("contact", lambda: self._store.contact.watch(lambda: self._store.command("PING"))))
        if settings.promote:
            rooms += [self._keep("promoter", self._promoter.run), self._keep("janitor", self._janitor.run)]
            rooms += [self._keep("pruner", self._pruner.run)] if self._pruner.needed else []
        background = [asyncio.create_task(room) for room in rooms]
        claiming = asyncio.create_task(self._keep("claimer", self._claim))
        try:
            await self._until_stopped(claiming)
            await self._finish_all()
        finally:
            await end(claiming, *background)
            await self._gate.close()
            self._executor.close()
            await self._parting.leave()
            _log.info("stopped worker=%s", settings.name)

    async def _join(self) -> bool:
        """Announce the worker, however long Redis is away; False if a stop was asked for meanwhile."""
        await self._connections.open_reader()
        joining = asyncio.create_task(self._presence.join())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([joining, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not joining.done():
            joining.cancel()
            self._executor.close()
            await self._parting.close()
            return False
        try:
            joining.result()
        except BaseException:
            self._executor.close()
            await self._parting.close()
            raise
        return True

    async def _until_stopped(self, claiming: asyncio.Task[None]) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([claiming, stopping], return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        self._room.set()
        self._give_back()
        asyncio.get_running_loop().call_later(_END_S, self._abandon_stopped)
        await self._parting.release_reader(claiming)

    async def _keep(self, room: str, run: Callable[[], Awaitable[None]]) -> None:
        """A room that fails for a reason nobody foresaw is told of and started again: a worker does not die of it."""
        while True:
            try:
                await run()
            except Exception:  # noqa: BLE001  the edge of a loop
                _log.exception("the %s failed, and is started again", room)
                await asyncio.sleep(1)
            else:
                return

    # From the claim to the handler

    async def _claim(self) -> None:
        concurrency, quiet = self._settings.concurrency, 0
        while not self._stopping.is_set():
            # Ended handlers whose commit is on the wire leave room for others, up to as many again. So do those that
            # wait for their turn: that costs nothing, and jobs that want other documents go on.
            held = len(self._lease) - min(len(self._lanes), _MOST_IN_LANES)
            free = min(concurrency - self._running - len(self._waiting), 2 * concurrency - held)
            if free <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            try:
                claimed = await self._claimer.step(free, block=not self._settings.burst)
            except Unavailable as error:
                await self._outage.wait(error)
                continue
            self._outage.over()
            self._take(claimed)
            # Twice, for what was promoted between the claim and the look at the due sets.
            quiet = quiet + 1 if self._settings.burst and not claimed and await self._exhausted() else 0
            if quiet == 2:
                return

    async def _exhausted(self) -> bool:
        """With `burst`: whether nothing is due and nothing runs."""
        if len(self._lease) > 0:
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._room.wait()
            return False
        lead = await self._promoter.step() if self._settings.promote else None
        if lead is not None and lead.leads:
            return lead.moved == 0 and (lead.next_due_ms is None or lead.next_due_ms > lead.now_ms)
        now_ms = self._host.producer.clock.now_ms()
        due = [await self._store.command("ZCOUNT", self._store.keys.due(queue), "-inf", now_ms)
               for queue in self._settings.queues]  # fmt: skip
        await asyncio.sleep(0.05 if any(due) else 0)
        return not any(due)

    def _take(self, claimed: list[Held]) -> None:
        for held in self._lease.add(claimed):
            if not held.delivery.job_id:
                _log.error("a foreign entry in queue %s: %s", held.delivery.queue, held.delivery.entry)
                self._drop(held)  # the janitor removes it when the lease is over
                continue
            turned_away = self._gate.admit(held)
            if turned_away is not None:
                self._committer.retry(held, turned_away)
                continue
            held.function = self._app.functions.get(held.name) if held.refusal is None else None
            self._waiting.append(held)
        self._admit()

    async def _count_refused(self, name: str) -> None:
        await self._persistence.command("HINCRBY", self._store.keys.stats(name), "refused", 1)

    def _admit(self) -> None:
        """Start what waits, as far as there is room: claims from several queues and conflicts may bring more."""
        actions = []
        while self._waiting and self._running < self._settings.concurrency and not self._stopping.is_set():
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
            words = await self._acknowledge(actions)
        except Exception:  # noqa: BLE001  a bug of ours must not stop the others
            _log.exception("not begun: %d actions come back when the lease is over", len(actions))
            words = [Word.LOST] * len(actions)
        for held, word in zip(actions, words, strict=True):
            if word is Word.LOST:
                self._running -= 1
                self._drop(held)
            else:
                held.begun = True
                self._start(held)

    async def _acknowledge(self, actions: list[Held]) -> list[Word]:
        """`begin`, again if its answer is old: this process may have been paused, and what it began has expired since.

        The code of an action that is `failed` in the books does not run.
        """
        lease_ms = self._settings.lease_ms * 3 // 4
        transition = transitions.begin([held.delivery for held in actions], self._settings.name, lease_ms)
        while True:
            sent = time.monotonic()
            words = await self._persistence.run(transition)
            if (time.monotonic() - sent) * 1000 < lease_ms:
                return words

    def _start(self, held: Held) -> None:
        held.started, held.entered = time.monotonic(), False
        held.transaction = None
        held.task = asyncio.create_task(self._work(held))

    async def _work(self, held: Held) -> None:
        try:
            follows: Next = await (self._run_action(held) if held.begun else self._run_mutation(held))
        except Exception:  # noqa: BLE001  a bug of ours must not stop the others
            _log.exception("job_id=%s function=%s: not run to its end", held.delivery.job_id, held.name)
            follows = Nothing()  # the lease runs out, and the delivery comes back or the action fails
        if not held.abandoned:
            self._running -= 1
            self._follow(held, follows)

    def _abandon(self, held: Held, follows: Next) -> None:
        """Go on without a handler that swallows its cancel, as without one in a thread: what it still does is nobody's.

        Its task keeps the old object, so that it cannot touch what becomes of the delivery.
        """
        held.abandoned = True
        self._leave_lane(held)
        if held.transaction is not None:
            held.transaction.close()
        self._running -= 1
        rest = replace(held, abandoned=False, task=None, entered_at=None, transaction=None)
        self._lease.swap(held, rest)
        self._follow(rest, follows)

    async def _run_action(self, held: Held) -> Next:
        assert held.function is not None
        ended = not_runnable(held) or await self._executor.run_action(held, held.function, self._host)
        return after_action(held, ended)

    async def _run_mutation(self, held: Held) -> Next:
        if held.function is not None and held.function.transaction is not None:
            return await self._inbox.run(held)
        problem = not_runnable(held)
        if problem is not None:
            return after_mutation(held, problem, None, ())
        assert held.function is not None
        transaction = held.transaction = self._host.transaction()
        ended = await self._executor.run_mutation(held, held.function, self._host, transaction)
        transient: tuple[type[Exception], ...] = (ConnectionError, *self._app.transient, *held.function.transient)
        held.contended = transaction.contended
        if transaction.conflicted and held.interruption is None:
            held.conflicts += 1
        return after_mutation(held, ended, transaction, transient)

    # From the handler to the record

    def _follow(self, held: Held, follows: Next) -> None:
        match follows:
            case Commit(state=state, value=value) | Finish(state=state, value=value):
                held.failure = JobError.unpack(value) if state == JobState.FAILED else None
                if isinstance(follows, Commit):
                    self._committer.commit(held, follows)
                else:
                    self._committer.finish(held, follows)
            case Retry(delay_ms=delay_ms):
                held.failure = None
                log_retry(held, delay_ms)
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
                self._drop(held)
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

    def _answered(self, held: Held, word: Word) -> None:
        log_answer(held, word)
        if word is Word.CONFLICT:
            held.conflicts += 1
            self._follow(held, after_conflict(held))
        elif word is Word.STALE:
            held.stale += 1
            self._follow(held, after_stale(held))
        elif word is Word.SEALED:
            self._follow(held, after_transient(held))
        else:
            self._drop(held)

    def _drop(self, held: Held) -> None:
        self._lease.remove(held)
        self._leave_lane(held)
        self._make_room()

    def _make_room(self) -> None:
        self._admit()
        self._room.set()

    def _lost(self, gone: list[Held]) -> None:
        """The janitor took these away, or somebody canceled them."""
        for held in gone:
            timer = self._again.pop(held, None)
            if timer is not None or held in self._waiting:
                if timer is not None:
                    timer.cancel()
                else:
                    self._waiting.remove(held)
                self._drop(held)
            elif self._lanes.is_waiting(held):
                self._drop(held)
            elif held.entered and held.interruption is Interruption.LEASE_LOST:
                self._abandon(held, Nothing())
            elif held.begun or not held.is_action:
                held.interrupt(Interruption.LEASE_LOST)

    def _overdue(self, overdue: list[Held]) -> None:
        """The books end at the time limit, whatever the handler does (C3.2)."""
        for held in overdue:
            if held.entered and held.interruption is Interruption.TIME_LIMIT:
                self._end_interrupted(held, Interruption.TIME_LIMIT)

    def _end_interrupted(self, held: Held, reason: Interruption) -> None:
        if held.function is not None and held.function.transaction is not None and reason is Interruption.TIME_LIMIT:
            held.interrupt(reason)  # its failure belongs into a row, which its own open transaction holds
        elif held.begun:
            self._abandon(held, after_action(held, Interrupted(reason)))
        else:
            self._abandon(held, after_mutation(held, Interrupted(reason), held.transaction, ()))

    # The stop

    def _give_back(self) -> None:
        """Mutations go back at once, and so do actions that have not begun."""
        for held, timer in list(self._again.items()):
            timer.cancel()
            self._follow(held, Again(0))
        self._again.clear()
        for held in self._lanes.dissolve():
            self._committer.retry(held, give_back(held, 0))
        while self._waiting:
            held = self._waiting.popleft()
            self._committer.retry(held, Retry(held.delivery, held.attempt - 1, 0))
        for held in self._lease.held():
            if not held.is_action:
                held.interrupt(Interruption.STOP)

    def _abandon_stopped(self) -> None:
        for held in self._lease.held():
            if held.entered and held.interruption is Interruption.STOP:
                self._end_interrupted(held, Interruption.STOP)

    async def _finish_all(self) -> None:
        """Actions get the time of grace; then all is answered, as far as Redis does."""
        self._give_back()  # what the last claim has brought
        actions = sum(held.begun for held in self._lease.held())
        if actions:
            _log.info("stopping: actions=%d run on, for up to %g s", actions, self._settings.grace_s)
        await self._until_ended(time.monotonic() + self._settings.grace_s)
        for held in self._lease.held():
            if held.begun:
                held.interrupt(Interruption.STOP)
        await self._until_ended(time.monotonic() + _END_S)
        self._abandon_stopped()
        await self._until_ended(time.monotonic() + _ANSWER_S)

    async def _until_ended(self, deadline: float) -> None:
        """Until nothing is held, or the monotonic time `deadline`."""
        while len(self._lease) > 0 and (left := deadline - time.monotonic()) > 0:
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._room.wait()

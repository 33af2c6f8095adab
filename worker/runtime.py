"""The runtime of one worker: wires the rooms, starts and stops them in order, and holds no rule of the queue."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import assert_never

from scheduler.app import App
from scheduler.backoff import Outage
from scheduler.catalog import IndexCatalog
from scheduler.clock import RedisClock
from scheduler.effects import Effects
from scheduler.ending import end
from scheduler.errors import Unavailable
from scheduler.ids import JobIds
from scheduler.indexer import Indexer
from scheduler.job import JobError, JobState
from scheduler.keyring import Keyring, cipher_of
from scheduler.keys import Keys
from scheduler.operations import Producer
from scheduler.promoter import LEASE_MS
from scheduler.store import AsyncStore
from scheduler.transaction import Transaction
from scheduler.transitions import Commit, Finish, Retry, Word
from worker.beginner import Beginner
from worker.burst import Burst
from worker.claimer import BLOCK_S, Claimer
from worker.committer import Committer
from worker.connections import Connections
from worker.delivery import Held
from worker.executor import Executor, not_runnable
from worker.gate import Gate
from worker.host import WorkerHost
from worker.housekeeping import Housekeeping
from worker.inbox import Inbox
from worker.interruptions import Interruptions, Places
from worker.isolation import Isolation
from worker.joblog import log_answer, log_retry
from worker.keeping import Keeping
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
    transient_of,
)
from worker.parting import Parting
from worker.persistence import Persistence
from worker.presence import Presence
from worker.rooms import keep
from worker.settings import WorkerSettings

_log = logging.getLogger("duestream.worker")

_MOST_IN_LANES = 1_000
"""So many may wait for their turn before they take the place of others."""


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
        self._clock = clock = RedisClock()
        self._outage = Outage()
        self._store = AsyncStore(keys, connections.commands)
        contact = self._store.contact
        self._persistence = Persistence(self._store, self._outage)
        listener = AsyncStore(keys, connections.listener, block_s=LEASE_MS / 1000, contact=contact)
        self._housekeeping = Housekeeping(app, self._store, listener, self._settings, clock, self._outage)
        reader_id = connections.reader_id
        catalog = IndexCatalog(app.indexes)
        self._presence = Presence(self._persistence, app, self._settings, name, clock, reader_id, catalog)
        self._indexer = Indexer(self._store, catalog, self._presence.declare, self._outage)
        reader = AsyncStore(keys, connections.reader, block_s=BLOCK_S, contact=contact)
        self._claimer = Claimer(
            self._store, self._persistence, reader, self._settings.queues, name,
            lambda: connections.release_reader(self._store),
            self._presence.join,
        )  # fmt: skip
        self._beginner = Beginner(self._store, self._persistence, self._settings, self._settings.safety(app))
        keyring = Keyring.of(app)
        self._gate = Gate(keyring, clock, self._count_refused)
        self._committer = Committer(
            self._persistence, name, self._presence.declare, cipher_of(keyring), self._answered,
            self._settings.max_deliveries,
        )  # fmt: skip
        self._isolation = Isolation(app, self._store, clock, catalog)
        self._executor = Executor(self._settings.concurrency, app.limits.result_bytes, self._isolation)
        producer = Producer(app, JobIds(clock.now_ms), clock, keyring=keyring)
        self._host = WorkerHost(
            self._store, producer, self._executor, self._persistence, catalog, self._presence.declare
        )
        self._inbox = Inbox(app, self._host, self._executor, self._persistence)
        self._lease = Lease(
            connections.lease_store(keys),
            self._settings,
            clock,
            Reports(lambda gone: self._interruptions.lose(gone), lambda late: self._interruptions.end_overdue(late)),
            self.patience_s,
            reader_id,
            Keeping(connections.url, app.namespace, self._settings, self.patience_s) if self._settings.keeper else None,
        )
        self._burst = Burst(self._store, self._housekeeping.promoter, self._settings.queues, clock)
        self._parting = Parting(connections, self._store, self._lease, self._presence, self._isolation)
        self._has_run = False
        self._running = 0
        places = Places()
        self._waiting, self._again, self._lanes, self._room = places.waiting, places.again, places.lanes, places.room
        self._interruptions = Interruptions(self._lease, self._committer, places, self)
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
        if not await self._join():
            return
        self.started.set()
        _log.info(
            "started worker=%s app=%s queues=%s concurrency=%d functions=%d",
            settings.name, self._app.namespace, ",".join(settings.queues), settings.concurrency,
            len(self._app.functions),
        )  # fmt: skip
        rooms = [keep("presence", self._presence.run), keep("indexer", self._indexer.run)]
        rooms.append(keep("contact", lambda: self._store.contact.watch(lambda: self._store.command("PING"))))
        background = [asyncio.create_task(room) for room in [*rooms, *self._housekeeping.rooms()]]
        claiming = asyncio.create_task(keep("claimer", self._claim))
        try:
            await self._until_stopped(claiming)
            await self._interruptions.stop(settings.grace_s)
        finally:
            await end(claiming, *background)
            await self._gate.close()
            self._executor.close()
            await self._parting.leave()
            _log.info("stopped worker=%s", settings.name)

    async def _join(self) -> bool:
        """Announce the worker, however long Redis is away; False if a stop was asked for meanwhile."""
        await self._connections.open_reader()
        joining = asyncio.create_task(self._announce())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([joining, stopping], return_when=asyncio.FIRST_COMPLETED)
            if joining.done():
                joining.result()
                return True
            return False
        finally:
            joined = joining.done() and not joining.cancelled() and joining.exception() is None
            await end(joining, stopping)
            if not joined:
                self._executor.close()
                await self._parting.close()

    async def _announce(self) -> None:
        await self._beginner.open()
        await self._isolation.check()
        self._lease.start()  # a heartbeat, too
        await self._presence.arrive()

    async def _until_stopped(self, claiming: asyncio.Task[None]) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([claiming, stopping], return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        self._room.set()
        self._interruptions.give_back()
        await self._parting.release_reader(claiming)

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
            looks = self._settings.burst and not claimed
            quiet = quiet + 1 if looks and await self._burst.exhausted(len(self._lease), self._room) else 0
            if quiet == 2:
                return

    def _take(self, claimed: list[Held]) -> None:
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
            follows: Next = await (self._run_action(held) if held.begun else self._run_mutation(held))
        except Exception:  # noqa: BLE001  a bug of ours must not stop the others
            _log.exception("job_id=%s function=%s: not run to its end", held.delivery.job_id, held.name)
            follows = Nothing()  # the lease runs out, and the delivery comes back or the action fails
        if not held.abandoned:
            self._running -= 1
            self.follow(held, follows)

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
        transaction: Transaction | Effects
        if held.function.isolate:
            ended, transaction = await self._executor.run_isolated(held, held.function)
        else:
            transaction = held.transaction = self._host.transaction()
            ended = await self._executor.run_mutation(held, held.function, self._host, held.transaction)
        held.contended = transaction.contended
        if transaction.conflicted and held.interruption is None:
            held.conflicts += 1
        return after_mutation(held, ended, transaction, transient_of(self._app, held.function))

    # From the handler to the record

    def follow(self, held: Held, follows: Next) -> None:
        """Bring to Redis what follows from how a handler ended, or start it again."""
        match follows:
            case Commit(state=state, value=value) | Finish(state=state, value=value):
                held.failure = JobError.unpack(value) if state == JobState.FAILED else None
                if isinstance(follows, Commit):
                    now_ms = self._host.producer.clock.now_ms()
                    self._committer.commit(held, follows._replace(written_ms=now_ms))
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

    def _answered(self, held: Held, word: Word) -> None:
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

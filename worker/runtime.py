"""The runtime of one worker: wires the rooms, starts and stops them in order, and holds no rule of the queue."""

from __future__ import annotations

import asyncio
import logging

from scheduler.app import App
from scheduler.backoff import Outage
from scheduler.catalog import IndexCatalog
from scheduler.clock import RedisClock
from scheduler.ending import end
from scheduler.errors import Unavailable
from scheduler.ids import JobIds
from scheduler.indexer import Indexer
from scheduler.keyring import Keyring, cipher_of
from scheduler.keys import Keys
from scheduler.operations import Producer
from scheduler.promoter import LISTEN_S
from scheduler.store import AsyncStore
from worker.beginner import Beginner
from worker.burst import Burst
from worker.claimer import BLOCK_S, Claimer
from worker.committer import Committer
from worker.connections import Connections
from worker.executor import Executor
from worker.flow import Flow, Stations
from worker.gate import Gate
from worker.handlers import Handlers
from worker.host import WorkerHost
from worker.housekeeping import Housekeeping
from worker.inbox import Inbox
from worker.interruptions import Interruptions
from worker.isolation import Isolation
from worker.keeping import Keeping
from worker.lease import Lease, Reports
from worker.parting import Parting
from worker.persistence import Persistence
from worker.places import Places
from worker.presence import Presence
from worker.rooms import keep
from worker.settings import WorkerSettings

_log = logging.getLogger("duestream.worker")


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
        keyring = Keyring.of(app)  # first, for it may refuse, and nothing is open yet
        self._has_run = False
        self._stopping = asyncio.Event()
        self.started = asyncio.Event()
        """Set when it works."""
        self._keys = Keys(app.namespace)
        self._clock = RedisClock()
        self._outage = Outage()
        self._catalog = IndexCatalog(app.indexes)
        self._store = AsyncStore(self._keys, connections.commands)
        self._persistence = Persistence(self._store, self._outage)
        listener = connections.listener_store(self._store, LISTEN_S)
        self._housekeeping = Housekeeping(app, self._store, listener, self._settings, self._clock, self._outage)
        self._presence = Presence(
            self._persistence, app, self._settings, self._clock, connections.reader_id, self._catalog
        )
        self._indexer = Indexer(self._store, self._catalog, self._presence.declare, self._outage)
        self._claimer = self._make_claimer()
        self._burst = Burst(self._store, self._housekeeping.promoter, self._settings.queues, self._clock)
        self._isolation = Isolation(app, self._store, self._clock, self._catalog)
        self._executor = Executor(self._settings.concurrency, app.limits.result_bytes, self._isolation)
        self._lease = self._make_lease()
        stations = self._make_stations(keyring)
        self._gate, self._beginner, self._room = stations.gate, stations.beginner, stations.places.room
        self._flow = Flow(app, self._settings.concurrency, self._clock, stations, self._stopping)
        self._interruptions = Interruptions(self._lease, stations.committer, stations.places, self._flow)
        self._parting = Parting(connections, self._store, self._lease, self._presence, self._isolation)

    def _make_claimer(self) -> Claimer:
        return Claimer(
            self._store,
            self._persistence,
            self._connections.reader_store(self._store, BLOCK_S),
            self._settings.queues,
            self._settings.name,
            lambda: self._connections.release_reader(self._store),
            self._presence.join,
        )

    def _make_lease(self) -> Lease:
        keeping = None
        if self._settings.keeper:
            keeping = Keeping(self._connections.url, self._app.namespace, self._settings, self.patience_s)
        return Lease(
            self._connections.lease_store(self._keys),
            self._settings,
            self._clock,
            Reports(
                lambda gone: self._interruptions.lose(gone),
                lambda late: self._interruptions.end_overdue(late),
                self._store.contact.hear,
            ),
            self.patience_s,
            self._connections.reader_id,
            keeping,
        )

    def _make_stations(self, keyring: Keyring | None) -> Stations:
        app, settings, persistence = self._app, self._settings, self._persistence
        producer = Producer(app, JobIds(self._clock.now_ms), self._clock, keyring=keyring)
        host = WorkerHost(self._store, producer, self._executor, persistence, self._catalog, self._presence.declare)
        return Stations(
            lease=self._lease,
            gate=Gate(keyring, self._clock, self._count_refused),
            places=Places(),
            beginner=Beginner(self._store, persistence, settings, settings.safety(app)),
            handlers=Handlers(app, self._executor, host, Inbox(app, host, self._executor, persistence)),
            committer=Committer(
                persistence, settings.name, self._presence.declare, cipher_of(keyring),
                lambda held, word: self._flow.answered(held, word), settings.max_deliveries,
            ),
        )  # fmt: skip

    async def _count_refused(self, name: str) -> None:
        await self._persistence.command("HINCRBY", self._keys.stats(name), "refused", 1)

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
        self._executor.belong_to_this_task()
        if not await self._join():
            return
        self.started.set()
        _log.info(
            "started worker=%s app=%s queues=%s concurrency=%d functions=%d",
            settings.name, self._app.namespace, ",".join(settings.queues), settings.concurrency,
            len(self._app.functions),
        )  # fmt: skip
        rooms = [keep("presence", self._presence.run), keep("indexer", self._indexer.run)]
        rooms.append(keep("contact", lambda: self._store.contact.watch(self._store.pulse)))
        background = [asyncio.create_task(room) for room in [*rooms, *self._housekeeping.rooms()]]
        claiming = asyncio.create_task(keep("claimer", self._claim))
        try:
            await self._until_stopped(claiming)
            await self._interruptions.stop(settings.grace_s)
        finally:
            torn = self._is_torn()
            await end(claiming, *background)
            await self._gate.close()
            self._executor.close()
            # What was in hand counts a death and does not go back: it may take worker after worker down (C3.4).
            await (self._parting.close() if torn or self._is_torn() else self._parting.leave())
            _log.info("stopped worker=%s", settings.name)

    def _is_torn(self) -> bool:
        """Whether handlers were cancelled together with this worker, by none of its own."""
        return self._executor.torn or any(held.torn for held in self._lease.held())

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

    async def _claim(self) -> None:
        quiet = 0
        while not self._stopping.is_set():
            free = self._flow.free_places()
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
            self._flow.take(claimed)
            # Twice, for what was promoted between the claim and the look at the due sets.
            looks = self._settings.burst and not claimed
            quiet = quiet + 1 if looks and await self._burst.exhausted(len(self._lease), self._room) else 0
            if quiet == 2:
                return

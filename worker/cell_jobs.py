"""The inside of a cell: runs the handlers of functions with `isolate=True`, one at a time.

It imports the app anew, and runs each job with the rooms of the worker: the executor, the contexts and the transaction
are here; Redis, the commit and the decision of what follows are in the worker, at the other end of the line.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import faulthandler
import io
import logging
import os
import signal
import sys
import threading
import time
from typing import cast

from scheduler import values, versions
from scheduler.app import App
from scheduler.backoff import Outage
from scheduler.catalog import IndexCatalog
from scheduler.clock import RedisClock
from scheduler.effects import Effects
from scheduler.errors import ConfigurationError, Unavailable
from scheduler.function import AnyFunction, Kind
from scheduler.ids import JobIds
from scheduler.keyring import Keyring
from scheduler.operations import Producer
from scheduler.spec import Spec
from scheduler.transaction import Transaction
from scheduler.transitions import Delivery
from worker import address, relay
from worker.address import Address
from worker.cell_store import CellStore
from worker.delivery import Held
from worker.ended import Ended, Raised, Returned
from worker.errand import Ending, Errand
from worker.executor import Executor
from worker.frames import Frame, Say
from worker.guard import end_group
from worker.host import WorkerHost
from worker.line import Line
from worker.outcome import describe, transient_of
from worker.persistence import Persistence

_PR_SET_PDEATHSIG = 1
_LEAVE_S = 2.0
"""How long it may take to end once the worker has hung up: threads that a handler has left running do not keep it."""


class Cell:
    """Runs jobs until the worker hangs up.

    Args:
        app: Whose functions.
        line: The line to the worker.
    """

    def __init__(self, app: App, line: Line) -> None:
        self._app = app
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._store = CellStore(line)
        self._clock = RedisClock()
        self._catalog = IndexCatalog(app.indexes)
        self._executor = Executor(1, app.limits.result_bytes)
        producer = Producer(app, JobIds(self._clock.now_ms), self._clock, keyring=Keyring.of(app))
        persistence = Persistence(self._store, Outage())
        self._host = WorkerHost(self._store, producer, self._executor, persistence, self._catalog, self._refresh)
        self._over = asyncio.Event()
        self._busy = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Work until the line ends."""
        threading.Thread(target=self._listen, name="duestream-line", daemon=True).start()
        await self._over.wait()
        self._executor.close()

    def _listen(self) -> None:
        # A thread of its own: a handler may block the event loop, and the end of the worker is heard all the same.
        while (frame := self._line.hear()) is not None:
            self._busy = self._busy or frame[0] is Say.JOB
            self._loop.call_soon_threadsafe(self._hear, *frame)
        if self._busy:
            end_group()
        ending = threading.Timer(_LEAVE_S, end_group)
        ending.daemon = True
        ending.start()
        self._loop.call_soon_threadsafe(self._over.set)

    def _hear(self, word: Say, rest: Frame) -> None:
        if word is Say.JOB:
            task = asyncio.create_task(self._work(Errand.of(rest)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._store.hear(word, *rest)

    async def _work(self, errand: Errand) -> None:
        self._clock.observe(errand.now_ms, time.monotonic())
        self._catalog.learn(errand.catalog)
        self._line.say(Say.ENTERED)
        ending = await self._run(errand)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more, or the handler has closed it
                stream.flush()
        self._busy = False
        self._line.say(Say.ENDED, *ending)

    async def _run(self, errand: Errand) -> Ending:
        function = self._app.functions[errand.name]
        held, transaction = _held(errand, function), self._host.transaction()
        if function.kind is Kind.MUTATION:
            ended = await self._executor.run_mutation(held, function, self._host, transaction)
        else:
            ended = await self._executor.run_action(held, function, self._host)
        try:
            return self._ending(function, ended, transaction)
        except Exception as error:  # noqa: BLE001  a document that was changed into one that no index can hold, say
            return self._ending(function, Raised(error), transaction)

    def _ending(self, function: AnyFunction, ended: Ended, transaction: Transaction) -> Ending:
        effects = transaction.effects if isinstance(ended, Returned) else Effects(
            reads=transaction.reads, scans=transaction.scans
        )  # fmt: skip
        packed = effects._replace(conflicted=transaction.conflicted, contended=transaction.contended).pack()
        match ended:
            case Returned(value):
                return Ending("returned", value, transient=False, outage=False, effects=packed)
            case Raised(error):
                passes = isinstance(error, transient_of(self._app, function))
                return Ending("raised", describe(error).pack(), passes, isinstance(error, Unavailable), packed)
        return Ending("conflicted", b"", transient=False, outage=False, effects=packed)

    async def _refresh(self) -> None:
        self._catalog.learn(await self._store.run(versions.declare(self._catalog.declared)))


def _held(errand: Errand, function: AnyFunction) -> Held:
    spec = Spec(
        0, 0, "", errand.name, function.kind.value, "", "", values.unpack(errand.args), values.unpack(errand.kwargs)
    )
    return Held(Delivery(errand.job_id, "", "", "", errand.attempt), spec, function=function)


def serve(descriptor: int) -> None:
    """Import the app that the worker names, and run its jobs until the line ends."""
    line = Line(descriptor)
    hello = line.hear()
    if hello is None:
        return
    path, parent, place, namespace, names, levels = hello[1]
    _die_with(parent)
    _prepare(line, path, levels)
    try:
        module, name, registering = place
        app = address.load(Address(module, name, tuple(registering)))
        address.check(app, namespace, names)
    except ConfigurationError as error:
        line.say(Say.UNUSABLE, str(error))
        return
    line.say(Say.READY)
    asyncio.run(_serve(app, line))


async def _serve(app: App, line: Line) -> None:
    await Cell(app, line).serve()


def _prepare(line: Line, path: list[str], levels: dict[str, int]) -> None:
    sys.path[:] = path
    faulthandler.enable(all_threads=False)  # where a segfault was, on standard error
    cast("io.TextIOWrapper", sys.stdout).reconfigure(line_buffering=True)  # what was printed before a crash is out
    relay.install(relay.Relay(lambda record: line.say(Say.LOG, record)), levels)
    os.register_at_fork(after_in_child=lambda: logging.basicConfig(force=True))


def _die_with(parent: int) -> None:
    """Be killed when the worker dies: Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)

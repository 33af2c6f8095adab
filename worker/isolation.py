"""Isolation: runs the jobs of functions with `isolate=True` in cells, and says how each ended."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from scheduler import scripts, values
from scheduler.app import App
from scheduler.catalog import IndexCatalog
from scheduler.clock import RedisClock
from scheduler.effects import Effects
from scheduler.errors import ConfigurationError
from scheduler.function import AnyFunction
from scheduler.job import JobError
from scheduler.refusals import Refused
from scheduler.runner import AsyncRunner
from scheduler.script_call import Transition
from scheduler.transaction import Conflict
from worker import frames
from worker.address import address_of
from worker.cells import IDLE_S, Cell, CellDied, Cells, CellUnavailable
from worker.delivery import Held
from worker.ended import Died, Ended, Failed, Returned
from worker.errand import ERRORS, Ending, Errand
from worker.frames import Frame, Say
from worker.relay import levels

_TRIES = 3
"""Cells for one job: one may die, by no fault of the job's, between two jobs."""

_log = logging.getLogger("duestream.isolation")


class Isolation:
    """The processes of their own, for one worker.

    Args:
        app: Whose functions they run.
        store: Makes their calls of Redis.
        clock: Redis time.
        catalog: The indexes there are.
        idle_s: How long a process is kept without work.
    """

    def __init__(
        self, app: App, store: AsyncRunner, clock: RedisClock, catalog: IndexCatalog, idle_s: float = IDLE_S
    ) -> None:
        self._app = app
        self._store = store
        self._clock = clock
        self._catalog = catalog
        self.cells = Cells(self._hello, self._answer, idle_s)

    async def check(self) -> None:
        """Look whether a process of its own can run the functions that want one.

        Raises:
            ConfigurationError: It cannot; in one line, why.
        """
        if self._isolated():
            self.cells.give_back(await self.cells.take())

    def visit(self, held: Held) -> Visit:
        """What runs a job."""
        return Visit(self.cells, held, lambda: self._errand(held))

    async def close(self) -> None:
        """End all processes."""
        await self.cells.close()

    def _isolated(self) -> dict[str, AnyFunction]:
        return {name: function for name, function in self._app.functions.items() if function.isolate}

    def _hello(self) -> bytes:
        isolated = self._isolated()
        address = address_of(self._app, isolated.values())
        return frames.pack(
            Say.HELLO, sys.path, os.getpid(), list(address), self._app.namespace, list(isolated), levels()
        )

    def _errand(self, held: Held) -> Errand:
        assert held.spec is not None
        return Errand(
            held.name,
            held.delivery.job_id,
            held.attempt,
            self._clock.now_ms(),
            values.pack(held.spec.args, "args"),
            values.pack(held.spec.kwargs, "args"),
            self._catalog.known,
        )

    async def _answer(self, word: Say, rest: Frame) -> bytes:
        number, *what = rest
        try:
            return frames.pack(Say.REPLY, number, await self._call(word, what))
        except ERRORS as error:
            name = next(one.__name__ for one in ERRORS if isinstance(error, one))
            return frames.pack(Say.REFUSED, number, name, str(error))
        except Exception as error:  # noqa: BLE001  a bug of ours must not leave a handler waiting
            _log.exception("a call of an isolated function was not made")
            return frames.pack(Say.REFUSED, number, Refused.__name__, f"{type(error).__name__}: {error}")

    async def _call(self, word: Say, what: Frame) -> Any:
        if word is Say.COMMAND:
            return await self._store.command(*what[0])
        name, allow_oom, argv = what
        script = scripts.load(name, allow_oom=True) if allow_oom else scripts.load(name)
        return await self._store.run(Transition(script, argv, lambda reply: reply))


class Visit:
    """One job in a cell.

    Attributes:
        effects: What is left of its transaction, once it has run.
    """

    def __init__(self, cells: Cells, held: Held, errand: Callable[[], Errand]) -> None:
        self._cells = cells
        self._held = held
        self._errand = errand
        self._cell: Cell | None = None
        self.effects = Effects()

    async def prepare(self) -> None:
        """Have a cell at hand.

        Raises:
            CellUnavailable: There is none to be had.
        """
        if self._cell is None:
            try:
                self._cell = await self._cells.take()
            except ConfigurationError as error:  # the code on disk is not what it was at the start; it may be again
                raise CellUnavailable(str(error)) from error

    async def run(self) -> Ended:
        """Run the job. If this is cancelled, the handler is killed.

        Raises:
            Conflict: What it had read was changed while it ran.
        """
        for tries_left in reversed(range(_TRIES)):
            await self.prepare()
            try:
                return self._read(await self._run())
            except CellDied as died:
                if died.entered or not tries_left:
                    return Died(str(died))
        raise AssertionError("unreachable")

    async def _run(self) -> Frame:
        cell, self._cell = self._cell, None
        assert cell is not None
        try:
            ending = await cell.run(self._errand().frame())
        except BaseException:
            self._cells.discard(cell)
            raise
        self._cells.give_back(cell)
        return ending

    def _read(self, rest: Frame) -> Ended:
        ending = Ending(*rest)
        self.effects = Effects.unpack(ending.effects)
        match ending.word:
            case "returned":
                return Returned(ending.value)
            case "raised":
                return Failed(JobError.unpack(ending.value), ending.transient, ending.outage)
        raise Conflict

"""Cells: processes that run one handler at a time, kept warm, killed with what they run, and replaced."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from scheduler.errors import ConfigurationError, InvalidValue
from worker import frames
from worker.cell_process import CellProcess
from worker.child import describe_end
from worker.frames import Frame, Say
from worker.relay import relay

START_S = 60.0
"""How long a cell may take to import the app."""

IDLE_S = 60.0
"""How long a cell is kept without work."""

_LEAVE_S = 2.0
"""How long an idle cell may take to end by itself: what it has registered with `atexit`, and its coverage."""

_log = logging.getLogger("duestream.cells")

Answer = Callable[[Say, Frame], Awaitable[bytes]]
"""What answers a CALL or a COMMAND of a cell, with a frame."""


class CellDied(Exception):
    """A cell ended by itself while it ran a handler, or was killed from outside.

    Attributes:
        entered: Whether the handler had been called.
    """

    def __init__(self, how: str, *, entered: bool) -> None:
        super().__init__(how)
        self.entered = entered


class CellUnavailable(ConnectionError):
    """No process of its own could be started, or it could not import the app. A mutation is tried again later."""


class Cell:
    """One process, and the talk with it.

    Args:
        process: It, just started.
        answer: Answers its calls of Redis.
    """

    def __init__(self, process: CellProcess, answer: Answer) -> None:
        self.process = process
        self._answer = answer
        self._entered = False
        self._ending: asyncio.Future[Frame] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    async def open(self, hello: bytes) -> None:
        """Have it import the app.

        Raises:
            ConfigurationError: It cannot import it, or that took longer than a minute.
            OSError: It ended by itself.
        """
        try:
            self._reader, self._writer = await self.process.connect()
        except BaseException:
            self._closed.set()
            raise
        try:
            async with asyncio.timeout(START_S):
                self._writer.write(hello)
                word, rest = await self._next()
                while word is Say.LOG:
                    relay(rest[0])
                    word, rest = await self._next()
            if word is not Say.READY:
                raise ConfigurationError(str(rest[0]))
        except TimeoutError as error:
            raise ConfigurationError(
                f"isolate=True: a process of its own had not imported the app after {START_S:g} s (does the module "
                'start the worker itself, without `if __name__ == "__main__"`?)'
            ) from error
        finally:
            self._listening = asyncio.create_task(self._listen())

    async def run(self, job: bytes) -> Frame:
        """Run one job to its end; what follows ENDED. Who is cancelled here must kill the cell.

        Raises:
            CellDied: The process ended before the job did.
        """
        self._entered, self._ending = False, asyncio.get_running_loop().create_future()
        if self.is_dead:
            raise CellDied(describe_end(await self.process.ended), entered=False)
        self._writer.write(job)
        try:
            return await self._ending
        finally:
            self._ending = None

    @property
    def is_dead(self) -> bool:
        return self._listening is None or self._listening.done() or self.process.ended.done()

    async def leave(self) -> None:
        """End it gently, for a while, and then for sure."""
        self._writer.write_eof()
        await asyncio.wait([self.process.ended], timeout=_LEAVE_S)
        self.process.kill()
        await self.gone()

    async def gone(self) -> None:
        """Wait until it has been killed or has ended, and the line is closed."""
        await self.process.ended
        await self._closed.wait()

    async def _next(self) -> tuple[Say, Frame]:
        try:
            return await frames.read(self._reader)
        except asyncio.IncompleteReadError as error:
            raise OSError(describe_end(await self.process.ended)) from error

    async def _listen(self) -> None:
        try:
            while True:
                word, rest = await self._next()
                await self._hear(word, rest)
        except OSError as error:
            self._fail(str(error))
        except (InvalidValue, ValueError, TypeError) as error:
            _log.error("a cell spoke nonsense, and is killed: pid=%d %s", self.process.pid, error)
            self.process.kill()
            self._fail("spoke nonsense, and was killed")
        finally:
            self._fail("lost its line")
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
            self._closed.set()

    async def _hear(self, word: Say, rest: Frame) -> None:
        match word:
            case Say.CALL | Say.COMMAND:
                self._writer.write(await self._answer(word, rest))
            case Say.LOG:
                relay(rest[0])
            case Say.ENTERED:
                self._entered = True
            case Say.ENDED:
                if self._ending is not None and not self._ending.done():  # else it is being killed, and came too late
                    self._ending.set_result(rest)
            case _:
                raise ValueError(f"{word.value} is not expected now")

    def _fail(self, how: str) -> None:
        if self._ending is not None and not self._ending.done():
            self._ending.set_exception(CellDied(how, entered=self._entered))


class Cells:
    """The cells of one worker: as many as handlers run at once, the one that was used last first.

    Args:
        hello: What a new cell is told.
        answer: Answers calls of Redis.
        idle_s: How long a cell is kept without work.
    """

    def __init__(self, hello: Callable[[], bytes], answer: Answer, idle_s: float = IDLE_S) -> None:
        self._hello = hello
        self._answer = answer
        self._idle_s = idle_s
        self._all: set[Cell] = set()
        self._idle: dict[Cell, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def processes(self) -> list[int]:
        """The process ids of all cells."""
        return [cell.process.pid for cell in self._all]

    async def take(self) -> Cell:
        """A cell that waits for work, or a new one.

        Raises:
            ConfigurationError: A new one cannot import the app.
            CellUnavailable: None can be started.
        """
        while self._idle:
            cell, timer = self._idle.popitem()
            timer.cancel()
            if not cell.is_dead:
                return cell
        return await self._start()

    def give_back(self, cell: Cell) -> None:
        """Its job has ended; it waits for the next one."""
        if self._closed or cell.is_dead:
            self.discard(cell)
        else:
            self._idle[cell] = asyncio.get_running_loop().call_later(self._idle_s, self._let_go, cell)

    def discard(self, cell: Cell) -> None:
        """End a cell with all that it runs, now."""
        cell.process.kill()

    async def close(self) -> None:
        """End all: those that run something at once, the others gently."""
        self._closed = True
        for cell in list(self._all.difference(self._idle)):
            self.discard(cell)
        for cell, timer in self._idle.items():
            timer.cancel()
            self._spawn(cell.leave())
        self._idle.clear()
        await asyncio.gather(*self._tasks)

    async def _start(self) -> Cell:
        hello = self._hello()
        try:
            cell = Cell(CellProcess(), self._answer)
        except OSError as error:
            raise CellUnavailable(f"no process of its own could be started: {error}") from error
        self._all.add(cell)
        self._spawn(self._bury(cell))
        try:
            await cell.open(hello)
        except OSError as error:
            raise CellUnavailable(f"a process of its own ended before it was ready: it {error}") from error
        except BaseException:
            self.discard(cell)
            raise
        _log.debug("started a cell: pid=%d", cell.process.pid)
        return cell

    def _let_go(self, cell: Cell) -> None:
        del self._idle[cell]
        self._spawn(cell.leave())

    async def _bury(self, cell: Cell) -> None:
        await cell.process.ended
        timer = self._idle.pop(cell, None)
        if timer is not None:
            timer.cancel()
            _log.warning("an idle cell ended by itself: pid=%d", cell.process.pid)
        await cell.gone()
        self._all.discard(cell)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""One connection that the commands of an event loop share: they leave in order, and are answered in order.

A command costs a write and a future here; a connection of its own for each, a task that reads its reply and a timer
that bounds it cost three times as much.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any, Final

import redis.asyncio
from redis import exceptions

MOST_BYTES: Final = 131_072
"""What is larger takes a connection of its own: nothing small has to wait behind it."""

_MOST_WAITING: Final = 64
"""While the server is away no more pile up here: the pool's bound holds for the rest."""


_readers: set[asyncio.Task[None]] = set()
"""An event loop alone does not keep its tasks alive."""


class Wire:
    """A connection that was taken from a pool, and goes back when it is closed.

    When it is lost, every command that waits for its reply gets a ConnectionError: they are safe to repeat.
    """

    def __init__(self, pool: redis.asyncio.ConnectionPool, connection: redis.asyncio.Connection) -> None:
        self._pool = pool
        self._connection = connection
        # The client's own way to write waits until there is room, which nobody here has time for.
        self._write = connection._writer.write  # type: ignore[union-attr]  # noqa: SLF001
        self._is_closing = connection._writer.transport.is_closing  # type: ignore[union-attr]  # noqa: SLF001
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._answered = 0
        self._open = True
        self._given_up = self._reading = False
        self._reader = asyncio.create_task(self._read())
        _readers.add(self._reader)
        self._reader.add_done_callback(_readers.discard)

    @property
    def usable(self) -> bool:
        """Whether a command may be sent."""
        return self._open and len(self._waiting) < _MOST_WAITING

    @property
    def is_closed(self) -> bool:
        """Whether nothing will be sent any more."""
        return not self._open

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """Send a command; the future has its reply, or the error with which the server refused it.

        Raises:
            ConnectionError: It was closed just now.
        """
        try:
            if self._is_closing():  # asyncio would take it, and complain in its log
                raise ConnectionResetError("it is closing")
            self._write(packed)
        except (RuntimeError, OSError) as error:  # uvloop's and asyncio's word for it
            self.close()
            raise exceptions.ConnectionError(f"the connection was closed: {error}") from error
        reply = asyncio.get_running_loop().create_future()
        self._waiting.append(reply)
        return reply

    def arrived(self) -> object:
        """Differs when more has come by it, be it a part of a reply."""
        return self._answered, self._connection._parser._reader.len()  # type: ignore[attr-defined]  # noqa: SLF001

    def retire(self) -> None:
        """Send nothing any more, and close once all is answered that anybody waits for."""
        self._open = False
        for future in self._waiting:
            future.add_done_callback(self._close_unless_awaited)
        self._close_unless_awaited()

    def _close_unless_awaited(self, _: asyncio.Future[Any] | None = None) -> None:
        if all(future.done() for future in self._waiting):
            self.close()

    def close(self) -> None:
        """Close it now; what waits gets a ConnectionError. Twice is once."""
        self._open, self._given_up = False, True
        if self._reading:  # before it began to read, and while it gives the connection back, a cancel would lose that
            self._reading = False
            self._reader.cancel()

    def forget(self) -> None:
        """Close it, from whatever thread: whoever sent by it is gone without a word."""
        with contextlib.suppress(RuntimeError):  # and so is the event loop
            self._reader.get_loop().call_soon_threadsafe(self.close)

    async def closed(self) -> None:
        """Wait until the connection is the pool's again."""
        await asyncio.wait([self._reader])

    async def _read(self) -> None:
        lost: Exception = exceptions.ConnectionError("the connection was given up")
        self._reading = True
        try:
            while not self._given_up and (self._open or self._waiting):
                reply = await self._next()
                future = self._waiting.popleft()
                self._answered += 1
                if not future.done():
                    (future.set_exception if isinstance(reply, exceptions.ResponseError) else future.set_result)(reply)
        except (exceptions.RedisError, OSError, IndexError) as error:  # IndexError: a reply that nobody asked for
            lost = exceptions.ConnectionError(f"the connection was lost: {error}")
        finally:
            self._open = self._reading = False
            self._fail(lost)
            await self._connection.disconnect(nowait=True)
            await self._pool.release(self._connection)

    async def _next(self) -> Any:
        try:
            return await self._connection.read_response()
        except exceptions.ResponseError as refusal:
            return refusal

    def _fail(self, error: Exception) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)
                future.exception()  # who sent it may be gone: then it is nobody's

"""Runs transitions on Redis, async or blocking.

It knows the client library, and so do the rooms below it: clients, refusals, punctual.

What is sent again is sent byte for byte: every script is safe to repeat. So a store sends again by itself what was
lost, within a time; `contact.py` says when a reply counts as lost.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn, TypeVar, cast

import redis
import redis.asyncio
from hiredis import pack_command
from redis import exceptions

from scheduler.attempts import Attempt, Limit
from scheduler.clients import PlainClient, ask, closed_is_lost, is_fake
from scheduler.contact import PATIENCE_S, PULSE_PATIENCE, Contact, Patience, Silence
from scheduler.errors import DuestreamError, Unavailable
from scheduler.kept import MOST, Kept, Line
from scheduler.keys import Keys
from scheduler.operations import Steps
from scheduler.punctual import is_punctual, within
from scheduler.refusals import CONNECTION_LOST, ServerError, server_of, sort_error, worth_repeating
from scheduler.runner import AsyncRunner
from scheduler.script_call import Argument, Transition
from scheduler.wire import MOST_BYTES, Wire

T = TypeVar("T")

_MOST_AHEAD: Final = 2
"""One that the server works on, one that is on its way."""


class AsyncStore(AsyncRunner):
    """Runs transitions for one app from one event loop.

    Args:
        keys: The app's keys.
        client: An async client with `decode_responses=False`, made by `async_client` or by a test.
        timeout_s: How long a call waits for Redis at most, sending again what was lost, and what Redis refuses for a
            while only. None for workers, which have something else to do than to wait, and come back for ever:
            `TIMEOUT_S`, and three sendings.
        block_s: For commands that block so long, which are sent once.
        contact: What is known of the connections; shared by the stores of one process.
    """

    def __init__(
        self,
        keys: Keys,
        client: redis.asyncio.Redis,
        *,
        timeout_s: float | None = None,
        block_s: float | None = None,
        contact: Contact | None = None,
    ) -> None:
        self.keys = keys
        self.fake = is_fake(client)
        self.contact = contact or Contact(lambda: ask(client), CONNECTION_LOST)
        self._given = client
        self._limit = Limit(timeout_s, block_s)
        # Replies as the server sent them: what the client makes of some commands differs from version to version.
        self._client = PlainClient(connection_pool=client.connection_pool)
        self._client.response_callbacks.clear()
        self._wire: Wire | None = None
        if not self.fake:
            self.contact.on_return(self._drop_idle)

    def blocking(self, block_s: float) -> AsyncStore:
        """The same for commands that block so long."""
        return AsyncStore(self.keys, self._given, block_s=block_s, contact=self.contact)

    async def run(self, transition: Transition[T]) -> T:
        script, argv = transition.script, transition.argv
        try:
            if self.fake:
                reply = await self.execute("EVAL", script.plain, 1, self.keys.prefix, *argv)
            else:
                reply = await self._evalsha(script.sha, script.source, argv)
        except (*CONNECTION_LOST, ServerError) as error:
            self.sort(error)
        return transition.read(reply)

    async def run_then(
        self, transition: Transition[T], command: Sequence[Argument], block_s: float = 0
    ) -> tuple[T, Any]:
        """Run one transition, and a plain command right after it on the same connection, in the same round trip.

        Args:
            transition: Sent first.
            command: Sent with it.
            block_s: How long that one may keep its connection waiting.

        Returns:
            What the transition answered, and what the command did: its reply, or the error with which it was refused.

        Raises:
            As `run` does, for both; they are to be run again together.
        """
        script, arguments = transition.script, (1, self.keys.prefix, *transition.argv)
        try:
            try:
                replies = await self._both(("EVALSHA", script.sha, *arguments), command, block_s)
            except exceptions.NoScriptError:  # and the command was about something else
                replies = await self._both(("EVAL", script.source, *arguments), command, block_s)
        except (*CONNECTION_LOST, ServerError) as error:
            self.sort(error)
        return transition.read(replies[0]), replies[1]

    async def _both(self, first: Sequence[Any], second: Sequence[Any], block_s: float) -> list[Any]:
        async def send() -> list[Any]:
            pipeline: Any = self._client.pipeline(transaction=False)
            pipeline.execute_command(*first)
            pipeline.execute_command(*second)
            with closed_is_lost():
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
            if isinstance(replies[0], Exception):
                raise replies[0]
            return replies

        size, factor = len(pack_command(tuple(first))), 1 + block_s / PATIENCE_S
        return await self._repeated(
            lambda attempt: self.contact.reply(asyncio.ensure_future(send()), self._patience(attempt, size, factor))
        )

    async def pulse(self) -> None:
        """Ask for a sign of life by a connection of before, with little patience.

        Raises:
            Unavailable: None came.
        """
        try:
            await self._repeated(self._pulse)
        except (*CONNECTION_LOST, ServerError) as error:
            self.sort(error)

    async def _pulse(self, attempt: Attempt) -> None:
        await self._send(attempt, ("PING",), None, PULSE_PATIENCE)

    async def _evalsha(self, sha: str, source: str, argv: Sequence[Argument]) -> Any:
        try:
            return await self.execute("EVALSHA", sha, 1, self.keys.prefix, *argv)
        except exceptions.NoScriptError:
            return await self.execute("EVAL", source, 1, self.keys.prefix, *argv)

    async def execute(self, *command: Any, nudge: Callable[[], Awaitable[None]] | None = None) -> Any:
        """Run one plain command, with the client's own errors.

        Args:
            command: The command and its arguments.
            nudge: For one that blocks: makes the server answer it at once.
        """
        return await self._repeated(lambda attempt: self._send(attempt, command, nudge))

    async def _repeated(self, send: Callable[[Attempt], Awaitable[T]]) -> T:
        for attempt in self._limit.attempts():
            try:
                return await send(attempt)
            except (*CONNECTION_LOST, ServerError) as error:
                if isinstance(error, exceptions.ReadOnlyError):  # a replica now: the name may stand for another server
                    await self._drop_idle()
                pause_s = attempt.pause_s() if worth_repeating(error, self._limit) else None
                if pause_s is None:
                    raise
            await asyncio.sleep(pause_s)
        raise AssertionError  # the attempts end with an error

    async def _drop_idle(self) -> None:
        if self._wire is not None:
            self._wire.retire()
        await self._client.connection_pool.disconnect(inuse_connections=False)

    async def _send(
        self, attempt: Attempt, command: Any, nudge: Callable[[], Awaitable[None]] | None, factor: float = 1.0
    ) -> Any:
        if self.fake:
            return await self._by_client(command)
        if self._limit.block_s is not None:
            sending = asyncio.ensure_future(self._by_connection(pack_command(command)))
            return await self.contact.blocked_reply(sending, attempt.left_s, nudge)
        packed = pack_command(command)
        wire = self._wire
        if wire is None or not wire.usable or len(packed) > MOST_BYTES:
            sending = asyncio.ensure_future(self._by_connection(packed))
            return await self.contact.reply(sending, self._patience(attempt, len(packed), factor))
        try:
            patience = self._patience(attempt, len(packed), factor, wire.arrived)
            return await self.contact.prompt_reply(wire.send(packed), patience)
        except Silence:
            wire.close()
            raise

    async def _by_client(self, command: Sequence[Any]) -> Any:
        return await cast("Any", self._client).execute_command(*command)

    async def _by_connection(self, packed: bytes) -> Any:
        """By a connection of its own; one that has answered becomes the wire, where there is none and none blocks."""
        pool = self._client.connection_pool
        with closed_is_lost():
            connection = await pool.get_connection()  # type: ignore[no-untyped-call]
            try:
                await connection.send_packed_command(packed)
                reply = await connection.read_response()
            except BaseException:
                await pool.release(connection)
                raise
        if self._limit.block_s is None and (self._wire is None or self._wire.is_closed):
            self._wire = Wire(pool, connection)
        else:
            await pool.release(connection)
        return reply

    def _patience(self, attempt: Attempt, size: int, factor: float = 1.0, *arrived: Callable[[], object]) -> Patience:
        return Patience(attempt.left_s, attempt.patience * factor, size, not self._limit.patient, *arrived)

    async def command(self, *command: Any) -> Any:
        try:
            return await self.execute(*command)
        except (*CONNECTION_LOST, ServerError) as error:
            self.sort(error)

    def sort(self, error: Exception) -> NoReturn:
        """Raise what an error of `execute` means; see `sort_error`."""
        sort_error(error, self._client, self._limit)

    def unavailable(self) -> Unavailable:
        """What to raise when the time of a client's call is over."""
        return Unavailable(f"Redis at {server_of(self._client)} did not answer within {self._limit.whole_s:g} s")

    async def close(self) -> None:
        await self.let_go()
        await self._given.aclose()

    def __del__(self) -> None:
        if self._wire is not None and not self._wire.is_closed:
            self._wire.forget()

    async def let_go(self) -> None:
        """Give back what it took of the client."""
        await self.contact.close()
        if self._wire is not None:
            self._wire.close()
            await self._wire.closed()


class BlockingStore:
    """Runs transitions for one app, blocking; threads may share it.

    Args:
        keys: The app's keys.
        client: A blocking client with `decode_responses=False`, made by `blocking_client` or by a test. Only the former
            keeps to the seconds of `timeout_s`; another one has its own.
        timeout_s: As for `AsyncStore`.
    """

    def __init__(self, keys: Keys, client: redis.Redis, *, timeout_s: float | None = None) -> None:
        self.keys = keys
        self.fake = is_fake(client)
        self._given = client
        self._limit = Limit(timeout_s)
        self._client = redis.Redis(connection_pool=client.connection_pool)
        self._client.response_callbacks.clear()
        pool = client.connection_pool
        self._kept = Kept(pool, MOST if is_punctual(pool) else 0)

    def run(self, transition: Transition[T]) -> T:
        """Run one transition; raises as `AsyncRunner.run` does."""
        return self._run(transition, self._limit)

    def run_all(self, coming: Iterator[Transition[T]]) -> Iterator[T]:
        """Run transitions in order; the next is made and sent while the server works on the one before it.

        Raises:
            As `run` does, for the first that failed; one behind it may have been applied. Else what `coming` raises;
            those before have been applied then.
        """
        line = self._kept.line()
        flying: deque[Transition[T]] = deque()
        try:
            while (transition := self._next(coming, line, flying)) is not None:
                flying.append(transition)
                if not self.fake:
                    with within(next(self._limit.attempts()).share_s):
                        line.send(pack_command(self._called(transition)))
                if len(flying) == _MOST_AHEAD:
                    yield self._finish(line, flying.popleft())
            while flying:
                yield self._finish(line, flying.popleft())
        finally:
            line.close()

    def _next(self, coming: Iterator[Transition[T]], line: Line, flying: deque[Transition[T]]) -> Transition[T] | None:
        try:
            return next(coming, None)
        except Exception:
            while flying:
                self._finish(line, flying.popleft())
            raise

    def _finish(self, line: Line, transition: Transition[T]) -> T:
        if self.fake:
            return self.run(transition)
        attempt = next(self._limit.attempts())  # from now on: the time that went by before was not the server's
        try:
            with within(attempt.share_s, attempt.left_s):
                reply = line.receive()
        except (*CONNECTION_LOST, ServerError):
            limit = replace(self._limit, timeout_s=attempt.left_s) if self._limit.patient else self._limit
            return self._run(transition, limit)
        return transition.read(reply)

    def _run(self, transition: Transition[T], limit: Limit) -> T:
        try:
            if self.fake:
                reply = self._execute(("EVAL", transition.script.plain, 1, self.keys.prefix, *transition.argv), limit)
            else:
                reply = self._evalsha(transition, limit)
        except (*CONNECTION_LOST, ServerError) as error:
            self.sort(error)
        return transition.read(reply)

    def _evalsha(self, transition: Transition[Any], limit: Limit) -> Any:
        called = self._called(transition)
        try:
            return self._execute(called, limit)
        except exceptions.NoScriptError:
            return self._execute(("EVAL", transition.script.source, *called[2:]), limit)

    def _called(self, transition: Transition[Any]) -> tuple[Any, ...]:
        return ("EVALSHA", transition.script.sha, 1, self.keys.prefix, *transition.argv)

    def execute(self, *command: Any) -> Any:
        """Run one plain command, with the client's own errors."""
        return self._execute(command, self._limit)

    def _execute(self, command: tuple[Any, ...], limit: Limit) -> Any:
        for attempt in limit.attempts():
            try:
                return self._send(attempt.share_s, command, attempt.left_s)
            except (*CONNECTION_LOST, ServerError) as error:
                if isinstance(error, exceptions.ReadOnlyError):
                    self._kept.drop()
                    self._client.connection_pool.disconnect(inuse_connections=False)
                pause_s = attempt.pause_s() if worth_repeating(error, limit) else None
                if pause_s is None:
                    raise
            time.sleep(pause_s)
        raise AssertionError  # the attempts end with an error

    def block(self, block_s: float, *command: Any) -> Any:
        """Run one plain command that blocks so long, once.

        Raises:
            Unavailable: No reply in that time, and some for the way.
        """
        try:
            return self._send(Limit(block_s=block_s).whole_s, command)
        except (*CONNECTION_LOST, ServerError) as error:
            self.sort(error)

    def _send(self, within_s: float, command: Any, whole_s: float | None = None) -> Any:
        with within(within_s, whole_s):
            if self.fake:
                return cast("Any", self._client).execute_command(*command)
            return self._kept.ask(pack_command(command))

    def command(self, *command: Any) -> Any:
        """Run one plain command; raises as `AsyncRunner.command` does."""
        try:
            return self.execute(*command)
        except (*CONNECTION_LOST, ServerError) as error:
            self.sort(error)

    def drive(self, steps: Steps[T]) -> T:
        """Run an operation of `operations.py` step by step; see `AsyncRunner.drive`."""
        reply, error = None, None
        while True:
            try:
                step = steps.send(reply) if error is None else steps.throw(error)
            except StopIteration as stop:
                return cast("T", stop.value)
            try:
                reply, error = self.run(step) if isinstance(step, Transition) else self.command(*step), None
            except (DuestreamError, ServerError) as raised:
                error = raised

    def sort(self, error: Exception) -> NoReturn:
        """Raise what an error of `execute` means; see `AsyncStore.sort`."""
        sort_error(error, self._client, self._limit)

    def close(self) -> None:
        self._kept.drop()
        self._given.close()

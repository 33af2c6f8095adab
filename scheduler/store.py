"""Runs transitions on Redis, async or blocking. The only room, with `scripts.py`, that knows the client library.

What is sent again is sent byte for byte: every script is safe to repeat. So a store sends again by itself what was
lost, within a time; `contact.py` says when a reply counts as lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from scheduler.attempts import TIMEOUT_S, Attempt, Limit
from scheduler.contact import PATIENCE_S, Contact
from scheduler.errors import ConfigurationError, DamagedData, DuestreamError, InvalidUrl, QueueFull, Unavailable
from scheduler.keys import Keys
from scheduler.operations import Steps
from scheduler.punctual import CONNECT_TIMEOUT_S, PUNCTUAL, within
from scheduler.transitions import Argument, Transition

T = TypeVar("T")

READER_NAME = "duestream-reader"
"""What the blocking readers of workers are called in CLIENT LIST."""

_CONNECTIONS = 32
_ASK_S = 2.0
_MOST_PORT = 65_535

CONNECTION_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
"""What `execute` raises when no answer came."""

ServerError = exceptions.ResponseError
"""What `execute` raises when the server refused a command."""


class DamagedKey(DamagedData, exceptions.ResponseError):
    """The server refused a call because of what a key holds: still one of its own errors, and one of ours."""


class Refused(DuestreamError, exceptions.ResponseError):
    """The server refused a call for a reason that nobody foresaw."""


class _Commands(Protocol):
    def execute_command(self, *args: Any, **options: Any) -> Any: ...


class AsyncRunner(ABC):
    """Whatever runs transitions from an event loop."""

    @abstractmethod
    async def run(self, transition: Transition[T]) -> T:
        """Run one transition.

        Raises:
            Unavailable: Redis did not answer, or cannot serve now. Whether it was applied is not known; run it again.
            QueueFull: Redis is out of memory; nothing was applied.
        """

    @abstractmethod
    async def command(self, *command: Any) -> Any:
        """Run one plain command.

        Raises:
            Unavailable: Redis did not answer, or cannot serve now.
        """

    async def drive(self, steps: Steps[T]) -> T:
        """Run an operation of `operations.py` step by step; raises as `run` does, and what the operation raises.

        What a step raises is raised in the operation, which may know what to do about it.
        """
        reply, error = None, None
        while True:
            try:
                step = steps.send(reply) if error is None else steps.throw(error)
            except StopIteration as stop:
                return cast("T", stop.value)
            try:
                reply, error = await (self.run(step) if isinstance(step, Transition) else self.command(*step)), None
            except (DuestreamError, ServerError) as raised:
                error = raised


class _Client(redis.asyncio.Redis):
    """An async client that says of a connection that is gone that it is gone."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with _closed():
            return await cast("_Commands", super()).execute_command(*args, **options)


@contextlib.contextmanager
def _closed() -> Iterator[None]:
    """What uvloop says of a write to a connection that the other side has just closed (asyncio raises OSError).

    And what the client says of one that another task has just closed.
    """
    try:
        yield
    except (RuntimeError, AttributeError) as error:
        if not str(error).endswith(("the handler is closed", "no attribute 'writelines'")):
            raise
        raise exceptions.ConnectionError(f"the connection was closed: {error}") from error


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
        self.contact = contact or Contact(lambda: _ask(client), CONNECTION_LOST)
        self._given = client
        self._limit = Limit(timeout_s, block_s)
        # Replies as the server sent them: what the client makes of some commands differs from version to version.
        self._client = _Client(connection_pool=client.connection_pool)
        self._client.response_callbacks.clear()
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
            with _closed():
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
            if isinstance(replies[0], Exception):
                raise replies[0]
            return replies

        patience = 1 + block_s / PATIENCE_S
        return await self._repeated(lambda attempt: self._reply(attempt, send(), (*first, *second), patience))

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
                pause_s = attempt.pause_s() if _worth_repeating(error, self._limit) else None
                if pause_s is None:
                    raise
            await asyncio.sleep(pause_s)
        raise AssertionError  # the attempts end with an error

    async def _drop_idle(self) -> None:
        await self._client.connection_pool.disconnect(inuse_connections=False)

    async def _send(self, attempt: Attempt, command: Any, nudge: Callable[[], Awaitable[None]] | None) -> Any:
        sending = cast("Coroutine[Any, Any, Any]", cast("_Commands", self._client).execute_command(*command))
        if self.fake:
            return await sending
        if self._limit.block_s is not None:
            return await self.contact.blocked_reply(asyncio.ensure_future(sending), attempt.left_s, nudge)
        return await self._reply(attempt, sending, command)

    async def _reply(
        self, attempt: Attempt, sending: Coroutine[Any, Any, T], command: Sequence[Any], patience: float = 1.0
    ) -> T:
        return await self.contact.reply(
            asyncio.ensure_future(sending),
            attempt.left_s,
            patience=attempt.patience * patience,
            size=lambda: sum(map(_size, command)),
            stretch=not self._limit.patient,
        )

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
        await self.contact.close()
        await self._given.aclose()


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

    def run(self, transition: Transition[T]) -> T:
        """Run one transition; raises as `AsyncRunner.run` does."""
        script, argv = transition.script, transition.argv
        try:
            if self.fake:
                reply = self.execute("EVAL", script.plain, 1, self.keys.prefix, *argv)
            else:
                reply = self._evalsha(script.sha, script.source, argv)
        except (*CONNECTION_LOST, ServerError) as error:
            self.sort(error)
        return transition.read(reply)

    def _evalsha(self, sha: str, source: str, argv: Sequence[Argument]) -> Any:
        try:
            return self.execute("EVALSHA", sha, 1, self.keys.prefix, *argv)
        except exceptions.NoScriptError:
            return self.execute("EVAL", source, 1, self.keys.prefix, *argv)

    def execute(self, *command: Any) -> Any:
        """Run one plain command, with the client's own errors."""
        for attempt in self._limit.attempts():
            try:
                return self._send(attempt.share_s, command)
            except (*CONNECTION_LOST, ServerError) as error:
                if isinstance(error, exceptions.ReadOnlyError):
                    self._client.connection_pool.disconnect(inuse_connections=False)
                pause_s = attempt.pause_s() if _worth_repeating(error, self._limit) else None
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

    def _send(self, within_s: float, command: Any) -> Any:
        with within(within_s):
            return cast("_Commands", self._client).execute_command(*command)

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
        self._given.close()


def async_client(url: str) -> redis.asyncio.Redis:
    """An async client. It sends once and waits for ever: stores know when to do otherwise.

    Raises:
        InvalidUrl: The url cannot be read.
    """
    return redis.asyncio.Redis.from_pool(_async_pool(url, _options(url)))


def reader_client(url: str, connected: Callable[[int], None]) -> redis.asyncio.Redis:
    """An async client with one connection for one blocking reader; `connected` is told its id for CLIENT UNBLOCK."""

    async def greet(connection: redis.asyncio.Connection) -> None:
        await connection.on_connect()
        await connection.send_command("CLIENT", "ID")
        connected(int(await connection.read_response()))

    options = _options(url) | {"max_connections": 1, "redis_connect_func": greet, "client_name": READER_NAME}
    return redis.asyncio.Redis.from_pool(_async_pool(url, options))


def blocking_client(url: str) -> redis.Redis:
    """The blocking twin of `async_client`; its connections keep to the time that a store gives them."""
    with _reading_url():
        pool = redis.BlockingConnectionPool.from_url(
            url, timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0), socket_timeout=TIMEOUT_S, **_options(url)
        )
        _check_url(url, pool)
    pool.connection_class = PUNCTUAL.get(pool.connection_class, pool.connection_class)
    return redis.Redis.from_pool(pool)


def _async_pool(url: str, options: dict[str, Any]) -> redis.asyncio.ConnectionPool:
    with _reading_url():
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url, timeout=TIMEOUT_S, retry=AsyncRetry(NoBackoff(), 0), **options
        )
        # The store bounds each reply; the library's own bound (5 s since redis-py 8) or the url's cuts blocking reads.
        pool.connection_kwargs["socket_timeout"] = None
        _check_url(url, pool)
    return pool


@contextlib.contextmanager
def _reading_url() -> Iterator[None]:
    """Whatever is wrong with a url is said without showing it: what cannot be read may be a part of the password.

    Raises:
        InvalidUrl: Without a cause, which a traceback would show.
    """
    try:
        yield
    except InvalidUrl:
        raise
    except (ValueError, TypeError, exceptions.RedisError) as error:
        text = str(error)
        known = text if text.startswith(_HARMLESS) else "it cannot be read"
        raise InvalidUrl(
            f"url: {known} (expected redis://user:password@host:6379/0, rediss:// for TLS, or unix://path; "
            "characters of user and password other than letters and digits percent-encoded)"
        ) from None


_HARMLESS = ("Redis URL must specify one of", "Invalid value for '", "Invalid SSL", "Python wasn't built with SSL")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def _check_url(url: str, pool: redis.ConnectionPool | redis.asyncio.ConnectionPool) -> None:
    """What the client would look at with the first connection only, or never: a database of letters is 0 to it.

    Raises:
        InvalidUrl: A port, a database, or a file of TLS that cannot be.
        TypeError, RedisError: An option that there is not, or a value that cannot be.
    """
    if not url.isprintable():
        raise InvalidUrl("url: it has control characters")
    if not url.startswith("unix:"):
        if urlsplit(url).path.strip("/").isdigit() is not bool(urlsplit(url).path.strip("/")):
            raise InvalidUrl("url: the database has to be a number")
        if not 0 <= pool.connection_kwargs.get("port", 0) <= _MOST_PORT:
            raise InvalidUrl(f"url: the port has to be a number up to {_MOST_PORT}")
    for option in _FILES:
        file = pool.connection_kwargs.get(option)
        if file is not None and not Path(file).is_file():
            raise InvalidUrl(f"url: {option}: there is no file {file}")
    pool.connection_class(**pool.connection_kwargs)


def _options(url: str) -> dict[str, Any]:
    """What redis-py would otherwise choose for us: its defaults repeat blocking reads and other unsafe commands."""
    network = {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_keepalive": True}
    return (network if not url.startswith("unix:") else {}) | {
        "protocol": 2,
        "health_check_interval": 0,
        "max_connections": _CONNECTIONS,
    }


async def _ask(client: redis.asyncio.Redis) -> None:
    """Ask for a sign of life, by a fresh connection.

    Raises:
        ConnectionError: None came.
    """
    pool = client.connection_pool
    limits = {"socket_timeout": _ASK_S, "socket_connect_timeout": _ASK_S, "retry": AsyncRetry(NoBackoff(), 0)}
    connection = pool.connection_class(**{**pool.connection_kwargs, **limits})
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_command("PING")
        await connection.read_response()
    except (ServerError, exceptions.AuthenticationError):
        return  # it has answered
    except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
        raise ConnectionError(str(error)) from error
    finally:
        await connection.disconnect(nowait=True)


def _size(argument: Any) -> int:
    return len(argument) if isinstance(argument, str | bytes) else 8


def is_fake(client: object) -> bool:
    """Whether a client is fakeredis, which knows no script flags and cannot block in XREADGROUP."""
    return type(client).__module__.partition(".")[0] == "fakeredis"


def server_of(client: redis.Redis | redis.asyncio.Redis) -> str:
    """What to call the server in messages: its address, and nothing else of its url."""
    known: dict[str, Any] = client.connection_pool.connection_kwargs
    return str(known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}")


def sort_error(error: Exception, client: redis.Redis | redis.asyncio.Redis, limit: Limit) -> NoReturn:
    """Sort the client's errors: what passes with time is `Unavailable`; what does not is ours or an operator's to mend.

    All are of our tree; a refusal stays a `ServerError` too.
    """
    if isinstance(error, Refused | DamagedKey):
        raise error
    text = str(error)
    if isinstance(error, _REFUSED) or any(word in text for word in _DENIED):
        raise ConfigurationError(f"Redis refused the credentials or lacks a permission: {text}") from error
    if isinstance(error, exceptions.OutOfMemoryError) or "OOM command not allowed" in text:
        raise QueueFull("Redis is out of memory and takes no new jobs; nothing was stored") from error
    if isinstance(error, CONNECTION_LOST) or _passes(error):
        server, why = server_of(client), f": {text}" if text else ""
        within = f" within {limit.whole_s:g} s" if limit.patient or not text else ""
        raise Unavailable(f"Redis at {server} did not answer{within}{why}") from error
    if isinstance(error, ServerError) and any(word in text for word in _DAMAGED):
        raise DamagedKey(f"a key does not hold what duestream wrote there (see duestream doctor): {text}") from error
    raise Refused(text) from error


_REFUSED = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)
_DENIED = ("ACL failure in script", "The user executing the script can't")
_DAMAGED = ("WRONGTYPE", "is damaged", "not an integer", "not a valid float", "wrong kind of value")
_PASSING = (exceptions.ReadOnlyError, exceptions.ClusterDownError, exceptions.MasterDownError, exceptions.TryAgainError)
_PASSING_WORDS = ("READONLY", "BUSY ", "MISCONF", "NOREPLICAS", "UNBLOCKED")
"""Where the client has a class for an error, it takes the first word off the text."""


def _passes(error: Exception) -> bool:
    return isinstance(error, _PASSING) or any(word in str(error) for word in _PASSING_WORDS)


def _worth_repeating(error: Exception, limit: Limit) -> bool:
    """Whether the store itself sends a command again. What Redis refuses for a while a worker waits for elsewhere."""
    if isinstance(error, _REFUSED):
        return False
    return isinstance(error, CONNECTION_LOST) or (limit.patient and _passes(error))

"""Runs transitions on Redis, async or blocking. The only room, with `scripts.py`, that knows the client library.

What is sent again is sent byte for byte: every script is safe to repeat, so the client retries a lost connection by
itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar, cast

import redis
import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from scheduler.errors import ConfigurationError, DamagedData, DuestreamError, InvalidUrl, QueueFull, Unavailable
from scheduler.keys import Keys
from scheduler.operations import Steps
from scheduler.transitions import Argument, Transition

T = TypeVar("T")

TIMEOUT_S = 5.0
READER_NAME = "duestream-reader"
"""What the blocking readers of workers are called in CLIENT LIST."""

_CONNECTIONS = 32
_CONNECT_TIMEOUT_S = 5.0
_RETRIES = 3
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


class AsyncStore:
    """Runs transitions for one app from one event loop.

    Args:
        keys: The app's keys.
        client: An async client with `decode_responses=False`, made by `async_client` or by a test.
    """

    def __init__(self, keys: Keys, client: redis.asyncio.Redis) -> None:
        self.keys = keys
        self.fake = is_fake(client)
        self._given = client
        # Replies as the server sent them: what the client makes of some commands differs from version to version.
        self._client = redis.asyncio.Redis(connection_pool=client.connection_pool)
        self._client.response_callbacks.clear()

    async def run(self, transition: Transition[T]) -> T:
        """Run one transition.

        Raises:
            Unavailable: Redis did not answer, or cannot serve now. Whether it was applied is not known; run it again.
            QueueFull: Redis is out of memory; nothing was applied.
        """
        script, argv = transition.script, transition.argv
        try:
            if self.fake:
                reply = await self.execute("EVAL", script.plain, 1, self.keys.prefix, *argv)
            else:
                reply = await self._evalsha(script.sha, script.source, argv)
        except (*CONNECTION_LOST, ServerError) as error:
            sort_error(error)
        return transition.read(reply)

    async def run_then(self, transition: Transition[T], command: Sequence[Argument]) -> tuple[T, Any]:
        """Run one transition, and a plain command right after it on the same connection, in the same round trip.

        Returns:
            What the transition answered, and what the command did: its reply, or the error with which it was refused.

        Raises:
            As `run` does, for both; they are to be run again together.
        """
        script, argv = transition.script, transition.argv
        try:
            replies = await self._both(("EVALSHA", script.sha, 1, self.keys.prefix, *argv), command)
            if isinstance(replies[0], exceptions.NoScriptError):  # then the command was about something else
                replies = await self._both(("EVAL", script.source, 1, self.keys.prefix, *argv), command)
            if isinstance(replies[0], Exception):
                raise replies[0]
        except (*CONNECTION_LOST, ServerError) as error:
            sort_error(error)
        return transition.read(replies[0]), replies[1]

    async def _both(self, *commands: Sequence[Argument]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=False)

    async def _evalsha(self, sha: str, source: str, argv: Sequence[Argument]) -> Any:
        try:
            return await self.execute("EVALSHA", sha, 1, self.keys.prefix, *argv)
        except exceptions.NoScriptError:
            return await self.execute("EVAL", source, 1, self.keys.prefix, *argv)

    async def execute(self, *command: Any) -> Any:
        """Run one plain command, with the client's own errors."""
        return await cast("Awaitable[Any]", cast("_Commands", self._client).execute_command(*command))

    async def command(self, *command: Any) -> Any:
        """Run one plain command.

        Raises:
            Unavailable: Redis did not answer, or cannot serve now.
        """
        try:
            return await self.execute(*command)
        except (*CONNECTION_LOST, ServerError) as error:
            sort_error(error)

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

    async def close(self) -> None:
        await self._given.aclose()


class BlockingStore:
    """Runs transitions for one app, blocking; threads may share it.

    Args:
        keys: The app's keys.
        client: A blocking client with `decode_responses=False`, made by `blocking_client` or by a test.
    """

    def __init__(self, keys: Keys, client: redis.Redis) -> None:
        self.keys = keys
        self.fake = is_fake(client)
        self._given = client
        self._client = redis.Redis(connection_pool=client.connection_pool)
        self._client.response_callbacks.clear()

    def run(self, transition: Transition[T]) -> T:
        """Run one transition; raises as `AsyncStore.run` does."""
        script, argv = transition.script, transition.argv
        try:
            if self.fake:
                reply = self.execute("EVAL", script.plain, 1, self.keys.prefix, *argv)
            else:
                reply = self._evalsha(script.sha, script.source, argv)
        except (*CONNECTION_LOST, ServerError) as error:
            sort_error(error)
        return transition.read(reply)

    def _evalsha(self, sha: str, source: str, argv: Sequence[Argument]) -> Any:
        try:
            return self.execute("EVALSHA", sha, 1, self.keys.prefix, *argv)
        except exceptions.NoScriptError:
            return self.execute("EVAL", source, 1, self.keys.prefix, *argv)

    def execute(self, *command: Any) -> Any:
        """Run one plain command, with the client's own errors."""
        return cast("_Commands", self._client).execute_command(*command)

    def command(self, *command: Any) -> Any:
        """Run one plain command; raises as `AsyncStore.command` does."""
        try:
            return self.execute(*command)
        except (*CONNECTION_LOST, ServerError) as error:
            sort_error(error)

    def drive(self, steps: Steps[T]) -> T:
        """Run an operation of `operations.py` step by step; see `AsyncStore.drive`."""
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

    def close(self) -> None:
        self._given.close()


def async_client(url: str, *, block_s: float | None = None) -> redis.asyncio.Redis:
    """An async client for scripts; with `block_s`, for commands that block that long, which must not be sent again.

    Raises:
        InvalidUrl: The url cannot be read.
    """
    retry = AsyncRetry(ExponentialWithJitterBackoff(base=0.05, cap=1), _RETRIES if block_s is None else 0)
    return redis.asyncio.Redis.from_pool(_async_pool(url, retry, _options(url, block_s)))


def reader_client(url: str, block_s: float, connected: Callable[[int], None]) -> redis.asyncio.Redis:
    """An async client with one connection for one blocking reader; `connected` is told its id for CLIENT UNBLOCK."""

    async def greet(connection: redis.asyncio.Connection) -> None:
        await connection.on_connect()
        await connection.send_command("CLIENT", "ID")
        connected(int(await connection.read_response()))

    options = _options(url, block_s) | {"max_connections": 1, "redis_connect_func": greet, "client_name": READER_NAME}
    retry = AsyncRetry(ExponentialWithJitterBackoff(base=0.05, cap=1), 0)
    return redis.asyncio.Redis.from_pool(_async_pool(url, retry, options))


def blocking_client(url: str, *, block_s: float | None = None) -> redis.Redis:
    """The blocking twin of `async_client`."""
    retry = Retry(ExponentialWithJitterBackoff(base=0.05, cap=1), _RETRIES if block_s is None else 0)
    with _reading_url():
        pool = redis.BlockingConnectionPool.from_url(url, timeout=TIMEOUT_S, retry=retry, **_options(url, block_s))
        _check_url_options(pool)
    return redis.Redis.from_pool(pool)


def _async_pool(url: str, retry: AsyncRetry, options: dict[str, Any]) -> redis.asyncio.ConnectionPool:
    with _reading_url():
        pool = redis.asyncio.BlockingConnectionPool.from_url(url, timeout=TIMEOUT_S, retry=retry, **options)
        _check_url_options(pool)
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


def _check_url_options(pool: redis.ConnectionPool | redis.asyncio.ConnectionPool) -> None:
    """The options in a url's query, which the client would look at with the first connection only.

    Raises:
        InvalidUrl: A file of TLS is not there.
        TypeError, RedisError: An option that there is not, or a value that cannot be.
    """
    for option in _FILES:
        file = pool.connection_kwargs.get(option)
        if file is not None and not Path(file).is_file():
            raise InvalidUrl(f"url: {option}: there is no file {file}")
    pool.connection_class(**pool.connection_kwargs)


def _options(url: str, block_s: float | None) -> dict[str, Any]:
    """What redis-py would otherwise choose for us: its defaults repeat blocking reads and other unsafe commands."""
    network = {"socket_connect_timeout": _CONNECT_TIMEOUT_S, "socket_keepalive": True}
    return (network if not url.startswith("unix:") else {}) | {
        "protocol": 2,
        "socket_timeout": TIMEOUT_S if block_s is None else block_s + TIMEOUT_S,
        "health_check_interval": 30 if block_s is None else 0,
        "max_connections": _CONNECTIONS,
    }


def is_fake(client: object) -> bool:
    """Whether a client is fakeredis, which knows no script flags and cannot block in XREADGROUP."""
    return type(client).__module__.partition(".")[0] == "fakeredis"


def sort_error(error: Exception) -> NoReturn:
    """Sort the client's errors: what passes with time is `Unavailable`; what does not is ours or an operator's to mend.

    All are of our tree; a refusal stays a `ServerError` too.
    """
    if isinstance(error, Refused | DamagedKey):
        raise error
    text = str(error)
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError | exceptions.NoPermissionError):
        raise ConfigurationError(f"Redis refused the credentials or lacks a permission: {text}") from error
    if isinstance(error, exceptions.OutOfMemoryError) or "OOM command not allowed" in text:
        raise QueueFull("Redis is out of memory and takes no new jobs; nothing was stored") from error
    if isinstance(error, CONNECTION_LOST) or _passes(text):
        raise Unavailable(f"Redis did not answer: {text or type(error).__name__}") from error
    if isinstance(error, ServerError) and any(word in text for word in _DAMAGED):
        raise DamagedKey(f"a key does not hold what duestream wrote there: {text}") from error
    raise Refused(text) from error


_DAMAGED = ("WRONGTYPE", "is damaged", "not an integer", "not a valid float", "wrong kind of value")
_PASSING = (
    "READONLY",
    "LOADING",
    "BUSY ",
    "MISCONF",
    "NOREPLICAS",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "UNBLOCKED",
)


def _passes(text: str) -> bool:
    return any(word in text for word in _PASSING)

"""Clients of a server, made from a url: they send once and wait for ever, for stores know when to do otherwise.

What is wrong with a url is said before anything is sent, and without a part of it that may be the password.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from scheduler.attempts import TIMEOUT_S
from scheduler.errors import InvalidUrl
from scheduler.punctual import CONNECT_TIMEOUT_S, PUNCTUAL, PunctualParser, PunctualPool
from scheduler.refusals import ServerError

READER_NAME = "duestream-reader"
"""What the blocking readers of workers are called in CLIENT LIST."""

_CONNECTIONS = 32
_ASK_S = 2.0
_MOST_PORT = 65_535


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
        pool = PunctualPool.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_timeout=TIMEOUT_S, parser_class=PunctualParser, **_options(url)
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


async def ask(client: redis.asyncio.Redis) -> None:
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


def is_fake(client: object) -> bool:
    """Whether a client is fakeredis, which knows no script flags and cannot block in XREADGROUP."""
    return type(client).__module__.partition(".")[0] == "fakeredis"


class PlainClient(redis.asyncio.Redis):
    """An async client that says of a connection that is gone that it is gone."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with closed_is_lost():
            return await cast("Any", super()).execute_command(*args, **options)


@contextlib.contextmanager
def closed_is_lost() -> Iterator[None]:
    """What uvloop says of a write to a connection that the other side has just closed (asyncio raises OSError).

    And what the client says of one that another task has just closed.
    """
    try:
        yield
    except (RuntimeError, AttributeError) as error:
        if not str(error).endswith(("the handler is closed", "no attribute 'writelines'")):
            raise
        raise exceptions.ConnectionError(f"the connection was closed: {error}") from error

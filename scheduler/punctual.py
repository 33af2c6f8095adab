"""Blocking connections that keep to the time of the call they serve, whatever they do in it."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any

import redis
from redis import exceptions
from redis.connection import DefaultParser

from scheduler.attempts import TIMEOUT_S

CONNECT_TIMEOUT_S = 1.5
_SPARE_S = 0.005
_LEAST_S = 0.001

_due: ContextVar[tuple[float, float]] = ContextVar("due")
"""Monotonic seconds at which an answer has begun, and at which it is whole."""


class within:  # noqa: N801  it reads as a word; a generator would cost as much as sending a command does
    """What is done in the block takes no longer; a connection gives up then, with a TimeoutError.

    Args:
        seconds: For everything.
        whole_s: For a reply that has begun to come; None: no more than for everything.
    """

    __slots__ = ("_mark", "_seconds", "_whole_s")

    def __init__(self, seconds: float, whole_s: float | None = None) -> None:
        self._seconds = seconds
        self._whole_s = seconds if whole_s is None else whole_s

    def __enter__(self) -> None:
        now = time.monotonic()
        self._mark = _due.set((now + self._seconds, now + self._whole_s))

    def __exit__(self, *_: object) -> None:
        _due.reset(self._mark)


class PunctualPool(redis.BlockingConnectionPool):
    """Nobody waits longer for one of its connections than the call may take that needs it."""

    @property
    def timeout(self) -> float:
        """Seconds that the library may wait."""
        return max(_LEAST_S, _left_s())

    @timeout.setter
    def timeout(self, _: float | None) -> None:
        """What the library sets is not asked for."""


class PunctualParser(DefaultParser):  # type: ignore[valid-type,misc]  # chosen when it is imported
    """Reads replies; one that comes in pieces is bounded as a whole, not piece by piece."""

    _begun = False

    def read_response(self, *args: Any, **options: Any) -> Any:
        self._begun = False
        return super().read_response(*args, **options)

    def read_from_socket(self, *args: Any, **options: Any) -> Any:
        if self._sock is not None:
            _bound(self._sock, begun=self._begun)
        self._begun = True
        return super().read_from_socket(*args, **options)


class _Punctual:
    """A blocking connection that takes no longer than it may, whatever it does: connect, greet, send, read."""

    _sock: Any
    socket_timeout: float | None
    socket_connect_timeout: float | None

    def _connect(self) -> Any:
        left_s = max(_LEAST_S, _left_s())
        self.socket_timeout, self.socket_connect_timeout = left_s, min(left_s, CONNECT_TIMEOUT_S)
        return super()._connect()  # type: ignore[misc]

    def send_packed_command(self, *args: Any, **options: Any) -> Any:
        if self._sock is not None:
            _bound(self._sock)
        return super().send_packed_command(*args, **options)  # type: ignore[misc]


class _PunctualTcp(_Punctual, redis.Connection):
    pass


class _PunctualTls(_Punctual, redis.SSLConnection):
    pass


class _PunctualUnix(_Punctual, redis.UnixDomainSocketConnection):
    pass


PUNCTUAL: dict[type[Any], type[Any]] = {
    redis.Connection: _PunctualTcp,
    redis.SSLConnection: _PunctualTls,
    redis.UnixDomainSocketConnection: _PunctualUnix,
}
"""By the class that the client library takes for a url."""


def is_punctual(pool: redis.ConnectionPool) -> bool:
    """Whether the connections of a pool are of these."""
    return issubclass(pool.connection_class, _Punctual)


def _bound(sock: Any, *, begun: bool = False) -> None:
    """Set a socket's own bound, where the one that is set is not as good: that costs a system call.

    Raises:
        TimeoutError: The time is over.
    """
    left_s = _left_s(begun=begun)
    if left_s <= 0:
        raise exceptions.TimeoutError("Timeout reading from socket")
    if not left_s <= (sock.gettimeout() or 0) <= left_s + _SPARE_S:
        sock.settimeout(left_s)


def _left_s(*, begun: bool = False) -> float:
    due = _due.get(None)
    return TIMEOUT_S if due is None else due[begun] - time.monotonic()

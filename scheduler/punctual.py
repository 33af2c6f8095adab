"""Blocking connections that keep to the time of the call they serve, whatever they do in it."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any

import redis

from scheduler.attempts import TIMEOUT_S

CONNECT_TIMEOUT_S = 1.5
_SPARE_S = 0.005

_answer_due: ContextVar[float] = ContextVar("answer_due")


class within:  # noqa: N801  it reads as a word; a generator would cost as much as sending a command does
    """What is done in the block takes no longer; a connection gives up then, with a TimeoutError."""

    __slots__ = ("_mark", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._mark = _answer_due.set(time.monotonic() + self._seconds)

    def __exit__(self, *_: object) -> None:
        _answer_due.reset(self._mark)


class _Punctual:
    """A blocking connection that takes no longer than it may, whatever it does: connect, greet, send, read."""

    _sock: Any
    socket_timeout: float | None
    socket_connect_timeout: float | None

    def _connect(self) -> Any:
        left_s = self._left_s()
        self.socket_timeout, self.socket_connect_timeout = left_s, min(left_s, CONNECT_TIMEOUT_S)
        return super()._connect()  # type: ignore[misc]

    def send_packed_command(self, *args: Any, **options: Any) -> Any:
        self._bound()
        return super().send_packed_command(*args, **options)  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        self._bound()
        return super().read_response(*args, **options)  # type: ignore[misc]

    def _bound(self) -> None:
        """Set the socket's own bound, where the one that is set is not as good: that costs a system call."""
        if self._sock is None:
            return
        left_s = self._left_s()
        if not left_s <= (self._sock.gettimeout() or 0) <= left_s + _SPARE_S:
            self._sock.settimeout(left_s)

    def _left_s(self) -> float:
        due = _answer_due.get(None)
        return TIMEOUT_S if due is None else max(0.001, due - time.monotonic())


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

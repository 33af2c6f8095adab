"""Blocking connections that keep to the time of the call they serve, whatever they do in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import redis

from scheduler.attempts import TIMEOUT_S

CONNECT_TIMEOUT_S = 1.5

_answer_due: ContextVar[float] = ContextVar("answer_due")


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is done in the block takes no longer; a connection gives up then, with a TimeoutError."""
    mark = _answer_due.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _answer_due.reset(mark)


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
        if self._sock is not None:
            self._sock.settimeout(self._left_s())
        return super().send_packed_command(*args, **options)  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        if self._sock is not None:
            self._sock.settimeout(self._left_s())
        return super().read_response(*args, **options)  # type: ignore[misc]

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

"""Blocking connections that a store keeps at hand: to take one from the client's pool costs more than a command."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, cast

import redis
from redis import exceptions

MOST: Final = 4
"""What is above goes back to the pool at once: threads wait there when all its connections are in use."""


class Kept:
    """Sends commands, one at a time on each connection; threads may share it.

    Args:
        pool: The client's.
        most: Connections kept at hand; 0 for a client that others use too.
    """

    def __init__(self, pool: redis.ConnectionPool, most: int) -> None:
        self._pool = pool
        self._most = most
        self._idle: deque[Any] = deque()

    def ask(self, packed: bytes) -> Any:
        """Send a command and return its reply, or raise the error with which the server refused it.

        Raises:
            ConnectionError, TimeoutError, OSError: As the client does.
        """
        connection = self._take()
        try:
            connection.send_packed_command([packed], check_health=False)
            reply = connection.read_response()
        except exceptions.ResponseError:
            self._give(connection)
            raise
        except BaseException:
            self._drop(connection)
            raise
        self._give(connection)
        return reply

    def drop(self) -> None:
        """Close what is at hand."""
        while self._idle:
            self._drop(self._idle.pop())

    def _take(self) -> Any:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:  # or another thread was faster
                return cast("Any", self._pool).get_connection()
            if _is_alive(connection):
                return connection
            self._drop(connection)

    def _give(self, connection: Any) -> None:
        if len(self._idle) < self._most:
            self._idle.append(connection)
        else:
            self._pool.release(connection)

    def _drop(self, connection: Any) -> None:
        connection.disconnect()
        self._pool.release(connection)


def _is_alive(connection: Any) -> bool:
    """Whether it is connected, and nothing came that nobody asked for: an end, or the rest of something."""
    try:
        return connection._sock is not None and not connection.can_read(timeout=0)  # noqa: SLF001
    except (exceptions.ConnectionError, exceptions.TimeoutError, OSError):
        return False

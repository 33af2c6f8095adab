"""Blocking connections that a store keeps at hand: to take one from the client's pool costs more than a command."""

from __future__ import annotations

import contextlib
import os
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
        self._wanting: deque[None] = deque()

    def ask(self, packed: bytes) -> Any:
        """Send a command and return its reply, or raise the error with which the server refused it.

        Raises:
            ConnectionError, TimeoutError, OSError: As the client does.
        """
        connection = self.take()
        try:
            connection.send_packed_command([packed], check_health=False)
            reply = connection.read_response()
        except exceptions.ResponseError:
            self.give(connection)
            raise
        except BaseException:
            self.throw_away(connection)
            raise
        self.give(connection)
        return reply

    def line(self) -> Line:
        """A connection for commands of which each is sent before the one before it is answered."""
        return Line(self)

    def drop(self) -> None:
        """Close what is at hand."""
        while self._idle:
            self.throw_away(self._idle.pop())

    def take(self) -> Any:
        """A connection that is connected and at rest."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:  # or another thread was faster
                return self._from_pool()
            if _is_alive(connection):
                return connection
            self.throw_away(connection)

    def give(self, connection: Any) -> None:
        """Take back a connection that is at rest."""
        if len(self._idle) < self._most:
            self._idle.append(connection)
            if self._wanting:
                self._hand_over()
        else:
            self._pool.release(connection)

    def _from_pool(self) -> Any:
        """Where all are in use, wait for the next that any thread gives back."""
        self._wanting.append(None)
        try:
            self._hand_over()  # one that was given back before anybody could know
            return cast("Any", self._pool).get_connection()
        finally:
            self._wanting.pop()

    def _hand_over(self) -> None:
        with contextlib.suppress(IndexError):
            self._pool.release(self._idle.pop())

    def throw_away(self, connection: Any) -> None:
        """Take back a connection of which nobody knows what comes next."""
        connection.disconnect()
        if connection.pid == os.getpid():  # after a fork the pool begins anew, and knows nothing of it
            self._pool.release(connection)


class Line:
    """A connection whose replies may come later than the next command leaves, in order; of one thread."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._connection: Any = None
        self._unanswered = 0
        self._lost = False

    def send(self, packed: bytes) -> None:
        """Send a command; that it could not be sent `receive` says."""
        self._unanswered += 1
        if self._lost:
            return
        try:
            if self._connection is None:
                self._connection = self._kept.take()
            self._connection.send_packed_command([packed], check_health=False)
        except _LOST:
            self._lose()

    def receive(self) -> Any:
        """The reply to the first command that has none yet, or the error with which the server refused it.

        Raises:
            ConnectionError, TimeoutError, OSError: It is lost; so are those behind it.
        """
        self._unanswered -= 1
        if self._lost:
            if not self._unanswered:
                self._lost = False  # the next goes by a new connection
            raise exceptions.ConnectionError("the connection was lost")
        try:
            return self._connection.read_response()
        except exceptions.ResponseError:
            raise
        except _LOST:
            self._lose()
            self._lost = self._unanswered > 0
            raise

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            (self._kept.throw_away if self._unanswered else self._kept.give)(self._connection)
            self._connection = None

    def _lose(self) -> None:
        self._lost = True
        if self._connection is not None:
            self._kept.throw_away(self._connection)
            self._connection = None


_LOST: Final = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)


def _is_alive(connection: Any) -> bool:
    """Whether it is this process's, and connected, and nothing came that nobody asked for: an end, or the rest of
    something."""
    try:
        return (
            connection._sock is not None  # noqa: SLF001
            and connection.pid == os.getpid()  # a fork would read what its parent has asked for
            and not connection.can_read(timeout=0)
        )
    except _LOST:
        return False

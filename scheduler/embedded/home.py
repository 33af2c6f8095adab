"""The data directory of an embedded server: its locks, its records, and who answers for it.

Everything that decides is a lock that the kernel lets go when its holder dies, so a SIGKILL anywhere leaves nothing
to repair::

    start.lock   exclusive, while one process starts or stops the server
    users.lock   shared, by every user from start to stop
    server.lock  exclusive, by the server itself from launch to exit: it inherits the open file
    server.json  url, pid and version; the url is written before the launch, so an orphan can always be found
    server.pid   written by the server; while server.lock is held, this pid belongs to nobody else
    server.log   of this server; server.log.1 of the one before
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from scheduler.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOST: Final = "127.0.0.1"
POLL_S: Final = 0.01
TURN_S: Final = 60.0  # more than one start or stop takes at worst
FORMER_S: Final = 10.0
ANSWER_S: Final = 1.0
LOG_LINES: Final = 8
LOCKS: Final = ("start.lock", "users.lock", "server.lock")


@dataclass(frozen=True)
class Server:
    """A server that answered and is the one of the directory."""

    port: int
    pid: int
    version: str
    loading: bool

    @property
    def url(self) -> str:
        """Where clients find it."""
        return url_of(self.port)


class Home:
    """The data directory, held open: what was locked stays locked, even if somebody deletes the directory."""

    def __init__(self, path: Path, *, create: bool) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        with contextlib.ExitStack() as opened:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            opened.callback(os.close, self._fd)
            locks: list[int] = []
            for name in LOCKS:
                locks.append(os.open(name, flags, 0o600, dir_fd=self._fd))
                opened.callback(os.close, locks[-1])
            self._start, self._users, self._server = locks
            self._opened = opened.pop_all()

    @classmethod
    def make(cls, path: Path) -> Home:
        """The directory, made where it is missing and kept out of the git repository around it."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_own(path)
        if not any(path.iterdir()):  # never in a directory that has a life of its own
            (path / ".gitignore").write_text("*\n", encoding="utf-8")
        return cls(path, create=True)

    @classmethod
    def find(cls, path: Path) -> Home | None:
        """The directory as it is; None if no server was ever started in it."""
        try:
            _check_own(path)
            return cls(path, create=False)
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Close every file, which lets go of every lock."""
        self._opened.close()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until nobody else starts or stops the server, and keep them out meanwhile."""
        if not until(lambda: _lock(self._start, fcntl.LOCK_EX), TURN_S):
            raise ConfigurationError(
                f"another process has been starting or stopping the server of {self.path} too long"
            )
        try:
            yield
        finally:
            fcntl.flock(self._start, fcntl.LOCK_UN)

    def enter(self) -> None:
        """Become a user; within `turn`."""
        fcntl.flock(self._users, fcntl.LOCK_SH)

    def leave(self) -> bool:
        """Stop being a user; within `turn`. True: nobody is left."""
        fcntl.flock(self._users, fcntl.LOCK_UN)
        return _lock(self._users, fcntl.LOCK_EX)

    def has_server(self) -> bool:
        """Whether a server of this directory lives, answering or not."""
        if not _lock(self._server, fcntl.LOCK_SH):
            return True
        fcntl.flock(self._server, fcntl.LOCK_UN)
        return False

    @contextlib.contextmanager
    def server_lock(self) -> Iterator[int]:
        """The lock of a new server, as an open file to hand down. Ours is closed, never unlocked: it is one lock."""
        fd = os.open("server.lock", os.O_RDWR | os.O_NOFOLLOW, dir_fd=self._fd)
        try:
            # Held for a moment by whoever asks `has_server`.
            if not until(lambda: _lock(fd, fcntl.LOCK_EX), FORMER_S):
                raise ConfigurationError(f"a former server of {self.path} has not ended yet")
            yield fd
        finally:
            os.close(fd)

    def server(self) -> Server | None:
        """The live server if it answers: its lock is held, and who answers has the pid that it wrote."""
        port, pid = self.port(), self.pid()
        if port is None or pid is None or not self.has_server():
            return None
        facts = dict(line.split(":", 1) for line in ask(port, "INFO").splitlines() if ":" in line)
        if facts.get("process_id") != str(pid):
            return None
        version = facts.get("valkey_version") or facts.get("redis_version", "")
        return Server(port, pid, version, loading=facts.get("loading") != "0")

    def port(self) -> int | None:
        """The port of the live or the former server; None if there is no readable record."""
        try:
            url: str = json.loads(self._read("server.json"))["url"]
            return urlsplit(url).port
        except (ValueError, TypeError, KeyError, AttributeError):
            return None  # never written, or damaged: either way it leads to no server

    def pid(self) -> int | None:
        """What the server wrote when it started."""
        text = self._read("server.pid").strip()
        return int(text) if text.isdecimal() else None

    def log(self) -> str:
        """The last lines of the server's log."""
        return "\n".join(self._read("server.log").splitlines()[-LOG_LINES:])

    def record(self, **facts: str | int) -> None:
        """Write `server.json`, whole or not at all."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open("server.json.new", flags, 0o600, dir_fd=self._fd), "w", encoding="utf-8") as file:
            json.dump(facts, file)
        os.replace("server.json.new", "server.json", src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def clear(self) -> None:
        """Put away what a former server left: its pid is void, its log is kept once."""
        with contextlib.suppress(FileNotFoundError):  # it ended well, or there was none
            os.unlink("server.pid", dir_fd=self._fd)
        with contextlib.suppress(FileNotFoundError):  # the first server here
            os.replace("server.log", "server.log.1", src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def _read(self, name: str) -> str:
        """A file's text, empty if there is none."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._fd)
        except FileNotFoundError:
            return ""
        with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
            return file.read()


def ask(port: int, command: str) -> str:
    """What the server at `port` says to one inline command; empty if nobody answers.

    A socket, not the Redis client: only the store knows that one, and importing it takes longer than the launch.
    """
    try:
        with socket.create_connection((HOST, port), ANSWER_S) as connection, connection.makefile("rb") as replies:
            connection.settimeout(ANSWER_S)
            connection.sendall(f"{command}\r\n".encode())
            head: bytes = replies.readline(1024).strip()
            reply: bytes = replies.read(int(head[1:])) if head.startswith(b"$") else head
    except (OSError, ValueError):
        return ""  # nobody there, or somebody else: the caller looks for what only our server says
    return reply.decode(errors="replace")


def url_of(port: int) -> str:
    """The url of an embedded server."""
    return f"redis://{HOST}:{port}/0"


@contextlib.contextmanager
def usable(path: Path) -> Iterator[None]:
    """Say which directory it was when the file system refuses something."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"cannot use {path}: {error.strerror}") from error


def until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Poll `condition`; whether it came true in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _lock(fd: int, kind: int) -> bool:
    """Take the lock if it is free."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_own(path: Path) -> None:
    """Refuse a directory, or a link to it, through which somebody else could give us a server or files to follow."""
    target = path.stat()
    if {path.lstat().st_uid, target.st_uid} != {os.geteuid()} or target.st_mode & stat.S_IWOTH:
        raise ConfigurationError(f"cannot use {path}: it must belong to you, and only you may write in it")

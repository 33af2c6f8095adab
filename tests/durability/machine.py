"""A server whose machine can lose its power, and a primary whose replica takes its place."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from scheduler import EmbeddedServer
from tests.worker.processes import wait_until


class Machine:
    """One server and its disk.

    Args:
        directory: Of its data.
        fsync: 'always' or 'everysec'; '' for no append-only file.
    """

    def __init__(self, directory: Path, fsync: str) -> None:
        self._directory = directory
        config = {"appendfsync": fsync} if fsync else {}
        self._server = EmbeddedServer(directory, persistent=bool(fsync), config=config)
        self.url = self._server.start()

    def journal(self) -> Path:
        """The append-only file that grows."""
        (path,) = (self._directory / "appendonlydir").glob("*.incr.aof")
        return path

    def written(self) -> int:
        """Bytes of it: those that were synced, and those that a power cut may take away."""
        return self.journal().stat().st_size

    def kill(self) -> None:
        """The process is gone, and its connections with it."""
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.stop()

    def start(self) -> None:
        """It comes back with what is on the disk."""
        assert self._server.start() == self.url, "its port was taken meanwhile"

    def crash(self) -> None:
        """The process dies and comes back; the machine stays."""
        self.kill()
        self.start()

    def lose_power(self, kept: int) -> None:
        """The machine goes down, and comes back with the first `kept` bytes of the file."""
        self.kill()
        os.truncate(self.journal(), kept)
        self.start()

    def stop(self) -> None:
        self._server.stop()


class Pair:
    """A primary at `url`, and its replica.

    Args:
        directory: Of their data.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.primary = EmbeddedServer(directory / "primary", persistent=False, config=_AT_ONCE)
        self.url = self.primary.start()
        self._port = urlsplit(self.url).port
        self.replica = EmbeddedServer(
            directory / "replica", persistent=False, config={**_AT_ONCE, "replicaof": f"127.0.0.1 {self._port}"}
        )
        self.replica.start()
        self.on_primary = redis.Redis.from_url(self.url)
        self.on_replica = redis.Redis.from_url(self.replica.url)
        self.wait_linked()

    def wait_linked(self) -> None:
        """Until the replica has all that the primary had."""

        def linked() -> bool:
            self.command("SET", "linked", "1")  # WAIT is for what its own connection has written
            return bool(self.command("WAIT", 1, 100) == 1)

        wait_until(linked, what="the replica's link")

    def command(self, *command: Any) -> Any:
        """Run a plain command on the primary."""
        return self.on_primary.execute_command(*command)  # type: ignore[no-untyped-call]

    def signal(self, number: signal.Signals) -> None:
        """To the replica."""
        os.kill(self.replica.pid, number)

    def part(self) -> None:
        """The network between them is cut, and whoever watches them makes the replica a primary."""
        self.on_replica.replicaof("NO", "ONE")

    def join(self) -> None:
        """The replica follows the primary again."""
        self.on_replica.replicaof("127.0.0.1", str(self._port))
        self.wait_linked()

    def fail_over(self) -> None:
        """The primary dies, and the replica is found at its address."""
        os.kill(self.primary.pid, signal.SIGKILL)
        self.primary.stop()
        self.part()
        self.on_replica.config_set("port", str(self._port))

    @contextlib.contextmanager
    def another(self) -> Iterator[None]:
        """A replica of what is found at the address now."""
        config = {**_AT_ONCE, "replicaof": f"127.0.0.1 {self._port}"}
        with EmbeddedServer(self._directory / "another", persistent=False, config=config):
            yield

    def stop(self) -> None:
        self.signal(signal.SIGCONT)
        self.on_primary.close()
        self.on_replica.close()
        self.replica.stop()
        self.primary.stop()


_AT_ONCE: Mapping[str, str] = {"repl-diskless-sync-delay": "0"}

"""A server whose machine can lose its power, and a primary whose replica takes its place."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from scheduler import EmbeddedServer
from tests.faults.proxy import Proxy
from tests.worker.processes import wait_until


class Machine:
    """One server and its disk.

    Args:
        directory: Of its data.
        fsync: 'always' or 'everysec'; '' for no append-only file.
    """

    def __init__(self, directory: Path, fsync: str) -> None:
        self._directory = directory
        # Not by its port: while the server is down, anybody may take that.
        self._folder = tempfile.TemporaryDirectory()
        self.url = f"unix://{self._folder.name}/redis"
        config = {"unixsocket": f"{self._folder.name}/redis"} | ({"appendfsync": fsync} if fsync else {})
        self._server = EmbeddedServer(directory, persistent=bool(fsync), config=config)
        self._server.start()

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
        self._server.start()

    def recover(self) -> None:
        """It comes back after a power cut, and writes its file anew: what was torn must not be read a second time."""
        self.start()
        with redis.Redis.from_url(self.url) as client:
            client.bgrewriteaof()
            wait_until(lambda: _is_written(client), what="the end of the rewrite")

    def crash(self) -> None:
        """The process dies and comes back; the machine stays."""
        self.kill()
        self.start()

    def lose_power(self, kept: int) -> None:
        """The machine goes down, and comes back with the first `kept` bytes of the file."""
        self.kill()
        os.truncate(self.journal(), kept)
        self.recover()

    def stop(self) -> None:
        self._server.stop()
        self._folder.cleanup()


def _is_written(client: redis.Redis) -> bool:
    persistence: Any = client.info("persistence")
    return not persistence["aof_rewrite_in_progress"] and not persistence["aof_rewrite_scheduled"]


class Pair:
    """A primary, found at `url`, and its replica.

    Args:
        directory: Of their data.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.primary = EmbeddedServer(directory / "primary", persistent=False, config=_AT_ONCE)
        self.primary.start()
        self.replica = self._follower("replica", self.primary)
        self.replica.start()
        self.proxy = Proxy(self.primary.url).start()
        self.url = self.proxy.url
        self.on_primary = redis.Redis.from_url(self.primary.url)
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

    def fail_over(self) -> None:
        """The primary dies, and the replica is found at its address."""
        os.kill(self.primary.pid, signal.SIGKILL)
        self.primary.stop()
        self.part()
        self.proxy.retarget(self.replica.url)
        self.proxy.cut_all()

    def swap(self) -> None:
        """The replica is promoted and found at the address, the old primary follows it, and no connection is cut."""
        self.part()
        self.proxy.retarget(self.replica.url)
        self.on_primary.replicaof("127.0.0.1", str(_port(self.replica)))

    @contextlib.contextmanager
    def another(self) -> Iterator[None]:
        """A replica of the promoted one."""
        with self._follower("another", self.replica):
            yield

    def _follower(self, name: str, primary: EmbeddedServer) -> EmbeddedServer:
        config = {**_AT_ONCE, "replicaof": f"127.0.0.1 {_port(primary)}"}
        return EmbeddedServer(self._directory / name, persistent=False, config=config)

    def stop(self) -> None:
        self.signal(signal.SIGCONT)
        self.proxy.close()
        self.on_primary.close()
        self.on_replica.close()
        self.replica.stop()
        self.primary.stop()


def _port(server: EmbeddedServer) -> int:
    return urlsplit(server.url).port or 0


_AT_ONCE: Mapping[str, str] = {"repl-diskless-sync-delay": "0"}

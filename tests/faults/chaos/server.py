"""A server that is killed, loses power, and whose clock jumps: a child process with a folder and a port of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from tests.acl import directives
from tests.worker.processes import wait_until

HOST = "127.0.0.1"
START_S = 20.0
OURS = "chaos"
"""What our own connections are called; there is one for each thread that has asked."""
SYNC_S = 1.0
"""What `everysec` may lose."""

_SAMPLE_S = 0.02
_CONFIG = (
    f"bind {HOST}", 'dir "."', 'save ""', "appendonly yes", "enable-debug-command yes", "auto-aof-rewrite-percentage 0",
    "repl-diskless-sync-delay 0", "maxmemory-policy noeviction", "latency-tracking no", "slowlog-max-len 0",
)  # fmt: skip


class Server:
    """One server of a phase.

    Args:
        program: The server's program.
        folder: Its data, log and clock.
        config: Directives besides our own.
        faketime: The library that gives it a clock of its own, None to leave it that of the machine.
        rewrites: Whether its file is written anew after a power cut, as docs/durability.md asks of all but Valkey 9.
    """

    def __init__(
        self,
        program: Path,
        folder: Path,
        config: Mapping[str, str],
        faketime: Path | None = None,
        *,
        rewrites: bool = False,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.port = _free_port()
        self._command = [str(program), "-"]
        self._config = "\n".join(
            [*_CONFIG, *directives(), f"port {self.port}", *(f"{name} {config[name]}" for name in config), ""]
        )
        self._clock = folder / "clock"
        self.set_clock(0)
        self._environment = dict(os.environ)
        if faketime is not None:
            self._environment |= {
                "LD_PRELOAD": str(faketime),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock.resolve()),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        self.process: subprocess.Popen[bytes] | None = None
        self.admin: Any = redis.Redis(HOST, self.port, socket_timeout=5, protocol=2, client_name=OURS)
        self._rewrites = rewrites
        self._synced = 0
        self._sizes: deque[tuple[float, int]] = deque(maxlen=round(SYNC_S / _SAMPLE_S))
        self._sampler: threading.Thread | None = None
        self._over = threading.Event()

    @property
    def url(self) -> str:
        """Where it is, also while it is down."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def is_up(self) -> bool:
        """Whether its process lives and has loaded its data."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, with what it has in its folder, and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self.folder, env=self._environment, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        assert self.process.stdin is not None
        self.process.stdin.write(self._config.encode())
        self.process.stdin.close()
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self.process.poll() is None, f"the server ended: {self.folder / 'server.log'}"
            assert time.monotonic() < deadline, f"the server did not answer in {START_S:g} s"
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL: what it has written stays."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def cut_power(self, pick: float) -> int:
        """SIGKILL, and the machine loses up to the last second of the file; returns how many bytes.

        `everysec` had the file synced at some moment of that second: where, `pick` says, down to the byte.
        """
        self.kill()
        (file,) = self.folder.glob("appendonlydir/*.incr.aof")
        written = file.stat().st_size
        since = time.monotonic() - SYNC_S
        synced = max(self._synced, min([size for at, size in list(self._sizes) if at >= since] + [written]))
        kept = synced + int((written - synced) * pick)
        os.truncate(file, kept)
        self._sizes.clear()
        return written - kept

    def sync(self) -> None:
        """Sync the file as it is now: no power cut takes that away."""
        (file,) = _existing(self.folder)
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            self._synced = os.fstat(opened.fileno()).st_size

    def recover(self) -> None:
        """Start it after a power cut."""
        self.start()
        if self._rewrites:
            self.admin.bgrewriteaof()
            wait_until(self._is_written, what="the end of the rewrite")
            self._sizes.clear()
            self._synced = 0

    def follows(self) -> bool:
        """Whether it is a replica that has all that its primary has sent."""
        found = self.admin.info("replication")
        return found["role"] == "slave" and found["master_link_status"] == "up" and not found["master_sync_in_progress"]

    def promote(self) -> None:
        """From a replica to a primary."""
        self.admin.execute_command("REPLICAOF", "NO", "ONE")

    def sample(self) -> None:
        """Take note of the file's length from now on, as `cut_power` needs it."""
        self._sampler = threading.Thread(target=self._sample, name="chaos-aof", daemon=True)
        self._sampler.start()

    def set_clock(self, by_s: int) -> None:
        """Set the clock so many seconds before or after the machine's; it takes up to a second to notice."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"{by_s:+d}\n")
        new.replace(self._clock)

    def now_ms(self) -> int:
        """Its time."""
        seconds, micros = self.admin.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def entries(self, stream: str) -> int:
        """How many entries a stream has, 0 while the server is down."""
        try:
            return int(self.admin.xlen(stream))
        except redis.RedisError:
            return 0

    def close(self) -> None:
        """End it."""
        self._over.set()
        if self._sampler is not None:
            self._sampler.join()
        if self.is_up:
            self.kill()
        self.admin.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _is_written(self) -> bool:
        found = self.admin.info("persistence")
        under_way = found["aof_rewrite_in_progress"] or found["aof_rewrite_scheduled"]
        return not under_way and len(list(_existing(self.folder))) == 1

    def _answers(self) -> bool:
        try:
            return bool(self.admin.ping())
        except redis.RedisError:  # not there yet, or loading
            return False

    def _sample(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            sizes = [file.stat().st_size for file in _existing(self.folder)]
            if sizes and self.is_up:
                self._sizes.append((time.monotonic(), max(sizes)))


def _existing(folder: Path) -> Iterator[Path]:
    yield from folder.glob("appendonlydir/*.incr.aof")


def _free_port() -> int:
    """Below the ports of outgoing connections: a client that calls in vain must not be given it."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        return port
    raise OSError("no free port")

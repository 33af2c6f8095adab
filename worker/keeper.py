"""The keeper: a small process beside a worker, which renews its leases while nothing in it can.

A handler that holds the interpreter's lock (an extension in C, one huge multiplication, a hopeless regular expression)
stops all threads of its process, the lease's too. Then this one renews, by the worker's name, until the worker is back,
is dead, is paused, or has been silent for longer than any handler may run.

    python -P -m worker.keeper < a hello, then a line for each renewal of the worker's own

A line says for how many seconds of silence the worker may be renewed for.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from scheduler import transitions
from scheduler.clients import blocking_client
from scheduler.errors import Unavailable
from scheduler.keys import Keys
from scheduler.leases import heartbeat_ms, lost_after_ms
from scheduler.store import BlockingStore
from worker.keeper_hello import PLACE_BYTES, Hello

LIMIT = 1_000
"""Entries a queue and actions that one call renews: 2 ms of the server."""

_PAUSED = "Tt"
"""States of a process that was stopped by a signal or a debugger."""


class Keeper:
    """Renews for one worker, when that is silent.

    Args:
        store: Of its own.
        hello: For whom.
        seen: The mapped file.
        state: The state of the worker's process, as `ps` calls it; '' where it is gone.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        store: BlockingStore,
        hello: Hello,
        seen: memoryview,
        state: Callable[[int], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._hello = hello
        self._seen = seen.cast("Q")
        self._state = state
        self._clock = clock
        self._heard = clock()
        self._most_s = hello.most_s

    def hear(self, most_s: float) -> None:
        """The worker has renewed by itself; silent from now on, it may be renewed for during `most_s`."""
        self._most_s = most_s
        self._heard = self._clock()

    def wait_s(self) -> float:
        """Seconds until the next look."""
        every_s = self._hello.every_ms / 1000
        return max(every_s / 4, self._late_s() - (self._clock() - self._heard))

    def step(self) -> tuple[int, int]:
        """Renew, if that is due: entries and actions renewed, (0, 0) where it is not.

        Raises:
            Unavailable: Redis does not answer.
        """
        silent_s = self._clock() - self._heard
        if silent_s < self._late_s():
            self._store.close()  # an idle connection may be cut by anyone, and is not missed
            return 0, 0
        if silent_s > self._most_s or self._state(self._hello.pid)[:1] in ("", *_PAUSED):
            return 0, 0
        hello = self._hello
        seen = {queue: str(place) for queue, place in zip(hello.queues, self._seen, strict=True)}
        renewed = (LIMIT, LIMIT)
        total = (0, 0)
        while LIMIT in renewed:
            renewed = self._store.run(
                transitions.sustain(
                    hello.worker,
                    lost_after_ms(hello.lease_ms),
                    heartbeat_ms(hello.lease_ms),
                    hello.every_ms // 2,
                    LIMIT,
                    seen,
                )
            )
            total = total[0] + renewed[0], total[1] + renewed[1]
        return total

    def _late_s(self) -> float:
        """A renewal that is half as late again as it should be does not come."""
        return self._hello.every_ms * 1.5 / 1000


def state_of(pid: int) -> str:
    """The state of a process, '' where there is none."""
    try:
        # The name of the program, in parentheses, may hold anything.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    told = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return told.stdout.strip()


def main() -> None:
    """Keep the worker whose hello comes by standard input, until that ends."""
    # Whoever stops the worker's group of processes means the worker, which ends us by the pipe.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pipe = sys.stdin.buffer
    line = pipe.readline()
    if not line:
        return
    hello = Hello.decode(line)
    seen = mmap.mmap(hello.seen_fd, PLACE_BYTES * len(hello.queues), access=mmap.ACCESS_READ)
    store = BlockingStore(Keys(hello.namespace), blocking_client(hello.url))
    keeper = Keeper(store, hello, memoryview(seen), state_of)
    # A thread of its own, so that the end of the pipe ends us though Redis does not answer.
    threading.Thread(target=_keep, args=(keeper, hello.pid), daemon=True).start()
    while line := pipe.readline():
        keeper.hear(float(line))
    os._exit(0)


def _keep(keeper: Keeper, parent: int) -> None:
    while True:
        time.sleep(keeper.wait_s())
        # A process that the worker has forked may hold the pipe open longer than the worker lives.
        if os.getppid() != parent:
            os._exit(0)
        try:
            with contextlib.suppress(Unavailable):  # the worker's own log tells of it
                keeper.step()
        except BaseException:  # noqa: BLE001  told, and the worker starts another one
            sys.excepthook(*sys.exc_info())
            os._exit(1)


if __name__ == "__main__":
    main()

"""The supervisor: N worker processes, kept alive, stopped together."""

from __future__ import annotations

import logging
import queue
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import FrameType

from worker.child import Child, describe_end
from worker.restarts import Restarts

_log = logging.getLogger("duestream.supervisor")

_LOOK_S = 0.5
_FIRST_BACKOFF_S, _MOST_BACKOFF_S, _HEALTHY_S = 0.2, 30.0, 30.0


class Signal(Enum):
    """The parent was told to stop."""

    STOP = auto()


@dataclass(frozen=True, slots=True)
class Ended:
    """A child has ended."""

    child: Child


@dataclass(slots=True)
class _Place:
    """One of the N: its child, or when the next one starts."""

    number: int
    child: Child | None = None
    started: float = 0.0
    restarts: Restarts = field(default_factory=lambda: Restarts(_FIRST_BACKOFF_S, _MOST_BACKOFF_S, _HEALTHY_S))
    restart_at: float | None = None


class Supervisor:
    """Starts and watches children until a signal, or with `burst` until all have ended.

    Args:
        arguments: The command line of one child.
        processes: How many.
        start: Makes a child.
        burst: Children end by themselves, and are not started again.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        processes: int,
        start: Callable[[Sequence[str], Callable[[Child], None]], Child],
        *,
        burst: bool = False,
    ) -> None:
        self._arguments = arguments
        self._burst = burst
        self._start = start
        self._places = [_Place(number) for number in range(1, processes + 1)]
        self._events: queue.SimpleQueue[Ended | Signal] = queue.SimpleQueue()
        self._stops = 0
        self._failed = False

    def run(self) -> int:
        """Supervise; returns the exit code: 1 if a child ended in error when it should have ended well, else 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for place in self._places:
            self._launch(place)
        while self._goes_on():
            self.step()
        return 1 if self._failed else 0

    def step(self) -> None:
        """Wait for one event or the next restart, and act on it."""
        now = time.monotonic()
        # A signal that comes just before the wait blocks is only handled when it returns.
        due = [now + _LOOK_S] + [place.restart_at for place in self._places if place.restart_at is not None]
        try:
            event = self._events.get(timeout=max(0.0, min(due) - now))
        except queue.Empty:
            for place in self._places:
                if place.restart_at is not None and place.restart_at <= time.monotonic():
                    self._launch(place)
            return
        if isinstance(event, Ended):
            self._ended(event.child)
        else:
            self._stop()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._events.put(Signal.STOP)  # SimpleQueue.put may be called from a signal handler

    def _goes_on(self) -> bool:
        return any(place.child is not None or place.restart_at is not None for place in self._places)

    def _launch(self, place: _Place) -> None:
        place.restart_at = None
        place.started = time.monotonic()
        place.child = self._start(self._arguments, lambda child: self._events.put(Ended(child)))
        _log.info("started process=%d pid=%d", place.number, place.child.pid)

    def _ended(self, child: Child) -> None:
        (place,) = (place for place in self._places if place.child is child)
        place.child = None
        if self._stops or self._burst:
            self._failed |= child.code != 0
            if child.code != 0:
                _log.error("process=%d pid=%d %s", place.number, child.pid, describe_end(child.code))
            return
        wait_s = place.restarts.wait_s(time.monotonic() - place.started)
        place.restart_at = time.monotonic() + wait_s
        _log.error(
            "process=%d pid=%d %s, and is started again in %.1f s",
            place.number, child.pid, describe_end(child.code), wait_s,
        )  # fmt: skip

    def _stop(self) -> None:
        """The first time gently; then hard."""
        self._stops += 1
        for place in self._places:
            place.restart_at = None
            if place.child is not None:
                (place.child.stop if self._stops == 1 else place.child.kill)()

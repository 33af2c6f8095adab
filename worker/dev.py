"""`duestream dev`: the embedded server, one worker, and a restart of it at each change of the code."""

from __future__ import annotations

import contextlib
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from enum import Enum, auto
from pathlib import Path
from types import FrameType

from scheduler.embedded import EmbeddedServer
from scheduler.redaction import redacted
from worker.child import Child, describe_end

DIRECTORY = ".duestream"
_DEBOUNCE_MS = 200
_LOOK_S = 0.5
_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")


class Happening(Enum):
    """What wakes the loop, besides the end of a child."""

    STOP = auto()
    CHANGE = auto()


def run(arguments: Sequence[str], *, url: str | None, target: str, reload: bool = True) -> int:
    """Run server and worker until a signal; returns the exit code.

    Args:
        arguments: The worker's command line, but for the url.
        url: A server to use instead of an embedded one.
        target: MODULE:APP, to be shown.
        reload: Start the worker again when a Python file changes.
    """
    events: queue.SimpleQueue[Child | Happening] = queue.SimpleQueue()
    _handle_signals(lambda: events.put(Happening.STOP))
    with contextlib.ExitStack() as stack:
        place = "given by you"
        if url is None:
            url = stack.enter_context(EmbeddedServer(DIRECTORY)).url
            place = f"data in {DIRECTORY}/"
        reloading = reload and _watch(events, stack)
        _say(f"{target} on {redacted(url)} ({place}){_about_reload(reload, reloading)}")
        _say("in another terminal here: duestream enqueue NAME key=value --wait    (Ctrl-C here stops all)")
        return Dev(arguments, events, url, reloading=reloading).run()


class Dev:
    """The loop: one child, restarted at a change, stopped by a signal.

    Args:
        arguments: The child's command line.
        events: The child's end, changes and signals.
        url: The server.
        reloading: Changes will come, so a child that ended is no reason to end.
    """

    def __init__(
        self, arguments: Sequence[str], events: queue.SimpleQueue[Child | Happening], url: str, *, reloading: bool
    ) -> None:
        self._arguments = arguments
        self._url = url
        self._events = events
        self._reloading = reloading
        self._child: Child | None = None
        self._restart = False
        self._stops = 0

    def run(self) -> int:
        self._launch()
        while True:
            try:
                # A signal that comes just before the call blocks is only handled when it returns.
                event = self._events.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if isinstance(event, Child):
                code = self._ended(event)
                if code is not None:
                    return code
            elif event is Happening.CHANGE:
                self._changed()
            elif self._stop():
                return 0

    def _launch(self) -> None:
        self._restart = False
        self._child = Child(self._arguments, self._events.put, url=self._url)

    def _ended(self, child: Child) -> int | None:
        """What `dev` exits with, None while it goes on."""
        self._child = None
        if self._stops:
            return 0 if child.code == 0 and self._stops == 1 else 1
        if self._restart:
            self._launch()
            return None
        _say(f"the worker {describe_end(child.code)}{'; waiting for the next change' if self._reloading else ''}")
        return None if self._reloading else 1

    def _changed(self) -> None:
        _say("the code changed: the worker starts again")
        if self._child is None:
            self._launch()
        elif not self._restart:
            self._restart = True
            self._child.stop()

    def _stop(self) -> bool:
        """Gently, then hard; True if there is nothing to wait for."""
        self._stops += 1
        if self._child is not None:
            (self._child.stop if self._stops == 1 else self._child.kill)()
        return self._child is None


def _handle_signals(stop: Callable[[], None]) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    for name in _SIGNALS:
        signal.signal(getattr(signal, name), handle)


def _watch(events: queue.SimpleQueue[Child | Happening], stack: contextlib.ExitStack) -> bool:
    """Watch the Python files below this directory from a thread; False where watchfiles is not installed."""
    try:
        import watchfiles
    except ImportError:
        return False
    ended = threading.Event()
    changes = watchfiles.watch(
        Path.cwd(),
        watch_filter=watchfiles.PythonFilter(ignore_paths=[Path.cwd() / DIRECTORY]),
        debounce=_DEBOUNCE_MS,
        stop_event=ended,
        rust_timeout=500,
        raise_interrupt=False,
    )

    def follow() -> None:
        for _ in changes:
            events.put(Happening.CHANGE)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    stack.callback(thread.join, 1.0)
    stack.callback(ended.set)
    return True


def _about_reload(wanted: bool, works: bool) -> str:
    if works:
        return ", reloads on change"
    return "; no reload: pip install watchfiles for it" if wanted else ""


def _say(text: str) -> None:
    sys.stderr.write(f"dev: {text}\n")
    sys.stderr.flush()

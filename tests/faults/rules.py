"""What a proxy does to which request: faults as data, and the rules that say when."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from enum import StrEnum

from tests.faults.resp import Request


class Fault(StrEnum):
    """What happens to one request. BEFORE: the server never sees it whole. AFTER: it was applied.

    A connection on which something was dropped or swallowed is silent in that direction from then on, as a network is
    that has lost a route: whoever waits there finds out by a timeout.
    """

    NONE = "none"
    DROP = "request dropped"
    CUT_BEFORE = "cut before it was sent"
    HALF_BEFORE = "half a request, then cut"
    RESET_BEFORE = "reset before it was sent"
    HOLD_BEFORE = "request held"
    SWALLOW = "reply swallowed"
    CUT_AFTER = "reply cut"
    HALF_AFTER = "half a reply, then cut"
    RESET_AFTER = "reset instead of a reply"
    HOLD_AFTER = "reply held"

    @property
    def after(self) -> bool:
        """Whether it strikes when the server has answered."""
        return self in (Fault.SWALLOW, Fault.CUT_AFTER, Fault.HALF_AFTER, Fault.RESET_AFTER, Fault.HOLD_AFTER)


class Rule:
    """A fault for some requests: the `nth` that matches (from 1), and `times` in a row (None: all that follow).

    Args:
        fault: What happens to them.
        step: Only this step ('' for any): a script's verb or a command in small letters.
        when: Only requests that this is true of.
        nth, times: Which of those that match.
        hold_ms: For a fault that holds: how long; until `release` where None.
        strike: Called at the moment of the fault, on the proxy's thread, before anything else happens: kill, stop.
    """

    def __init__(
        self,
        fault: Fault,
        step: str = "",
        *,
        when: Callable[[Request], bool] = lambda _: True,
        nth: int = 1,
        times: int | None = 1,
        hold_ms: float | None = None,
        strike: Callable[[Request], object] = lambda _: None,
    ) -> None:
        self.fault = fault
        self.step = step
        self.when = when
        self.nth = nth
        self.times = times
        self.hold_ms = hold_ms
        self.strike = strike
        self.matched = 0
        self.struck: list[Request] = []
        self._hit = threading.Event()
        self._released = threading.Event()
        self._waiting: list[asyncio.Future[None]] = []

    def takes(self, request: Request) -> bool:
        """Count a request; whether the fault is for it."""
        if (self.step and self.step != request.step) or not self.when(request):
            return False
        self.matched += 1
        past = self.matched - self.nth
        return past >= 0 and (self.times is None or past < self.times)

    def note(self, request: Request) -> None:
        """The fault happens now."""
        self.strike(request)
        self.struck.append(request)
        self._hit.set()

    def wait(self, timeout_s: float = 20.0) -> Request:
        """Wait for the first fault; returns its request. For other threads than the proxy's."""
        assert self._hit.wait(timeout_s), f"{self.fault}: no {self.step or 'request'} came in {timeout_s:g} s"
        return self.struck[0]

    def release(self) -> None:
        """Let go of what is held, now and from now on; any thread may call it."""
        self._released.set()
        for future in list(self._waiting):
            future.get_loop().call_soon_threadsafe(_resolve, future)

    async def hold(self) -> None:
        """Wait for the release, or as long as `hold_ms`."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            if not self._released.is_set():
                await asyncio.wait([future], timeout=None if self.hold_ms is None else self.hold_ms / 1000)
        finally:
            self._waiting.remove(future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

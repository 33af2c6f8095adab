"""Contact: tells a connection that has gone silent from a server that is slow or away.

A reply that does not come is late or lost, and only a late one is worth waiting for. So a fresh connection asks for a
sign of life. While it gets none the server is away, and what was sent may still be answered: sending it again would
only pile it up. Once it gets one, a reply that still does not come was lost, and so is the connection it should have
come by (`docs/decisions/0015-silence.md`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from scheduler.ending import end

T = TypeVar("T")

PATIENCE_S = 0.5
"""So long nobody wonders about a reply."""

PULSE_S = 1.3
"""Where nothing was heard for so long, whoever has something to ask anyway asks it, so that a lost route is noticed
before there is work. A little more than half of the time between two renewals of the default lease: one question lies
between them, not two."""

PULSE_PATIENCE = 0.4
"""Factor of the time before the silence after a sign of life that was asked for counts: its answer takes no work."""

_PULSE_MARGIN_S = 0.1
"""So much later a sign of life is asked for, where nobody had anything to ask."""

_SMALL_BYTES = 20_000
"""Behind more than that the answer to a sign of life may come late on a slow network, and nobody asks for one."""

_GRACE_S = 0.15
"""The server answers in order, so a reply that comes at all is there before the sign of life is, but for the way."""

_SLOWEST_BYTES_PER_S = 500_000
"""A request may take its time on a slow network."""

_ASK_AGAIN_S = (0.05, 0.2)


class Silence(ConnectionError):
    """A connection from which no reply came while a fresh one got its own."""


class Patience(NamedTuple):
    """How long the reply to one command is waited for.

    Attributes:
        within_s: Seconds at most.
        factor: Of the time before a silence counts; for commands sent again and again on a slow network.
        bytes: Of the request: it may take its time on the way.
        stretch: Let a large request have more than `within_s` on a slow network.
        arrived: Differs when more has come by the connection: a reply that is on its way is late, not lost.
    """

    within_s: float
    factor: float = 1.0
    bytes: int = 0
    stretch: bool = False
    arrived: Callable[[], object] = lambda: None

    @property
    def unasked_s(self) -> float:
        """Seconds in which nobody wonders."""
        return min(PATIENCE_S * self.factor, self.within_s)


class Contact:
    """What one event loop knows of its connections to one server.

    Args:
        ask: Opens a fresh connection, and returns when the server has answered on it; raises OSError if it does not
            within about a second.
        lost: What the client raises when no reply came.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]], lost: tuple[type[Exception], ...] = (OSError,)) -> None:
        self._ask = ask
        self._lost = lost
        self._away = False
        self._asking: asyncio.Task[None] | None = None
        self._doubters = 0
        self._heard: float | None = None
        self._blocked: set[asyncio.Future[None]] = set()
        self._idle: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._awaited: dict[asyncio.Future[Any], tuple[float, Patience]] = {}
        self._look: asyncio.TimerHandle | None = None
        self._doubts: dict[asyncio.Future[Any], asyncio.Task[None]] = {}

    def on_return(self, drop_idle: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have the unused connections of a client dropped when the server has been away."""
        self._idle.append(drop_idle)

    def quiet_s(self) -> float:
        """Seconds since something was heard; 0 as long as nothing was."""
        return 0.0 if self._heard is None else asyncio.get_running_loop().time() - self._heard

    def hear(self, took_s: float) -> None:
        """Count a reply that came by a connection of somebody else's to the same server.

        Args:
            took_s: How long it took, repetitions included. A reply that was slow counts for nothing: it may have come
                by a new connection, and says nothing of those from before.
        """
        if took_s < PATIENCE_S:
            self._heard = asyncio.get_running_loop().time()

    async def reply(self, sent: asyncio.Task[T], patience: Patience) -> T:
        """Wait for the reply to a command that a task of its own has sent.

        Args:
            sent: Sends it and reads its reply. Ended if there is none, in the background where that takes a moment.
            patience: How long.

        Raises:
            Silence: It was lost.
            TimeoutError: The server is away or slow.
        """
        deadline = asyncio.get_running_loop().time() + patience.within_s
        try:
            await asyncio.wait([sent], timeout=patience.unasked_s)
            await self._until_answered(sent, deadline, patience)
            found = sent.result()
        except self._lost:
            self._away = True
            raise
        else:
            self._heard = asyncio.get_running_loop().time()
            if self._away:
                await self._come_back()
            return found
        finally:
            self._abandon(sent)

    async def prompt_reply(self, sent: asyncio.Future[T], patience: Patience) -> T:
        """Wait for the reply to a command whose connection others share: no task and no timer unless it is late.

        Args:
            sent: Gets the reply from whoever reads the connection; else one of these errors from here.
            patience: How long.

        Raises:
            Silence: It was lost.
            TimeoutError: The server is away or slow.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._awaited[sent] = now, patience
        self._look_at(now + patience.unasked_s)
        try:
            found = await sent
        except self._lost:
            self._away = True
            raise
        finally:
            del self._awaited[sent]
        self._heard = loop.time()
        if self._away:
            await self._come_back()
        return found

    def _look_at(self, when: float) -> None:
        """See at that time of the loop, or before, which replies are late: one timer for all."""
        if self._look is not None:
            if self._look.when() <= when:
                return
            self._look.cancel()
        self._look = asyncio.get_running_loop().call_at(when, self._see_who_is_late)

    def _see_who_is_late(self) -> None:
        self._look, now = None, asyncio.get_running_loop().time()
        waiting = [
            (sent_at + patience.unasked_s, sent, sent_at + patience.within_s, patience)
            for sent, (sent_at, patience) in self._awaited.items()
            if sent not in self._doubts
        ]
        for late_at, sent, deadline, patience in waiting:
            if late_at <= now:
                self._doubts[sent] = asyncio.create_task(self._doubt(sent, deadline, patience))
        later = [late_at for late_at, *_ in waiting if late_at > now]
        if later:
            self._look_at(min(later))

    async def _doubt(self, sent: asyncio.Future[Any], deadline: float, patience: Patience) -> None:
        try:
            await self._until_answered(sent, deadline, patience)
        except OSError as verdict:  # Silence, TimeoutError
            if not sent.done():
                sent.set_exception(verdict)
        finally:
            del self._doubts[sent]

    async def _until_answered(self, sent: asyncio.Future[T], deadline: float, patience: Patience) -> None:
        if sent.done():
            return
        clock = asyncio.get_running_loop().time
        allowed_s = patience.bytes / _SLOWEST_BYTES_PER_S
        deadline += allowed_s if patience.stretch else 0
        await asyncio.wait([sent], timeout=min(allowed_s, deadline - clock()))
        alive = False
        while not sent.done():
            if clock() >= deadline:  # what is left of a reply on a slow way would hold up those behind it
                raise Silence("the reply was too long on its way") if alive else TimeoutError
            arrived = patience.arrived()
            if alive := await self._is_alive(sent, deadline):
                grace_s = _GRACE_S * patience.factor + allowed_s
                await asyncio.wait([sent], timeout=min(grace_s, deadline - clock()))
                if not sent.done() and clock() < deadline:
                    if patience.arrived() == arrived:
                        raise Silence("no reply on a connection, while a fresh one has answered")
                    await asyncio.wait([sent], timeout=min(patience.unasked_s, deadline - clock()))

    async def blocked_reply(
        self, sent: asyncio.Task[T], within_s: float, nudge: Callable[[], Awaitable[None]] | None = None
    ) -> T:
        """Wait for the reply to a command that blocks.

        Args:
            sent: As for `reply`.
            within_s: What it may block, and some time for the way.
            nudge: Makes the server answer it at once; asked for when Redis was away, or another connection silent.

        Raises:
            Silence: It was lost, as far as can be told.
            TimeoutError: No reply in that time.
        """
        doubt: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._blocked.add(doubt)
        try:
            await _first(within_s, sent, doubt)
            if doubt.done() and not sent.done():
                if nudge is not None:
                    nudging = asyncio.ensure_future(nudge())
                    await _first(PATIENCE_S / 2, sent, nudging)
                    self._abandon(nudging)
                    await asyncio.wait([sent], timeout=_GRACE_S)
                if not sent.done():
                    raise Silence("the server was away, and this connection says nothing")
            if not sent.done():
                raise TimeoutError
            return sent.result()
        finally:
            self._blocked.discard(doubt)
            self._abandon(sent)

    async def watch(self, pulse: Callable[[], Awaitable[object]]) -> None:
        """Send `pulse` by an old connection whenever nothing was heard for a little more than `PULSE_S`, until
        cancelled."""
        if self._heard is None:
            self._heard = asyncio.get_running_loop().time()
        while True:
            left_s = PULSE_S + _PULSE_MARGIN_S - self.quiet_s()
            if left_s > 0 or sum(patience.bytes for _, patience in self._awaited.values()) > _SMALL_BYTES:
                await asyncio.sleep(left_s if left_s > 0 else _PULSE_MARGIN_S)
                continue
            try:
                await pulse()
            except OSError:
                await asyncio.sleep(PULSE_S / 2)

    async def close(self) -> None:
        """Wait for the end of what was given up."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        ending: set[asyncio.Task[Any]] = {*self._abandoned, *self._doubts.values()}
        for _ in range(3):  # a doubt gives up the asking, and that its questions; others may ask on
            if ending:
                await asyncio.wait(ending)
            ending = set(self._abandoned)

    async def _is_alive(self, sent: asyncio.Future[T], deadline: float) -> bool:
        """Whether a fresh connection has its answer before `sent` has, or the loop's time `deadline` comes."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_until_answered())
        asking = self._asking
        self._doubters += 1
        try:
            left_s = deadline - asyncio.get_running_loop().time()
            await _first(left_s, sent, asking)
        finally:
            self._doubters -= 1
            if self._asking is asking and (asking.done() or not self._doubters):
                self._asking = None
                self._abandon(asking)
        return asking.done() and not asking.cancelled() and not sent.done()

    async def _ask_until_answered(self) -> None:
        """Each question may take its time, so the next does not wait for it: the server may be back meanwhile."""
        asking: set[asyncio.Task[None]] = set()
        try:
            while True:
                asking.add(asyncio.create_task(self._ask_once()))
                done, asking = await asyncio.wait(asking, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
                if None in [one.exception() for one in done]:  # of all: an error that nobody takes is logged
                    return
                if done:
                    await asyncio.sleep(random.uniform(*_ASK_AGAIN_S))  # noqa: S311  spread, not secrecy
        finally:
            for one in asking:
                self._abandon(one)

    async def _ask_once(self) -> None:
        await self._ask()

    async def _come_back(self) -> None:
        """What was connected before the server was away may be dead, used or not."""
        self._away = False
        self._tell_blocked()
        dropping = [asyncio.create_task(drop()) for drop in self._idle]
        if dropping:
            await asyncio.wait(dropping, timeout=_GRACE_S)
        for task in dropping:
            self._abandon(task)

    def _tell_blocked(self) -> None:
        for doubt in self._blocked:
            if not doubt.done():
                doubt.set_result(None)

    def _abandon(self, task: asyncio.Future[Any]) -> None:
        """Nobody waits for it any more; what it raises is nobody's."""
        task.add_done_callback(_forget)
        if task.done():
            return
        ending = asyncio.create_task(end(task))  # type: ignore[arg-type]
        self._abandoned.add(ending)
        ending.add_done_callback(self._abandoned.discard)


def _forget(task: asyncio.Future[Any]) -> None:
    """Otherwise the event loop tells of an error that nobody has asked for."""
    if not task.cancelled():
        task.exception()


async def _first(within_s: float, *futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)

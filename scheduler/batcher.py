"""Group commit without a timer: while one call is on the wire, what comes meanwhile waits for the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_R = TypeVar("_R", contravariant=True)


class Receiver(Protocol[_R]):
    """Whoever waits for the reply to an item; a future is one."""

    def done(self) -> bool:
        """Whether it waits no more."""

    def set_result(self, reply: _R, /) -> None:
        """The reply is here."""

    def set_exception(self, error: BaseException, /) -> None:
        """There is none, for this reason."""


class Batcher(Generic[T, R]):
    """Gathers items of one event loop into calls, one on the wire at a time. One item alone leaves at once.

    Args:
        send: Sends items and returns one reply for each, in order. If it raises, all of them get that error.
        limit: Most items a call.
        weight: What one item weighs (bytes), where calls are bounded by weight too.
        most: Most weight a call; an item above it goes alone.
        alone_on: Errors after which each item of a call is sent alone: one bad item must not fail the others.
    """

    def __init__(
        self,
        send: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        limit: int,
        weight: Callable[[T], int] = lambda _: 0,
        most: int = 4 * 1024 * 1024,
        alone_on: tuple[type[Exception], ...] = (),
    ) -> None:
        self._send = send
        self._limit = limit
        self._weight = weight
        self._most = most
        self._alone_on = alone_on
        self._waiting: deque[tuple[T, Receiver[R]]] = deque()
        self._flusher: asyncio.Task[None] | None = None

    def submit(self, item: T) -> asyncio.Future[R]:
        """Hand over an item; the future has its reply. Cancelling the future does not take the item back."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.hand(item, future)
        return future

    def hand(self, item: T, receiver: Receiver[R]) -> None:
        """Hand over an item; `receiver` gets its reply."""
        self._waiting.append((item, receiver))
        if self._flusher is None or self._flusher.cancelling():  # whoever cancels all tasks cancels this one, too
            self._flusher = asyncio.create_task(self._flush())

    async def drain(self) -> None:
        """Wait until all that was handed over has been answered."""
        while self._flusher is not None:
            await asyncio.wait([self._flusher])

    async def _flush(self) -> None:
        try:
            while self._waiting:
                await self._settle(self._take())
        finally:
            if self._flusher is asyncio.current_task():
                self._flusher = None

    async def _settle(self, batch: list[tuple[T, Receiver[R]]]) -> None:
        try:
            replies = await self._send([item for item, _ in batch])
            if len(replies) != len(batch):
                raise RuntimeError(f"{len(batch)} items were sent, {len(replies)} were answered")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001  whoever handed the item over decides what it means
            if len(batch) > 1 and isinstance(error, self._alone_on):
                for one in batch:
                    await self._settle([one])
                return
            for _, receiver in batch:
                if not receiver.done():
                    receiver.set_exception(error)
        else:
            for (_, receiver), reply in zip(batch, replies, strict=True):
                if not receiver.done():
                    receiver.set_result(reply)

    def _take(self) -> list[tuple[T, Receiver[R]]]:
        batch, weight = [self._waiting.popleft()], 0
        weight = self._weight(batch[0][0])
        while self._waiting and len(batch) < self._limit:
            weight += self._weight(self._waiting[0][0])
            if weight > self._most:
                break
            batch.append(self._waiting.popleft())
        return batch

"""One connection through a proxy: two pumps, and what the rules make of each message."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.faults.resp import Framer, Request, read_request
from tests.faults.rules import Fault, Rule

_READ_BYTES = 256 * 1024
_RST_ON_CLOSE = struct.pack("ii", 1, 0)

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Switches:
    """What holds for all connections of a proxy; touched on the proxy's thread only."""

    rules: Sequence[Rule] = ()
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    bytes_per_s: float | None = None
    steps: Counter[str] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)


class Relay:
    """Carries requests to the server and replies back, in order.

    Args:
        number: The connection's.
        client, server: Both ends.
        switches: The proxy's.
    """

    def __init__(self, number: int, client: Stream, server: Stream, switches: Switches) -> None:
        self._number = number
        self._from_client, self._to_client = client
        self._from_server, self._to_server = server
        self._switches = switches
        self._asked: deque[tuple[Request, Rule | None]] = deque()
        self._pumps: list[asyncio.Task[None]] = []
        self._silent_up = False
        self._silent_down = False

    async def run(self) -> None:
        """Relay until one end closes, or a fault does."""
        self._pumps = pumps = [asyncio.create_task(self._pump_requests()), asyncio.create_task(self._pump_replies())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            # Where nothing gets through, neither does the news that the other end is gone.
            if self._silent_up:
                await asyncio.wait([pumps[1]])
        finally:
            self.cut()
            for pump in pumps:
                pump.cancel()
            for outcome in await asyncio.gather(*pumps, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
                    raise outcome

    def stop(self) -> None:
        """End at once, whatever is held."""
        for pump in self._pumps:
            pump.cancel()
        for writer in (self._to_client, self._to_server):
            writer.transport.abort()

    def silence(self) -> None:
        """Nothing gets through any more, in either direction, and nobody is told."""
        self._silent_up = self._silent_down = True

    def cut(self, *, reset: bool = False) -> None:
        """Close both ends; with `reset` the client gets an RST, and loses what it has not read yet."""
        if reset:
            _reset_on_close(self._to_client)
        for writer in (self._to_client, self._to_server):
            if reset:
                writer.transport.abort()
            else:
                writer.close()

    async def _pump_requests(self) -> None:
        framer = Framer()
        while data := await self._from_client.read(_READ_BYTES):
            for raw in framer.feed(data):
                request = read_request(raw, self._number)
                self._switches.steps[request.step] += 1
                rule = self._rule_for(request)
                if rule is not None and not rule.fault.after and not await self._strike_before(rule, request):
                    return
                self._asked.append((request, rule))
                await self._send(self._to_server, raw, lambda: self._silent_up)

    async def _pump_replies(self) -> None:
        framer = Framer()
        while data := await self._from_server.read(_READ_BYTES):
            for raw in framer.feed(data):
                request, rule = self._asked.popleft()
                if rule is not None and rule.fault.after and not await self._strike_after(rule, request, raw):
                    return
                await self._send(self._to_client, raw, lambda: self._silent_down)

    def _rule_for(self, request: Request) -> Rule | None:
        """The first rule that takes it; all of them count it."""
        taken = [rule for rule in self._switches.rules if rule.takes(request)]
        return taken[0] if taken else None

    def _note(self, rule: Rule, request: Request) -> None:
        self._switches.faults[rule.fault] += 1
        rule.note(request)

    async def _strike_before(self, rule: Rule, request: Request) -> bool:
        """Whether the connection goes on."""
        self._note(rule, request)
        match rule.fault:
            case Fault.DROP:
                self._silent_up = True
            case Fault.HOLD_BEFORE:
                await rule.hold()
            case Fault.HALF_BEFORE:
                await self._send(self._to_server, request.raw[: len(request.raw) // 2], lambda: self._silent_up)
                return False
            case Fault.CUT_BEFORE | Fault.RESET_BEFORE:
                self.cut(reset=rule.fault is Fault.RESET_BEFORE)
                return False
        return True

    async def _strike_after(self, rule: Rule, request: Request, raw: bytes) -> bool:
        """Whether the connection goes on."""
        self._note(rule, request)
        match rule.fault:
            case Fault.SWALLOW:
                self._silent_down = True
            case Fault.HOLD_AFTER:
                await rule.hold()
            case Fault.HALF_AFTER:
                await self._send(self._to_client, raw[: len(raw) // 2], lambda: self._silent_down)
                return False
            case Fault.CUT_AFTER | Fault.RESET_AFTER:
                self.cut(reset=rule.fault is Fault.RESET_AFTER)
                return False
        return True

    async def _send(self, writer: asyncio.StreamWriter, data: bytes, silent: Callable[[], bool]) -> None:
        await self._switches.flowing.wait()
        if silent():
            return
        rate = self._switches.bytes_per_s
        size = len(data) if rate is None else max(1, int(rate / 50))
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            if rate is not None:
                await asyncio.sleep(min(size, len(data) - start) / rate)


class Silence:
    """A connection that was made while nothing gets through: what is sent is lost, and there is no server behind it.

    Args:
        client: The client's end.
    """

    def __init__(self, client: Stream) -> None:
        self._from_client, self._to_client = client

    async def run(self) -> None:
        """Listen to nothing, until the client gives up."""
        with contextlib.suppress(OSError):
            while await self._from_client.read(_READ_BYTES):
                pass
        self._to_client.close()

    def stop(self) -> None:
        """End at once."""
        self._to_client.transport.abort()

    def silence(self) -> None:
        """It is silent already."""

    def cut(self, *, reset: bool = False) -> None:
        """Close it; with `reset` by RST."""
        if reset:
            _reset_on_close(self._to_client)
        self.stop()


def _reset_on_close(writer: asyncio.StreamWriter) -> None:
    endpoint: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)

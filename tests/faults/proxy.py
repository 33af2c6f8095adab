"""A TCP proxy of our own between clients and a Redis server, that breaks things at an exact moment.

::

    with Proxy(server.url) as proxy:
        rule = proxy.add(Rule(Fault.CUT_AFTER, "commit"))        # the first commit is applied, its reply is cut
        ...                                                      # clients connect to proxy.url
        rule.wait()
        proxy.cut_all()

It reads where requests and replies begin and end, and which script a request runs; it knows nothing of what they mean.
Replies belong to requests in order, so it carries neither pub/sub nor MONITOR. It lives on a thread of its own; any
thread may call its methods, from any number of processes may be connected. `rules.py` has the faults.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from tests.faults.relay import Relay, Silence, Switches
from tests.faults.rules import Fault, Rule

T = TypeVar("T")

_LIMIT_BYTES = 1024 * 1024
_BACKLOG = 100
_ANSWER_S = 10.0
_STOP_S = 0.05


class Proxy:
    """Listens on a port of its own from `start` (or `with`) to `close`.

    Args:
        url: The server's url; its host and port.
    """

    def __init__(self, url: str) -> None:
        self._upstream = url
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._switches = Switches()
        self._relays: set[Relay | Silence] = set()
        self._listener: socket.socket | None = None
        self._taken: set[asyncio.Task[None]] = set()
        self._connections = 0
        self._silent = False
        self._broken: list[BaseException] = []

    # Its life

    def start(self) -> Self:
        """Listen."""
        self._thread.start()
        self._switches.flowing.set()
        self._run(self._listen)
        return self

    def close(self) -> None:
        """Cut all, and stop. Raises what went wrong in the proxy itself, as far as anything did."""
        self._run(self._stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_S)
        self._loop.close()
        if self._broken:
            raise self._broken[0]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What clients connect to: the server's url with the proxy's address."""
        parts = urlsplit(self._upstream)
        name, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{name}{at}127.0.0.1:{self._port}"))

    def retarget(self, url: str) -> None:
        """New connections go to another server; `cut_all` ends the old ones."""
        self._upstream = url

    # Faults of single requests

    def add(self, rule: Rule) -> Rule:
        """Add a rule; it counts requests from now on."""

        async def add() -> None:
            self._switches.rules = [*self._switches.rules, rule]

        self._run(add)
        return rule

    def clear(self) -> None:
        """Take all rules away, and let go of what they hold."""

        async def clear() -> list[Rule]:
            rules, self._switches.rules = list(self._switches.rules), []
            return rules

        for rule in self._run(clear):
            rule.release()

    # Faults of all connections

    def cut_all(self, *, reset: bool = False) -> int:
        """Close all connections; returns how many. With `reset` by RST."""

        async def cut() -> int:
            relays = list(self._relays)
            for relay in relays:
                relay.cut(reset=reset)
            return len(relays)

        return self._run(cut)

    def pause(self) -> None:
        """A network that stands still: nothing gets through, and nothing is lost."""

        async def pause() -> None:
            self._switches.flowing.clear()

        self._run(pause)

    def resume(self) -> None:
        """All that stood still arrives."""

        async def resume() -> None:
            self._switches.flowing.set()

        self._run(resume)

    def silence(self) -> None:
        """A network that has lost its route: what is sent is lost, nobody is told; new connections say nothing."""

        async def silence() -> None:
            self._silent = True
            for relay in self._relays:
                relay.silence()

        self._run(silence)

    def speak(self) -> None:
        """New connections work again; those that were silent stay so, as they do where a route was lost."""

        async def speak() -> None:
            self._silent = False

        self._run(speak)

    def refuse(self) -> None:
        """Cut all, and refuse new connections, as a port does where nobody listens."""
        self._run(self._unlisten)
        self.cut_all()

    def accept(self) -> None:
        """Take connections again, on the same port."""
        self._run(self._listen)

    def throttle(self, bytes_per_s: float | None) -> None:
        """Slow every connection down, in both directions; None for full speed."""

        async def throttle() -> None:
            self._switches.bytes_per_s = bytes_per_s

        self._run(throttle)

    # What was seen

    @property
    def steps(self) -> Counter[str]:
        """Requests by step, since the start."""
        return Counter(self._switches.steps)

    @property
    def faults(self) -> Counter[Fault]:
        """Faults of rules by kind, since the start."""
        return Counter(self._switches.faults)

    @property
    def connected(self) -> int:
        """Open connections."""
        return len(self._relays)

    # On the thread

    def _run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(_ANSWER_S)

    async def _carry(self, client: socket.socket) -> None:
        relay = await self._meet(client)
        if relay is None:
            return
        self._relays.add(relay)
        try:
            await relay.run()
        except Exception as error:  # told when the proxy is closed
            self._broken.append(error)
        finally:
            self._relays.discard(relay)

    async def _meet(self, client: socket.socket) -> Relay | Silence | None:
        """What carries this connection; None where the server takes none."""
        self._connections += 1
        number, parts = self._connections, urlsplit(self._upstream)
        stream = await asyncio.open_connection(sock=client, limit=_LIMIT_BYTES)
        if self._silent:
            return Silence(stream)
        try:
            server = await asyncio.open_connection(parts.hostname, parts.port, limit=_LIMIT_BYTES)
        except OSError:
            stream[1].transport.abort()
            return None
        relay = Relay(number, stream, server, self._switches)
        if self._silent:
            relay.silence()
        return relay

    # An asyncio.Server that is closed drops what it accepted in the same turn of the loop, so we listen by ourselves.

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self._port), backlog=_BACKLOG)
            self._listener.setblocking(False)
            self._port = self._listener.getsockname()[1]
            self._loop.add_reader(self._listener, self._take, self._listener)

    def _take(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            client, _ = listener.accept()
            carried = self._loop.create_task(self._carry(client))
            self._taken.add(carried)
            carried.add_done_callback(self._taken.discard)

    async def _unlisten(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            self._loop.remove_reader(listener)
            listener.close()

    async def _stop(self) -> None:
        await self._unlisten()
        while self._taken:
            for relay in self._relays:
                relay.stop()
            await asyncio.wait(self._taken, timeout=_STOP_S)  # one that was being accepted is a relay by then
        await asyncio.sleep(0)  # what was aborted is closed by the loop's next turn

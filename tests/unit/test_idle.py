"""What a worker without work asks of Redis, counted by a clock by hand."""

from __future__ import annotations

import asyncio
import itertools
import selectors
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest

from scheduler.app import App
from scheduler.backoff import Outage
from scheduler.catalog import IndexCatalog
from scheduler.clock import RedisClock
from scheduler.contact import PATIENCE_S, PULSE_S, Contact, Patience
from scheduler.janitor import Janitor
from scheduler.keys import Keys
from scheduler.leases import DEFAULT_LEASE_MS, DEFAULT_MAX_DELIVERIES, renewed_every_ms
from scheduler.promoter import LEASE_MS, Promoter
from scheduler.script_call import Transition
from scheduler.transitions import Expired, Lead, Pruned, Redelivered
from scheduler.versions import Catalog
from worker.claimer import BLOCK_S, Claimer
from worker.persistence import Persistence
from worker.presence import Presence
from worker.settings import WorkerSettings

HOUR_S = 3_600.0
EPOCH_MS = 1_800_000_000_000


class Skipping(selectors.SelectSelector):
    """Waits for nothing: time goes on to the next timer instead, and each turn of the loop takes a microsecond."""

    now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += (timeout or 0.0) + 1e-6
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time is by hand."""

    def __init__(self) -> None:
        self.hand = Skipping()
        super().__init__(self.hand)

    def time(self) -> float:
        return self.hand.now


class Wire:
    """A store and its server, where nothing is due: counts what is sent, and answers at once.

    Args:
        leads: Whether this process leads; another one does, and has renewed its lease twice in it, where not.
    """

    fake = False

    def __init__(self, loop: Loop, *, leads: bool) -> None:
        self.keys = Keys("idle")
        self.contact = Contact(self._ask)
        self.sent: Counter[str] = Counter()
        self.silent_s = 0.0
        self.reading: dict[str, asyncio.Event] = {}
        self.leads = leads
        self._loop = loop
        self._heard = loop.time()

    async def _ask(self) -> None:
        self.count("a fresh connection")

    def count(self, what: str) -> None:
        self.sent[what] += 1
        now = self._loop.time()
        self.silent_s, self._heard = max(self.silent_s, now - self._heard), now

    async def run(self, transition: Transition[Any]) -> Any:
        self.count(transition.script.name)
        self.contact.hear(0.0)
        now_ms = EPOCH_MS + int(self._loop.time() * 1000)
        left_ms = LEASE_MS - int(self._loop.time() * 1000) % (LEASE_MS // 2)
        return {
            "promote": Lead(self.leads, now_ms=now_ms, lease_left_ms=0 if self.leads else left_ms),
            "redeliver": Redelivered(0, 0, 0, more=False),
            "expire": Expired(0, None),
            "prune": Pruned(0, more=False, passed_ms=now_ms),
            "declare": Catalog("0", {}),
            "join": now_ms,
        }.get(transition.script.name)

    async def command(self, *command: Any) -> Any:
        self.count(str(command[0]))
        self.contact.hear(0.0)
        return []

    async def pulse(self) -> None:
        await self.command("PING")

    async def execute(self, name: str, *arguments: Any, nudge: Callable[[], Awaitable[None]] | None = None) -> Any:
        """A blocking read, of a connection of its own: it is no sign of life before it ends."""
        self.sent[name] += 1
        blocks_s = arguments[-1] if name == "BLPOP" else arguments[arguments.index("BLOCK") + 1] / 1000
        token = self.reading[arguments[0]] = asyncio.Event()
        try:
            await asyncio.wait_for(token.wait(), blocks_s)
        except TimeoutError:
            return None
        else:
            return [arguments[0], b"1"]
        finally:
            del self.reading[arguments[0]]


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    with patch.object(time, "monotonic", loop.time):
        yield loop
    loop.close()


async def renewals(wire: Wire) -> None:
    """As the lease's thread sends them, by a connection of its own."""
    while True:
        await asyncio.sleep(renewed_every_ms(DEFAULT_LEASE_MS) / 1000)
        wire.count("renew")
        wire.contact.hear(0.001)


async def reads(claimer: Claimer) -> None:
    while True:
        await claimer.step(1)


def rooms(wire: Any, *, promotes: bool) -> list[Coroutine[Any, Any, None]]:
    """All that asks something of Redis in a worker without work."""
    outage, settings, clock = Outage(), WorkerSettings(keeper=False), RedisClock()
    persistence = Persistence(wire, outage)
    presence = Presence(persistence, App("idle"), settings, clock, lambda: 1, IndexCatalog(()))
    claimer = Claimer(wire, persistence, wire, settings.queues, settings.name)
    running = [wire.contact.watch(wire.pulse), presence.run(), renewals(wire), reads(claimer)]
    if promotes:
        promoter = Promoter(wire, wire, "p", outage, observe=lambda now_ms, asked: janitor.observe(now_ms, asked))
        janitor = Janitor(
            wire, lease_ms=DEFAULT_LEASE_MS, max_deliveries=DEFAULT_MAX_DELIVERIES, leads=lambda: promoter.leads,
            outage=outage,
        )  # fmt: skip
        running += [promoter.run(), janitor.run()]
    return running


def an_hour(loop: Loop, wire: Wire, *, promotes: bool = True) -> Counter[str]:
    async def run() -> None:
        tasks = [asyncio.ensure_future(room) for room in rooms(wire, promotes=promotes)]
        await asyncio.sleep(HOUR_S)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    loop.run_until_complete(run())
    return wire.sent


def test_the_worker_that_leads_sends_fewer_than_two_commands_a_second(loop: Loop) -> None:
    sent = an_hour(loop, Wire(loop, leads=True))
    assert sent.total() / HOUR_S < 1.9
    assert set(sent) == {
        "promote", "BLPOP", "XREADGROUP", "renew", "ZRANGEBYSCORE", "redeliver", "expire", "prune", "sweep", "join",
        "declare",
    }  # fmt: skip


def test_a_hundred_workers_send_fewer_than_150(loop: Loop) -> None:
    leader, follower = an_hour(loop, Wire(loop, leads=True)).total(), an_hour(loop, Wire(loop, leads=False)).total()
    assert (leader + 99 * follower) / HOUR_S < 125


def test_a_worker_that_leaves_promotion_to_others_sends_one(loop: Loop) -> None:
    sent = an_hour(loop, Wire(loop, leads=False), promotes=False)
    assert sent.total() / HOUR_S < 1.0
    assert set(sent) == {"PING", "XREADGROUP", "renew", "join", "declare"}


@pytest.mark.parametrize("leads", [True, False], ids=["leads", "follows"])
def test_how_often_each_is_asked(loop: Loop, leads: bool) -> None:
    sent = an_hour(loop, Wire(loop, leads=leads))
    assert sent["renew"] == pytest.approx(HOUR_S * 1000 / renewed_every_ms(DEFAULT_LEASE_MS), abs=1)
    assert sent["XREADGROUP"] == pytest.approx(HOUR_S / BLOCK_S, abs=1)
    assert (sent["join"], sent["declare"]) == (60, 60) or (sent["join"], sent["declare"]) == (59, 59)
    assert sent["PING"] == 0


@pytest.mark.parametrize(("leads", "promotes"), [(True, True), (False, True), (False, False)])
def test_a_lost_route_is_noticed_as_soon_as_before(loop: Loop, leads: bool, promotes: bool) -> None:
    """Between two signs of life there is never more than a little over `PULSE_S`."""
    wire = Wire(loop, leads=leads)
    an_hour(loop, wire, promotes=promotes)
    assert PULSE_S - 0.2 < wire.silent_s <= PULSE_S + 0.15


def test_a_renewal_that_was_slow_is_no_sign_of_life(loop: Loop) -> None:
    """It may have come by a new connection, while those of before are dead."""
    contact = Contact(lambda: asyncio.sleep(0))

    async def run() -> list[float]:
        quiet_s = [contact.quiet_s()]
        for took_s, passes_s in itertools.product([0.0, PATIENCE_S], [3.0]):
            contact.hear(took_s)
            await asyncio.sleep(passes_s)
            quiet_s.append(contact.quiet_s())
        return quiet_s

    assert loop.run_until_complete(run()) == pytest.approx([0.0, 3.0, 6.0], abs=0.001)


def play(loop: Loop, wire: Any, story: Callable[[Wire], Coroutine[Any, Any, None]]) -> None:
    """A story beside a promoter."""

    async def run() -> None:
        promoting = asyncio.ensure_future(Promoter(wire, wire, "p", Outage()).run())
        await story(wire)
        promoting.cancel()
        with suppress(asyncio.CancelledError):
            await promoting

    loop.run_until_complete(run())
    assert wire.reading == {}


def test_a_token_that_comes_when_the_lead_is_lost_is_handed_on(loop: Loop) -> None:
    """Its read is not ended: what the server has sent already would be lost, and a job late."""

    # C3.7
    async def story(wire: Wire) -> None:
        await asyncio.sleep(3)
        wire.leads = False
        await asyncio.sleep(3)
        assert list(wire.reading) == [wire.keys.wake]
        wire.reading[wire.keys.wake].set()
        await asyncio.sleep(0.1)
        assert wire.sent["RPUSH"] == 1
        assert list(wire.reading) == [wire.keys.succession]

    play(loop, Wire(loop, leads=True), story)


def test_a_read_from_a_time_of_lead_is_the_last_one(loop: Loop) -> None:
    # C3.7: whoever follows takes no tokens from the one who leads.
    async def story(wire: Wire) -> None:
        await asyncio.sleep(3)
        wire.leads = False
        await asyncio.sleep(11)
        assert list(wire.reading) == [wire.keys.succession]

    play(loop, Wire(loop, leads=True), story)


def test_who_takes_over_listens_for_jobs_at_once(loop: Loop) -> None:
    # C3.7: its read of the succession would hold it up for ten seconds.
    async def story(wire: Wire) -> None:
        await asyncio.sleep(3)
        assert list(wire.reading) == [wire.keys.succession]
        wire.leads = True
        steps = wire.sent["promote"]
        wire.reading[wire.keys.succession].set()
        await asyncio.sleep(0.1)
        assert list(wire.reading) == [wire.keys.wake]
        wire.reading[wire.keys.wake].set()
        await asyncio.sleep(0.1)
        assert wire.sent["promote"] == steps + 2

    play(loop, Wire(loop, leads=False), story)


def test_a_lease_that_has_run_out_is_taken_over_though_nobody_says_so(loop: Loop) -> None:
    # C3.7: the leader died.
    async def story(wire: Wire) -> None:
        await asyncio.sleep(3)
        wire.leads = True
        await asyncio.sleep(LEASE_MS / 1000)
        assert list(wire.reading) == [wire.keys.wake]

    play(loop, Wire(loop, leads=False), story)


@pytest.mark.parametrize(("size", "pulses"), [(100_000, 0), (100, 1)])
def test_nobody_asks_behind_a_large_request(loop: Loop, size: int, pulses: int) -> None:
    """On a slow network the answer would be late, and the connection given up with the request on its way."""
    contact, sent = Contact(lambda: asyncio.sleep(HOUR_S)), list[float]()

    async def pulse() -> None:
        sent.append(loop.time())
        contact.hear(0.0)

    async def run() -> None:
        reply: asyncio.Future[bytes] = loop.create_future()
        watching = asyncio.ensure_future(contact.watch(pulse))
        waiting = asyncio.ensure_future(contact.prompt_reply(reply, Patience(60.0, bytes=size)))
        await asyncio.sleep(PULSE_S * 1.5)
        reply.set_result(b"OK")
        assert await waiting == b"OK"
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await contact.close()

    loop.run_until_complete(run())
    assert len(sent) == pulses


def test_a_due_job_is_asked_for_to_the_microsecond(loop: Loop) -> None:
    """The server's time is told in ms, rounded down: counting from there would be half a ms late, on average."""
    passed_us, due_ms = 700, 2

    class Due(Wire):
        async def run(self, transition: Transition[Any]) -> Any:
            asked_s.append(loop.time() - begun)
            self.contact.hear(0.0)
            now_ms, micros = divmod(passed_us + round(asked_s[-1] * 1_000_000), 1_000)
            return Lead(True, next_due_ms=due_ms if now_ms < due_ms else None, now_ms=now_ms, micros=micros)

    async def story(_: Wire) -> None:
        await asyncio.sleep(0.5)

    # C7.3
    asked_s: list[float] = []
    begun = loop.time()
    play(loop, Due(loop, leads=True), story)
    assert asked_s == pytest.approx([0.0, due_ms / 1_000 - passed_us / 1_000_000], abs=0.000_01)

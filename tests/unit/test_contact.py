"""When a reply counts as lost: only where a fresh connection gets one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scheduler import contact
from scheduler.attempts import Limit
from scheduler.contact import Contact, Patience, Silence
from scheduler.ending import end
from tests.conftest import DEADLINE_S, until


class Server:
    """A server as a contact sees it: `answers` says whether a fresh connection gets a sign of life.

    Each command has a connection of its own, or they share one.
    """

    def __init__(self, *, shared: bool) -> None:
        self.shared = shared
        self.answers = False
        self.asked = 0
        self.contact = Contact(self.ask)

    async def ask(self) -> None:
        self.asked += 1
        if not self.answers:
            raise ConnectionError("nobody is there")

    def send(self) -> tuple[asyncio.Future[str], asyncio.Future[str]]:
        """A command: its reply, and what the contact waits for."""
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return reply, reply if self.shared else self.send_by_task(reply)

    async def wait(self, sent: asyncio.Future[str], within_s: float, size: int = 0) -> str:
        patience = Patience(within_s, bytes=size)
        if isinstance(sent, asyncio.Task):
            return await self.contact.reply(sent, patience)
        return await self.contact.prompt_reply(sent, patience)

    def send_by_task(self, reply: asyncio.Future[str]) -> asyncio.Task[str]:
        async def sent() -> str:
            return await reply

        return asyncio.ensure_future(sent())


@pytest.fixture(params=[False, True], ids=["own", "shared"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    server = Server(shared=request.param)
    yield server
    await server.contact.close()


async def test_a_prompt_reply_asks_nobody(server: Server) -> None:
    reply, sent = server.send()
    reply.set_result("PONG")
    assert await server.wait(sent, 5) == "PONG"
    assert server.asked == 0


async def test_a_late_reply_is_waited_for_while_the_server_says_nothing(server: Server) -> None:
    reply, sent = server.send()
    asyncio.get_running_loop().call_later(1.5, reply.set_result, "late")
    assert await server.wait(sent, 5) == "late"
    assert server.asked >= 2
    await server.contact.close()


async def test_a_reply_that_does_not_come_while_the_server_answers_was_lost(server: Server) -> None:
    _, sent = server.send()
    server.answers = True
    with pytest.raises(Silence):
        await server.wait(sent, 5)
    await server.contact.close()
    assert sent.done()
    assert sent.cancelled() or server.shared
    assert server.asked == 1


async def test_the_return_of_the_server_is_noticed_while_a_question_still_hangs(server: Server) -> None:
    # A question that was asked into the void has not failed yet when the next one is answered.
    hanging: list[asyncio.Event] = []

    async def ask() -> None:
        if not server.answers:
            hanging.append(asyncio.Event())
            await hanging[-1].wait()

    contact = Contact(ask)
    sent = server.send_by_task(asyncio.get_running_loop().create_future())
    waiting = asyncio.create_task(contact.reply(sent, Patience(30)))
    while not hanging:
        await asyncio.sleep(0)
    server.answers = True
    with pytest.raises(Silence):
        await asyncio.wait_for(waiting, 5)
    await contact.close()


async def test_questions_that_fail_as_another_is_answered_leave_no_error_behind(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their tracebacks came up in the log when the collector found them."""
    monkeypatch.setattr(contact, "PATIENCE_S", 0.01)
    asked, told = list[asyncio.Future[None]](), list[object]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))

    async def ask() -> None:
        asked.append(loop.create_future())
        await asked[-1]

    one = Contact(ask)
    waiting = asyncio.create_task(one.reply(server.send_by_task(loop.create_future()), Patience(30)))
    await until(lambda: len(asked) == 20)
    for question in asked[:19]:
        question.set_exception(ConnectionError("nobody is there"))
    asked[19].set_result(None)
    with pytest.raises(Silence):
        await waiting
    await one.close()
    gc.collect()
    assert told == []


async def test_a_server_that_stays_away_is_a_timeout(server: Server) -> None:
    _, sent = server.send()
    with pytest.raises(TimeoutError):
        await server.wait(sent, 0.7)
    await server.contact.close()
    assert sent.done()
    assert sent.cancelled() or server.shared


async def test_a_large_request_may_take_its_time(server: Server) -> None:
    server.answers = True
    reply, sent = server.send()
    asyncio.get_running_loop().call_later(1.2, reply.set_result, "large")
    assert await server.wait(sent, 5, size=500_000) == "large"


async def test_a_reply_of_which_more_and_more_comes_is_late_and_not_lost(server: Server) -> None:
    server.answers = True
    reply, sent = server.send()
    pieces = itertools.count()
    asyncio.get_running_loop().call_later(1.5, reply.set_result, "large")
    patience = Patience(DEADLINE_S, arrived=lambda: next(pieces))
    wait: Any = server.contact.prompt_reply if server.shared else server.contact.reply
    assert await wait(sent, patience) == "large"


async def test_an_error_of_the_server_is_a_reply(server: Server) -> None:
    reply, sent = server.send()
    reply.set_exception(ValueError("ERR no"))
    with pytest.raises(ValueError, match="ERR no"):
        await server.wait(sent, 5)


async def lose(server: Server) -> None:
    """The server goes away and comes back."""
    reply, sent = server.send()
    reply.set_exception(ConnectionError("gone"))
    with pytest.raises(ConnectionError):
        await server.wait(sent, 5)
    reply, sent = server.send()
    reply.set_result("back")
    assert await server.wait(sent, 5) == "back"


async def test_blocked_reads_are_looked_at_when_the_server_is_back(server: Server) -> None:
    alive: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    sent_alive = server.send_by_task(alive)
    sent_dead = server.send_by_task(asyncio.get_running_loop().create_future())

    async def nudge() -> None:
        if not alive.done():
            alive.set_result("nothing yet")

    blocked = [
        asyncio.create_task(server.contact.blocked_reply(sent_alive, 30, nudge)),
        asyncio.create_task(server.contact.blocked_reply(sent_dead, 30, nudge)),
    ]
    await asyncio.sleep(0)
    await lose(server)
    found = await asyncio.wait_for(asyncio.gather(*blocked, return_exceptions=True), 5)
    assert found[0] == "nothing yet"
    assert isinstance(found[1], Silence)


async def test_unused_connections_are_dropped_when_the_server_is_back(server: Server) -> None:
    dropped: list[str] = []

    async def drop() -> None:
        dropped.append("all")

    server.contact.on_return(drop)
    reply, sent = server.send()
    reply.set_result("PONG")
    await server.wait(sent, 5)
    assert dropped == []
    await lose(server)
    assert dropped == ["all"]


async def test_a_blocked_read_ends_by_itself_at_last(server: Server) -> None:
    sent = server.send_by_task(asyncio.get_running_loop().create_future())
    with pytest.raises(TimeoutError):
        await server.contact.blocked_reply(sent, 0.05)
    await server.contact.close()


async def test_somebody_asks_where_nothing_was_heard(server: Server) -> None:
    pulses = 0
    twice = asyncio.Event()

    async def pulse() -> None:
        nonlocal pulses
        pulses += 1
        if pulses == 2:
            twice.set()
        reply, sent = server.send()
        reply.set_result("PONG")
        await server.wait(sent, 5)

    watching = asyncio.create_task(server.contact.watch(pulse))
    await asyncio.wait_for(twice.wait(), 10)
    watching.cancel()


async def test_one_question_serves_all_that_are_late(server: Server) -> None:
    # A burst of commands must not become a burst of questions, nor of timers.
    sent = [server.send()[1] for _ in range(50)]
    server.answers = True
    found = await asyncio.gather(*(server.wait(one, 5) for one in sent), return_exceptions=True)
    assert all(isinstance(one, Silence) for one in found)
    assert server.asked == 1


async def test_a_late_one_among_prompt_ones_is_seen(server: Server) -> None:
    _, lost = server.send()
    server.answers = True
    waiting = asyncio.ensure_future(server.wait(lost, 5))
    while not waiting.done():
        await asyncio.sleep(0)
        reply, sent = server.send()
        reply.set_result("PONG")
        assert await server.wait(sent, 5) == "PONG"
    assert isinstance(waiting.exception(), Silence)
    assert server.asked == 1


async def test_less_time_than_the_others_have_is_kept_too(server: Server) -> None:
    _, first = server.send()
    waiting = asyncio.ensure_future(server.wait(first, 30))
    await asyncio.sleep(0)
    _, second = server.send()
    with pytest.raises(TimeoutError):
        await server.wait(second, 0.05)
    assert not waiting.done()
    waiting.cancel()


async def test_who_is_cancelled_leaves_nobody_asking(server: Server) -> None:
    _, sent = server.send()
    waiting = asyncio.ensure_future(server.wait(sent, 30))
    await asyncio.wait([waiting], timeout=0.7)
    waiting.cancel()
    await asyncio.wait([waiting])
    await server.contact.close()
    asked = server.asked
    assert asked > 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_question_that_does_not_let_itself_be_cancelled_has_ended_at_the_close() -> None:
    """It was left behind where the client had to log in, and the close came when the question was on its way."""
    asked = asyncio.Event()

    async def ask() -> None:
        asked.set()
        with contextlib.suppress(asyncio.CancelledError):  # as redis-py does while it connects
            await asyncio.sleep(DEADLINE_S)
        await asyncio.sleep(DEADLINE_S)

    one, before = Contact(ask), asyncio.all_tasks()
    reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(one.prompt_reply(reply, Patience(30)))
    await asked.wait()
    reply.set_result("late")
    assert await waiting == "late"
    await one.close()
    assert asyncio.all_tasks() == before


async def test_a_close_does_not_wait_for_what_others_ask_meanwhile() -> None:
    """A worker that was stopped while Redis was away stayed as long as anything said its command again."""
    asked = asyncio.Event()

    async def ask() -> None:
        asked.set()
        await asyncio.Event().wait()

    one = Contact(ask)

    async def repeat(within_s: float) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await one.prompt_reply(asyncio.get_running_loop().create_future(), Patience(within_s))

    repeating = [asyncio.create_task(repeat(within_s)) for within_s in (2.0, 2.3, 2.6, 2.9, 3.2)]
    await asked.wait()
    await asyncio.wait_for(one.close(), DEADLINE_S)
    await end(*repeating)
    await one.close()


@pytest.mark.parametrize(("timeout_s", "block_s", "tries"), [(None, None, 3), (None, 4.0, 1)])
def test_what_a_worker_sends_again(timeout_s: float | None, block_s: float | None, tries: int) -> None:
    attempts = list(zip(range(9), Limit(timeout_s, block_s).attempts(), strict=False))
    last = [attempt.last for _, attempt in attempts]
    assert last.index(True) == tries - 1
    assert attempts[tries - 1][1].pause_s() is None


def test_a_client_shares_its_time_among_its_attempts() -> None:
    whole = 100.0
    attempts = Limit(whole).attempts()
    shares = [next(attempts).share_s for _ in range(4)]
    assert shares[:2] == [25.0, 50.0]
    assert all(99 < share <= whole for share in shares[2:])
    assert not next(attempts).last

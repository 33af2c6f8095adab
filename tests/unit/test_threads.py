"""Threads run calls for an event loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.worker.processes import wait_until
from worker.threads import Threads


@contextmanager
def threads(size: int, name: str = "test-threads") -> Iterator[Threads]:
    made = Threads(size, name)
    try:
        yield made
    finally:
        made.close()
        wait_until(lambda: not alive(name))


def alive(name: str = "test-threads") -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith(name)]


async def test_what_a_call_returns_and_raises_comes_back() -> None:
    def stop() -> None:
        raise StopIteration

    def leave() -> None:
        raise SystemExit(3)

    with threads(2) as own:
        assert await own.run(lambda: threading.current_thread().name.startswith("test-threads"))
        with pytest.raises(RuntimeError, match="StopIteration"):
            await own.run(stop)
        with pytest.raises(SystemExit):
            await own.run(leave)
        assert await own.run(lambda: 7) == 7


async def test_calls_that_block_hold_up_no_other_as_long_as_there_is_room() -> None:
    go = threading.Event()
    with threads(3) as own:
        blocked = [asyncio.create_task(own.run(go.wait)) for _ in range(2)]
        assert await own.run(lambda: 1) == 1
        blocked.append(asyncio.create_task(own.run(go.wait)))
        waiting = asyncio.create_task(own.run(lambda: 2))
        done, _ = await asyncio.wait([waiting, *blocked], timeout=0.05)
        assert not done  # three threads wait, and that is all there are
        assert len(alive()) == 3
        go.set()
        assert await asyncio.gather(*blocked, waiting) == [True, True, True, 2]


async def test_one_thread_serves_many_calls_one_after_the_other() -> None:
    with threads(50) as own:
        names = {await own.run(lambda: threading.current_thread().name) for _ in range(100)}
    assert len(names) == 1


async def test_all_of_many_at_once_come_back() -> None:
    with threads(20) as own:
        assert await asyncio.gather(*(own.run(partial(int, n)) for n in range(5_000))) == list(range(5_000))


async def test_what_was_cancelled_before_it_began_does_not_run() -> None:
    go, ran = threading.Event(), []
    with threads(1) as own:
        first = asyncio.create_task(own.run(go.wait))
        second = asyncio.create_task(own.run(lambda: ran.append(2)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        go.set()
        assert await first
        assert await own.run(lambda: 3) == 3
    assert ran == []


async def test_closed_threads_end_when_they_have_run_what_was_asked_for() -> None:
    go = threading.Event()
    own = Threads(1, "test-threads")
    asked = [asyncio.create_task(own.run(call)) for call in (go.wait, lambda: 2)]
    await asyncio.sleep(0)
    own.close()
    with pytest.raises(RuntimeError, match="closed"):
        await own.run(lambda: 3)
    go.set()
    assert await asyncio.gather(*asked) == [True, 2]
    wait_until(lambda: not alive())


async def test_a_system_without_threads_refuses_one_call_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with threads(2) as own:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="new thread"):
                await own.run(lambda: 1)
        assert await own.run(lambda: 2) == 2


async def test_nothing_of_a_call_stays_while_its_thread_waits() -> None:
    class Thing:
        pass

    with threads(1) as own:
        thing = Thing()
        gone = weakref.ref(thing)
        assert await own.run(partial(id, thing))
        del thing
        await asyncio.sleep(0)
        gc.collect()
        assert gone() is None


def test_a_call_that_outlives_its_loop_ends_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    go = threading.Event()
    loop = asyncio.new_event_loop()

    async def begin() -> Threads:
        own = Threads(1, "test-threads")
        running = asyncio.create_task(own.run(go.wait))
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        return own

    own = loop.run_until_complete(begin())
    loop.close()
    own.close()
    go.set()
    wait_until(lambda: not alive())
    assert capfd.readouterr().err == ""

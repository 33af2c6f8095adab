"""Waits that follow one another."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast

from scheduler.mailbox import Mailbox
from scheduler.script_call import Transition, Word
from scheduler.store import AsyncStore


class Store:
    """Notes the marks that it is asked for; nothing ever ends."""

    def __init__(self) -> None:
        self.run_scripts: list[str] = []

    def blocking(self, block_s: float) -> Store:
        assert block_s > 0
        return self

    async def run(self, transition: Transition[Any]) -> Word:
        self.run_scripts.append(transition.script.name)
        await asyncio.sleep(0)
        return Word.WATCHING

    async def execute(self, *command: Any) -> None:
        assert command[0] == "BLPOP"
        await asyncio.get_running_loop().create_future()

    @property
    def keys(self) -> Any:
        return self

    def mail(self, name: str) -> str:
        return name


async def test_a_wait_right_after_one_that_was_given_up_keeps_its_mark() -> None:
    # C5.4: the mark of the first was taken back behind the second's back, which then waited until it looked again.
    store = Store()
    mailbox = Mailbox(cast("AsyncStore", store))

    async def wait_twice() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await mailbox.wait("a")
        await mailbox.wait("a")

    waiting = asyncio.create_task(wait_twice())
    while len(store.run_scripts) < 3:
        await asyncio.sleep(0)
    assert store.run_scripts == ["watch", "unwatch", "watch"]
    waiting.cancel()
    await asyncio.wait([waiting])
    await mailbox.close()
    assert store.run_scripts == ["watch", "unwatch", "watch", "unwatch"]

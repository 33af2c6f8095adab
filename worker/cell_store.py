"""Redis, from inside a cell: the worker makes the calls, and so no cell has a connection of its own."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any, TypeVar

from scheduler import scripts
from scheduler.runner import AsyncRunner
from scheduler.script_call import Transition
from worker.errand import ERRORS
from worker.frames import Say
from worker.line import Line

T = TypeVar("T")

_BY_NAME = {error.__name__: error for error in ERRORS}


class CellStore(AsyncRunner):
    """Runs transitions by way of the worker, with the errors that they have there.

    Args:
        line: The line to the worker.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def run(self, transition: Transition[T]) -> T:
        script = transition.script
        allow_oom = script is not scripts.load(script.name)
        return transition.read(await self._ask(Say.CALL, script.name, allow_oom, list(transition.argv)))

    async def command(self, *command: Any) -> Any:
        return await self._ask(Say.COMMAND, list(command))

    def hear(self, word: Say, number: int, *answer: Any) -> None:
        """The worker has answered; called on the event loop."""
        waiting = self._waiting.pop(number, None)
        if waiting is None or waiting.done():
            return  # who asked has been cancelled
        if word is Say.REPLY:
            waiting.set_result(answer[0])
        else:
            name, message = answer
            waiting.set_exception(_BY_NAME[name](message))

    async def _ask(self, word: Say, *what: Any) -> Any:
        number, answered = next(self._numbers), self._loop.create_future()
        self._waiting[number] = answered
        try:
            self._line.say(word, number, *what)
            return await answered
        finally:
            self._waiting.pop(number, None)

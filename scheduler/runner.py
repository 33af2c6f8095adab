"""What runs transitions from an event loop: a store, or whatever stands for one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar, cast

from scheduler.errors import DuestreamError
from scheduler.operations import Steps
from scheduler.refusals import ServerError
from scheduler.script_call import Transition

T = TypeVar("T")


class AsyncRunner(ABC):
    """Whatever runs transitions from an event loop."""

    @abstractmethod
    async def run(self, transition: Transition[T]) -> T:
        """Run one transition.

        Raises:
            Unavailable: Redis did not answer, or cannot serve now. Whether it was applied is not known; run it again.
            QueueFull: Redis is out of memory; nothing was applied.
        """

    @abstractmethod
    async def command(self, *command: Any) -> Any:
        """Run one plain command.

        Raises:
            Unavailable: Redis did not answer, or cannot serve now.
        """

    async def drive(self, steps: Steps[T]) -> T:
        """Run an operation of `operations.py` step by step; raises as `run` does, and what the operation raises.

        What a step raises is raised in the operation, which may know what to do about it.
        """
        reply, error = None, None
        while True:
            try:
                step = steps.send(reply) if error is None else steps.throw(error)
            except StopIteration as stop:
                return cast("T", stop.value)
            try:
                reply, error = await (self.run(step) if isinstance(step, Transition) else self.command(*step)), None
            except (DuestreamError, ServerError) as raised:
                error = raised

"""Handlers: runs what a delivery asks for, wherever it has to run, and says what follows."""

from __future__ import annotations

from collections.abc import Awaitable

from scheduler.app import App
from scheduler.effects import Effects
from scheduler.transaction import Transaction
from worker.delivery import Held
from worker.executor import Executor, not_runnable
from worker.host import WorkerHost
from worker.inbox import Inbox
from worker.outcome import Next, after_action, after_mutation, transient_of


class Handlers:
    """Runs the handlers of one worker.

    Args:
        app: Whose functions.
        executor: Calls them.
        host: What contexts need of the worker.
        inbox: Runs mutations whose effects are in SQL.
    """

    def __init__(self, app: App, executor: Executor, host: WorkerHost, inbox: Inbox) -> None:
        self._app = app
        self._executor = executor
        self._host = host
        self._inbox = inbox

    def run(self, held: Held) -> Awaitable[Next]:
        """Run an action that has begun, or start a mutation once."""
        return self._run_action(held) if held.begun else self._run_mutation(held)

    async def _run_action(self, held: Held) -> Next:
        assert held.function is not None
        ended = not_runnable(held) or await self._executor.run_action(held, held.function, self._host)
        return after_action(held, ended)

    async def _run_mutation(self, held: Held) -> Next:
        if held.function is not None and held.function.transaction is not None:
            return await self._inbox.run(held)
        problem = not_runnable(held)
        if problem is not None:
            return after_mutation(held, problem, None, ())
        assert held.function is not None
        transaction: Transaction | Effects
        if held.function.isolate:
            ended, transaction = await self._executor.run_isolated(held, held.function)
        else:
            transaction = held.transaction = self._host.transaction()
            ended = await self._executor.run_mutation(held, held.function, self._host, held.transaction)
        held.contended = transaction.contended
        if transaction.conflicted and held.interruption is None:
            held.conflicts += 1
        transient = transient_of(self._app, held.function)
        return after_mutation(held, ended, transaction, transient, now_ms=self._host.producer.clock.now_ms())

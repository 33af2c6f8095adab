"""Mutations whose effects are in SQL, from the delivery to their commit (C3.1, C6.4).

    take the job's row -> handler -> record the outcome in the row -> seal in Redis -> COMMIT -> commit in Redis

Whoever dies or stands still anywhere between leaves it to the next delivery: either the row is not there, and nothing
has happened; or it is, and says how the job ended. The seal is the point where cancel and lost leases no longer win.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from scheduler import transitions
from scheduler.app import App
from scheduler.batcher import Batcher
from scheduler.context import job_log
from scheduler.errors import InvalidValue
from scheduler.function import AnyFunction
from scheduler.inbox import AnyInbox, Outcome
from scheduler.job import JobError, JobState
from scheduler.refusals import ServerError
from scheduler.script_call import Word
from scheduler.transitions import Commit, Retry, Seal
from worker.committer import BATCH
from worker.delivery import Held
from worker.ended import Raised
from worker.executor import Executor
from worker.host import WorkerHost
from worker.outcome import Next, Nothing, after_conflict, after_mutation, after_transient, describe
from worker.persistence import Persistence
from worker.unit import Unit, is_transient, opened, row_key

Work = Callable[[Held, Unit], Awaitable[Next]]


class Inbox:
    """Runs mutations with `transaction=`."""

    def __init__(self, app: App, host: WorkerHost, executor: Executor, persistence: Persistence) -> None:
        self._app = app
        self._host = host
        self._executor = executor
        self._persistence = persistence
        self._seals = Batcher(self._send_seals, BATCH, alone_on=(ServerError,))

    async def run(self, held: Held) -> Next:
        """Bring a delivery to its end in SQL, and say what is to follow in Redis.

        Returns:
            A commit only if it stands in SQL already.
        """
        follows: Next
        if held.poison is not None:
            follows = after_failure(held, held.poison)
        else:
            follows = await self._with_row(held, self._handle)
        if isinstance(follows, Commit) and not follows.settled:
            # Failed. What the handler did was rolled back, and with it the row; so it is taken again.
            failure = follows
            follows = await self._with_row(held, lambda held, unit: self._settle(held, unit, failure))
        if isinstance(follows, Commit) and not follows.settled:
            problem = JobError.unpack(follows.value)
            _log(held).error("its failure cannot be recorded in SQL: %s: %s", problem.type, problem.message)
            return after_transient(held)
        return follows

    async def _with_row(self, held: Held, work: Work) -> Next:
        """Take the row and do the work; or find that an earlier start has ended the job."""
        try:
            async with opened(_transaction(held), self._key(held)) as unit:
                found = await unit.take(self._host.producer.clock.now_ms())
                if found is None:
                    return await work(held, unit)
        except Exception as error:  # noqa: BLE001  whatever hinders the row, nothing of the handler is to blame
            _log(held).warning("the inbox failed: %s: %s", type(error).__name__, error)
            return after_transient(held)
        return await self._apply(held, found)

    async def _handle(self, held: Held, unit: Unit) -> Next:
        function, transaction = _function(held), self._host.transaction(documents=False)
        ended = await self._executor.run_mutation(held, function, self._host, transaction, unit)
        if isinstance(ended, Raised) and not transaction.conflicted and self._is_transient(function, ended.error):
            return after_transient(held)._replace(unseal=True)
        if transaction.conflicted and held.interruption is None:
            held.conflicts += 1
        match after_mutation(held, ended, transaction, ()):
            case Commit(state=JobState.SUCCESS) as success:
                return await self._settle(held, unit, success)
            case Retry() as retry:
                return retry._replace(unseal=True)
            case follows:
                return follows

    async def _settle(self, held: Held, unit: Unit, commit: Commit) -> Next:
        """Record, seal, COMMIT. A commit that is returned unsettled is a failure for the row to be taken anew."""
        outcome = Outcome(
            JobState(commit.state),
            commit.value,
            self._host.producer.clock.now_ms(),
            tuple(commit.children),
            tuple(commit.cancels),
        )
        try:
            await unit.record(outcome.pack())
        except Exception as error:  # noqa: BLE001  the handler's: a flush, a transaction that it has broken
            return self._after_error(held, error, unseal=True)
        word = await self._seals.submit(Seal(held.delivery, commit.reads))
        if word is Word.LOST:
            return Nothing()
        if word is Word.CONFLICT:
            held.conflicts += 1
            follows = after_conflict(held)
            # Whoever sealed it before is not at work any more: it would hold the row.
            return follows._replace(unseal=True) if isinstance(follows, Retry) else follows
        try:
            await unit.commit()
        except Exception as error:  # noqa: BLE001  whether it has committed, the row will tell
            return self._after_error(held, error, unseal=False)
        return self._committed(held, outcome)

    async def _apply(self, held: Held, found: bytes) -> Next:
        """An earlier start has committed: what its row says becomes so in Redis, without the handler."""
        try:
            outcome = Outcome.unpack(found)
        except InvalidValue as error:
            _log(held).error("its row in SQL cannot be read, and its handler is not run again: %s", error)
            return after_transient(held)
        word = await self._seals.submit(Seal(held.delivery))
        return Nothing() if word is Word.LOST else self._committed(held, outcome)

    def _committed(self, held: Held, outcome: Outcome) -> Commit:
        return Commit(
            held.delivery._replace(attempt=held.attempt),
            held.name,
            held.key,
            held.elapsed_ms(),
            outcome.state,
            outcome.value,
            children=outcome.children_at(self._host.producer.clock.now_ms()),
            cancels=outcome.cancels,
            settled=True,
        )

    def _after_error(self, held: Held, error: Exception, *, unseal: bool) -> Next:
        if self._is_transient(_function(held), error):
            return after_transient(held)._replace(unseal=unseal)
        return after_failure(held, describe(error).pack())

    def _is_transient(self, function: AnyFunction, error: BaseException) -> bool:
        return is_transient(self._app, function, error)

    def _key(self, held: Held) -> str:
        return row_key(self._app, held.delivery.job_id)

    async def _send_seals(self, seals: Sequence[Seal]) -> Sequence[Word]:
        return await self._persistence.run(transitions.seal(seals))


def after_failure(held: Held, error: bytes) -> Commit:
    """The failure of a mutation, not settled yet."""
    delivery = held.delivery._replace(attempt=held.attempt)
    return Commit(delivery, held.name, held.key, held.elapsed_ms(), JobState.FAILED, error)


def _function(held: Held) -> AnyFunction:
    assert held.function is not None
    return held.function


def _transaction(held: Held) -> AnyInbox:
    transaction = _function(held).transaction
    assert transaction is not None
    return transaction


def _log(held: Held) -> logging.LoggerAdapter[logging.Logger]:
    return job_log(held.delivery.job_id, held.name, held.attempt)

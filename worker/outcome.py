"""What follows from how a handler ended: pure, from one value to the next (C3.1 to C3.5)."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from scheduler.app import App
from scheduler.backoff import jittered_ms
from scheduler.effects import Effects
from scheduler.errors import Unavailable
from scheduler.function import AnyFunction
from scheduler.job import JobError, JobState
from scheduler.transaction import Transaction
from scheduler.transitions import Commit, Finish, Retry
from worker.delivery import Held, Interruption
from worker.ended import Conflicted, Died, Ended, Failed, Interrupted, Raised, Returned

_MILLIONTHS = 1_000_000
_OUTAGE_MS = (500, 2_000)
_CONFLICT_MS = (10, 60 * 1000)
_IN_PLACE_MS = 100
_AT_ONCE, _IN_LANE, _LANE_MS = 3, 30, (1, 100)
_TRACEBACK_CHARS = 16_000
_MESSAGE_CHARS = 4_000

Jitter = Callable[[int, int, int], int]


@dataclass(frozen=True, slots=True)
class Again:
    """Start the same delivery again here, after `delay_ms`."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class InTurn:
    """Start it again after `delay_ms`, once it is its turn among those that lost over the same document."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """The delivery is another's, or the job has ended: there is nothing to say."""


Next = Commit | Finish | Retry | Again | InTurn | Nothing


def after_mutation(
    held: Held,
    ended: Ended,
    transaction: Transaction | Effects | None,
    transient: tuple[type[Exception], ...],
    jitter: Jitter = jittered_ms,
    now_ms: int | None = None,
) -> Next:
    """A mutation ends in a commit, of its success or of its failure, or it runs again.

    `now_ms` is Redis time, where it is at hand.
    """
    if isinstance(ended, Returned) and transaction is not None and not transaction.conflicted:
        return _commit(held, JobState.SUCCESS, ended.value, transaction, written_ms=now_ms)
    if isinstance(ended, Interrupted):
        return _after_interruption(held, ended.reason, transaction)
    if isinstance(ended, Conflicted) or (transaction is not None and transaction.conflicted):
        return after_conflict(held, jitter)
    match ended:
        case Died(how):
            return after_transient(held, jitter)._replace(key=held.key, death=death_error(held, how).pack())
        case Raised() | Failed() if _is_outage(ended):
            return after_outage(held, jitter)
        case Raised() | Failed() if _passes(ended, transient):
            return after_transient(held, jitter)
        case Raised() | Failed():
            # With what it read: a handler that failed on what it half saw is run again, not failed for good (C3.2).
            return _commit(held, JobState.FAILED, _error_of(ended).pack(), transaction, effects=False)
    raise AssertionError(f"unexpected end {ended!r}")


def _after_interruption(held: Held, reason: Interruption, transaction: Transaction | Effects | None) -> Next:
    match reason:
        case Interruption.LEASE_LOST | Interruption.WORKER_LOST:
            return Nothing()
        case Interruption.STOP:
            return give_back(held, 0)
        case Interruption.TIME_LIMIT:
            return _commit(held, JobState.FAILED, time_limit_error(held).pack(), transaction, effects=False)


def transient_of(app: App, function: AnyFunction) -> tuple[type[Exception], ...]:
    """The exceptions after which a mutation runs again (C3.3)."""
    return (ConnectionError, *app.transient, *function.transient)


def _is_outage(ended: Raised | Failed) -> bool:
    return ended.outage if isinstance(ended, Failed) else isinstance(ended.error, Unavailable)


def _passes(ended: Raised | Failed, transient: tuple[type[Exception], ...]) -> bool:
    return ended.transient if isinstance(ended, Failed) else isinstance(ended.error, transient)


def _error_of(ended: Raised | Failed) -> JobError:
    return ended.error if isinstance(ended, Failed) else describe(ended.error)


def after_conflict(held: Held, jitter: Jitter = jittered_ms) -> Next:
    """Conflicts never give up (C3.3): first in turn with others of this worker, then later and later.

    Soon ones are tried again here, later ones hold no lease meanwhile.
    """
    if held.contended and held.conflicts <= _IN_LANE:
        return InTurn(0 if held.conflicts <= _AT_ONCE else jitter(held.conflicts - _AT_ONCE, *_LANE_MS))
    # Those that it waited its turn for do not count: the first one after them would make it wait for a minute.
    delay_ms = jitter(held.conflicts - (_IN_LANE if held.contended else 0), *_CONFLICT_MS)
    return Again(delay_ms) if delay_ms <= _IN_PLACE_MS else give_back(held, delay_ms)


def after_stale(held: Held, jitter: Jitter = jittered_ms) -> Next:
    """It wrote by an older catalog of indexes: nobody was in its way, and the catalog has been learnt meanwhile.

    At once, then later and later: it may be that the catalog cannot be read.
    """
    delay_ms = 0 if held.stale == 1 else jitter(held.stale, *_CONFLICT_MS)
    return Again(delay_ms) if delay_ms <= _IN_PLACE_MS else give_back(held, delay_ms)


def give_back(held: Held, delay_ms: int) -> Retry:
    """The delivery goes back, to run again after `delay_ms`."""
    return Retry(held.delivery, held.attempt, delay_ms, held.name, held.conflicts)


def after_transient(held: Held, jitter: Jitter = jittered_ms) -> Retry:
    """What passes with time: the delivery goes back, and comes again later each time (C3.3).

    How often that was so, the job's status knows (`lua/retry.lua`); conflicts and deaths do not count.
    """
    return give_back(held, 0)._replace(share=jitter(1, _MILLIONTHS, _MILLIONTHS))


def after_outage(held: Held, jitter: Jitter = jittered_ms) -> Retry:
    """Redis was away while the handler read.

    That the delivery goes back at all means that Redis is here again: it waits no longer than a worker does, however
    often that has happened.
    """
    return give_back(held, max(1, jitter(held.delivery.attempt, *_OUTAGE_MS)))


def after_action(held: Held, ended: Ended) -> Next:
    """An action ends in a finish; it is never run again."""
    match ended:
        case Returned(value):
            return Finish(held.delivery, held.name, held.key, JobState.SUCCESS, value)
        case Interrupted(Interruption.LEASE_LOST | Interruption.WORKER_LOST):
            return Nothing()
        case Interrupted(Interruption.STOP):
            error = JobError("WorkerStopped", "the worker was stopped, and the action did not end in the time of grace")
        case Interrupted():
            error = time_limit_error(held)
        case Raised() | Failed():
            error = _error_of(ended)
        case Died(how):
            error = death_error(held, how)
        case _:
            raise AssertionError(f"unexpected end {ended!r}")
    return Finish(held.delivery, held.name, held.key, JobState.FAILED, error.pack())


def failed_commit(commit: Commit, error: BaseException) -> Commit:
    """A commit that the server refused for what it says becomes a failure without effects."""
    return commit._replace(
        state=JobState.FAILED,
        value=describe(error).pack(),
        reads=(),
        scans=(),
        writes=(),
        entries=(),
        children=(),
        cancels=(),
    )


def time_limit_error(held: Held) -> JobError:
    limit = held.function.timeout_s if held.function is not None else 0
    return JobError("TimeLimitExceeded", f"{held.name}: ran longer than its time limit of {limit:g} s")


def death_error(held: Held, how: str) -> JobError:
    return JobError("ProcessDied", f"{held.name}: its own process {how}")


def describe(error: BaseException) -> JobError:
    """An exception as it is kept: bounded, storable, and safe from a `__str__` that raises."""
    try:
        name = str(type(error).__name__)
    except BaseException as again:  # noqa: BLE001  its class's class may do anything too
        name = f"(a class whose name cannot be shown: {type(again).__name__})"
    try:
        message = str(error)
    except BaseException as again:  # noqa: BLE001  a handler's exception may do anything when asked
        message = f"(its message cannot be shown: {type(again).__name__})"
    try:
        trace = "".join(traceback.format_exception(error))
    except BaseException as again:  # noqa: BLE001  as above
        trace = f"(its traceback cannot be shown: {type(again).__name__})"
    return JobError(
        _storable(name)[:_MESSAGE_CHARS], _storable(message)[:_MESSAGE_CHARS], _storable(trace)[-_TRACEBACK_CHARS:]
    )


def _storable(text: str) -> str:
    return str.encode(text, "utf-8", "backslashreplace").decode("utf-8")  # not by what a subclass makes of it


def _commit(
    held: Held,
    state: JobState,
    value: bytes,
    transaction: Transaction | Effects | None,
    *,
    effects: bool = True,
    written_ms: int | None = None,
) -> Commit:
    delivery, attempt = held.delivery, held.attempt
    if delivery.attempt != attempt:
        delivery = delivery._replace(attempt=attempt)
    commit = Commit(
        delivery, held.name, held.key, held.elapsed_ms(), state, value, conflicts=held.conflicts, written_ms=written_ms
    )
    if transaction is None:
        return commit
    return transaction.with_effects(commit) if effects else transaction.with_reads(commit)

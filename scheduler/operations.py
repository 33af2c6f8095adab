"""What a client can ask for, each written once as steps; `store.drive` runs them, async or blocking.

A step is a transition or a plain command; the generator gets its reply and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from scheduler import transitions
from scheduler.call import Call, Request, Sender, check_size, make_request
from scheduler.description import DAMAGED
from scheduler.encryption import ENCRYPTED
from scheduler.errors import (
    DamagedData,
    InvalidCall,
    JobCanceled,
    JobFailed,
    JobNotFound,
    KeyMissing,
    NotAllowed,
    UnknownFunction,
)
from scheduler.ids import JobId, JobIds
from scheduler.job import CancelOutcome, Job, JobState
from scheduler.script_call import Argument, Transition
from scheduler.settings import DEFAULT_QUEUE, check_flag

if TYPE_CHECKING:
    from scheduler.app import App
    from scheduler.clock import RedisClock
    from scheduler.keyring import Keyring

T = TypeVar("T")
Command = tuple[Argument, ...]
Step = Transition[Any] | Command
Steps = Generator[Step, Any, T]

BATCH_JOBS = 500
BATCH_BYTES = 4 * 1024 * 1024
CANCEL_JOBS = 100


@dataclass(frozen=True, slots=True)
class Producer:
    """Who schedules: the app, its ids and clock, whether it may call internal functions (C1.6), the app's keys."""

    app: App
    ids: JobIds
    clock: RedisClock
    trusted: bool = True
    keyring: Keyring | None = None

    def __post_init__(self) -> None:
        check_flag("trusted", self.trusted)


def read_clock(clock: RedisClock) -> Steps[None]:
    """Learn Redis time."""
    asked_s = time.monotonic()
    seconds, micros = yield ("TIME",)
    clock.observe(int(seconds) * 1000 + int(micros) // 1000, asked_s)


def prepare(
    producer: Producer,
    calls: Sequence[Call],
    parent: str = "",
    since_ms: int | None = None,
    *,
    ids: Sequence[JobId] = (),
) -> Steps[list[Request]]:
    """Turn calls into what is sent: ids, due times, queue and kind of each function.

    Args:
        producer: Who schedules.
        calls: What is scheduled.
        parent: The job that does it, '' for none.
        since_ms: The time that delays count from, Redis time in epoch ms; now where None.

    Raises:
        UnknownFunction, NotAllowed, InvalidTimestamp, LimitExceeded: For the first call that is wrong; nothing is sent.
    """
    unknown = sorted({call.name for call in calls if call.function is None})
    described: dict[str, dict[str, Any] | None] = {}
    if unknown:
        replies = yield transitions.describe(unknown)
        described = dict(zip(unknown, replies, strict=True))
    now_ms = producer.clock.now_ms()
    sender = Sender(parent, now_ms if since_ms is None else since_ms, producer.keyring)
    return [
        _request(producer, call, job_id, sender, now_ms, described)
        for call, job_id in zip(calls, ids or make_ids(producer, calls), strict=True)
    ]


def prepare_known(producer: Producer, call: Call, job_id: JobId) -> Request:
    """The same for one call of a function that is at hand: nothing has to be asked; raises as `prepare` does."""
    now_ms = producer.clock.now_ms()
    return _request(producer, call, job_id, Sender("", now_ms, producer.keyring), now_ms, {})


def _request(
    producer: Producer,
    call: Call,
    job_id: JobId,
    sender: Sender,
    now_ms: int,
    described: Mapping[str, dict[str, Any] | None],
) -> Request:
    check_size(call, producer.app.limits.args_bytes)
    queue, kind, internal = _look_up(producer.app, call, described)
    if internal and not producer.trusted:
        raise NotAllowed(f"function: {call.name} is internal; this client may only schedule public functions")
    return make_request(call, job_id, call.due(now_ms), sender, queue=queue, kind=kind)


def make_ids(producer: Producer, calls: Iterable[Call]) -> list[JobId]:
    """The id of each call: its own where it has one, a new one else."""
    return [call.options.job_id or producer.ids.new() for call in calls]


def _look_up(app: App, call: Call, described: Mapping[str, dict[str, Any] | None]) -> tuple[str, str, bool]:
    """Queue, kind, and whether it is internal; so is a name allowed to be unknown: nobody vouches for it."""
    if call.function is not None:
        app.check_owns(call.function)
        return call.function.queue, call.function.kind_name, call.function.internal
    found = described[call.name]
    if found is DAMAGED:
        raise DamagedData(f"function: what {call.name!r} was registered as in {app.namespace!r} is damaged")
    if found is not None:
        return str(found["queue"]), str(found["kind"]), bool(found["internal"])
    if not call.options.allow_unknown:
        raise UnknownFunction(
            f"function: no live deployment of {app.namespace!r} has registered {call.name!r} "
            "(start a worker that has it, or pass allow_unknown=True)"
        )
    return DEFAULT_QUEUE, "", True


def chunks(requests: Iterable[Request]) -> Iterator[list[Request]]:
    """Batches small enough for one call of the schedule script."""
    batch: list[Request] = []
    size = 0
    for request in requests:
        if batch and (len(batch) == BATCH_JOBS or size + request.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(request)
        size += request.size
    if batch:
        yield batch


def check_call(call: object) -> Call:
    """Refuse what is not a call, at the place where it was handed in."""
    if not isinstance(call, Call):
        raise InvalidCall(
            f"calls: expected what function.after() and function.at() return, got a {type(call).__name__}"
        )
    return call


def cancel_many(job_ids: Sequence[str]) -> Steps[list[CancelOutcome]]:
    """Cancel jobs in bounded batches; the outcomes in order."""
    outcomes: list[CancelOutcome] = []
    for start in range(0, len(job_ids), CANCEL_JOBS):
        outcomes += yield transitions.cancel(job_ids[start : start + CANCEL_JOBS])
    return outcomes


def get(job_id: str, keyring: Keyring | None = None) -> Steps[Job | None]:
    """One record, None where there is none."""
    (job,) = yield transitions.show([job_id], keyring)
    return job  # type: ignore[no-any-return]


def outcome(app: App, job_id: str, keyring: Keyring | None = None) -> Steps[Any]:
    """The result of a job that has ended.

    Raises:
        JobFailed, JobCanceled, JobNotFound: It ended otherwise, or there is no record of it.
        KeyMissing: It is encrypted with a key that is not at hand.
        DamagedData: The record cannot be read.
    """
    job: Job | None = yield from get(job_id, keyring)
    if job is None:
        raise JobNotFound(f"job {job_id}: no record of it (never scheduled, or removed after its retention)")
    if job.state is JobState.FAILED and job.error is not None:
        raise JobFailed(job_id, job.error.type, job.error.message, job.error.traceback)
    if job.state is JobState.CANCELED:
        raise JobCanceled(f"job {job_id} was canceled")
    if job.error is not None:  # it succeeded, but what it returned cannot be read any more
        raise DamagedData(f"job {job_id}: {job.error.message}")
    if job.result is ENCRYPTED:
        raise KeyMissing(f"job {job_id}: its result is encrypted with a key that is not at hand (encryption_key)")
    function = app.functions.get(job.name)
    return job.result if function is None else function.parameters.returns.load_result(job.result)

"""A call of a function at a time, checked and not yet sent; and what is sent of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from scheduler import due
from scheduler.envelope import enclose
from scheduler.errors import InvalidOption, LimitExceeded
from scheduler.ids import JobId, parse_job_id
from scheduler.settings import DEFAULT_QUEUE, check_key, check_queue
from scheduler.spec import pack_head

if TYPE_CHECKING:
    from scheduler.function import AnyFunction
    from scheduler.keyring import Keyring


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Options of one call, apart from the function's own arguments (C2.1).

    Attributes:
        queue: Where the job waits; the function's queue where None.
        idempotency_key: While the record of a job with this key is kept, a second call returns that job's id (C2.10).
        allow_unknown: Schedule a name that no live deployment has registered (C2.6).
        job_id: The job's id, made before by `Scheduler.new_id` or by a call that Redis did not answer; None: a new one.
    """

    queue: str | None = None
    idempotency_key: str | None = None
    allow_unknown: bool = False
    job_id: JobId | None = None

    def __post_init__(self) -> None:
        if self.queue is not None:
            object.__setattr__(self, "queue", check_queue(self.queue))
        if self.idempotency_key is not None:
            object.__setattr__(self, "idempotency_key", check_key(self.idempotency_key))
        if not isinstance(self.allow_unknown, bool):
            raise InvalidOption(f"allow_unknown: expected a bool, got a {type(self.allow_unknown).__name__}")
        if self.job_id is not None:
            object.__setattr__(self, "job_id", parse_job_id(self.job_id))


NO_OPTIONS = CallOptions()


class Call(NamedTuple):
    """One call of a function at a time. Made by `function.after` and `function.at`; `schedule_many` sends it.

    Its arguments are bound, validated and packed already, so a later change of a list that was passed changes nothing.
    """

    name: str
    function: AnyFunction | None
    delay: due.Due | None
    timestamp: due.Timestamp | None
    packed_args: bytes
    options: CallOptions = NO_OPTIONS

    def using(
        self,
        *,
        queue: str | None = None,
        idempotency_key: str | None = None,
        allow_unknown: bool = False,
        job_id: JobId | None = None,
    ) -> Call:
        """The same call with these options."""
        return self._replace(options=CallOptions(queue, idempotency_key, allow_unknown, job_id))

    def due(self, now_ms: int) -> due.Due:
        """When it is due, as the schedule script takes it.

        Raises:
            InvalidTimestamp: It is more than five years from `now_ms`.
        """
        if self.delay is not None:
            return self.delay
        assert self.timestamp is not None
        return due.at(self.timestamp, now_ms)


class Request(NamedTuple):
    """A job as the schedule and commit scripts take it (see `lua/include/create.lua`)."""

    id: JobId
    queue: str
    name: str
    mode: str
    ms: int
    parent: str
    key: str
    born: str
    tail: bytes

    @property
    def size(self) -> int:
        """Bytes of its spec, nearly all of them arguments."""
        return len(self.tail)


class Sender(NamedTuple):
    """On whose behalf a call is sent.

    Attributes:
        parent: The job that schedules it, '' for none.
        since_ms: The time that its delay counts from, Redis time in epoch ms.
        keyring: The app's keys; None where it has none.
    """

    parent: str
    since_ms: int
    keyring: Keyring | None


def make_request(call: Call, job_id: JobId, when: due.Due, sender: Sender, *, queue: str, kind: str) -> Request:
    """What is sent of a call: its id and due time, and the spec from the queue on."""
    options = call.options
    queue = options.queue or queue or DEFAULT_QUEUE
    key, parent = options.idempotency_key or "", sender.parent
    head = pack_head(queue, call.name, kind, parent, key)
    body = call.packed_args
    if sender.keyring is not None:
        not_before_ms = when.ms if when.mode == "at" else sender.since_ms + when.ms
        body = enclose(sender.keyring, job_id, head, body, not_before_ms)
    return Request(job_id, queue, call.name, when.mode, when.ms, parent, key, "", head + body)


def check_size(call: Call, limit_bytes: int) -> None:
    """Refuse arguments above a limit (C2.9).

    Raises:
        LimitExceeded: They are larger.
    """
    if len(call.packed_args) > limit_bytes:
        raise LimitExceeded(
            f"{call.name}: the arguments take {len(call.packed_args):,} bytes, the limit is {limit_bytes:,}"
        )

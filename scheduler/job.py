"""The record of a job: what was asked (the spec) and what happened (the status). C5."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

from scheduler import values
from scheduler.encryption import ENCRYPTED, Cipher, decrypted
from scheduler.envelope import disclose
from scheduler.errors import InvalidValue, KeyMissing, NotDecryptable
from scheduler.ids import JobId
from scheduler.keyring import Keyring, cipher_of
from scheduler.spec import Spec

T = TypeVar("T")

_WHOLE: Final = re.compile(rb"-?[0-9]{1,19}")


class JobState(StrEnum):
    """Where a job stands; the last three are final and never change (C5.1)."""

    PENDING = "pending"
    IN_PROGRESS = "inProgress"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        return self in FINAL


FINAL = (JobState.SUCCESS, JobState.FAILED, JobState.CANCELED)


class CancelOutcome(StrEnum):
    """What a cancel found and did (the rows of C4)."""

    CANCELED = "canceled"
    """It was pending, and never runs. A mutation that was being executed leaves no effect."""
    RUNNING = "running"
    """An action in progress: canceled at once, its code runs on, its result will be dropped."""
    FINISHED = "finished"
    """It had ended; nothing changed."""
    UNKNOWN = "unknown"
    """There is no such job, or not any more; nothing changed."""
    SELF = "self"
    """A mutation canceled itself: no effect, and a warning in its log."""


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed: the exception's class name, its message, and its traceback as text ('' where no code ran)."""

    type: str
    message: str
    traceback: str = ""

    def pack(self) -> bytes:
        return values.pack([self.type, self.message, self.traceback], "error")

    @classmethod
    def unpack(cls, data: bytes) -> JobError:
        """Read what `pack` made.

        Raises:
            InvalidValue: It is damaged.
        """
        found = values.unpack(data)
        if type(found) is not list or len(found) != 3 or not all(type(text) is str for text in found):
            raise InvalidValue("error: damaged: not a type, a message and a traceback")
        return cls(*found)


@dataclass(frozen=True, slots=True)
class Death:
    """A worker that died, or lost its lease, with a job in hand; `time` is when that was noticed, in epoch ms."""

    worker: str
    time: int


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands at one moment. Times are epoch milliseconds of Redis time, None where not reached (C5.2).

    `scheduled_time` is what was asked for, also where that was in the past. `attempts` counts the starts that have
    ended. `ENCRYPTED` stands for the arguments or the result where they are, and no key for them is at hand. `deaths`
    are the last ten of the workers that had it in hand, the newest last (C3.4).
    """

    id: JobId
    name: str
    kind: str
    args: list[Any]
    kwargs: dict[str, Any]
    state: JobState
    queue: str
    scheduled_time: int
    created_time: int
    started_time: int | None = None
    completed_time: int | None = None
    attempts: int = 0
    parent_id: JobId | None = None
    worker: str | None = None
    error: JobError | None = None
    result: Any = field(default=None)
    deaths: tuple[Death, ...] = ()

    @classmethod
    def read(cls, job_id: str, spec: bytes, status: dict[bytes, bytes], keyring: Keyring | None = None) -> Job:
        """Make the record from what the `show` script returned; of a damaged one, what can be told of it."""
        reading, cipher = _Reading(status), cipher_of(keyring)
        asked = reading.part(lambda: _disclosed(keyring, job_id, Spec.unpack(spec))) or _UNREADABLE
        state = reading.part(lambda: JobState(status.get(b"state", b"pending").decode())) or JobState.FAILED
        job = cls(
            id=JobId(job_id),
            name=asked.name,
            kind=asked.kind,
            args=asked.args,
            kwargs=asked.kwargs,
            state=state,
            queue=asked.queue,
            scheduled_time=asked.scheduled_ms,
            created_time=asked.created_ms,
            started_time=reading.number(b"started"),
            completed_time=reading.number(b"completed"),
            attempts=reading.number(b"attempts") or 0,
            parent_id=JobId(asked.parent) if asked.parent else None,
            worker=status[b"worker"].decode(errors="replace") if b"worker" in status else None,
            error=reading.part(lambda: _error(cipher, job_id, status[b"error"])) if b"error" in status else None,
            result=reading.part(lambda: _result(cipher, job_id, status[b"result"])) if b"result" in status else None,
            deaths=_deaths(status.get(b"died")),
        )
        if job.error is None and reading.damage:
            return replace(job, error=JobError("DamagedJob", reading.damage))
        return job


def _disclosed(keyring: Keyring | None, job_id: str, spec: Spec) -> Spec:
    try:
        return disclose(keyring, job_id, spec)
    except NotDecryptable:
        return spec._replace(args=[ENCRYPTED])


def _error(cipher: Cipher | None, job_id: str, data: bytes) -> JobError:
    try:
        return JobError.unpack(decrypted(cipher, job_id, "error", data))
    except KeyMissing:
        return JobError("Encrypted", "the error is encrypted with a key that is not at hand (encryption_key)")


def _result(cipher: Cipher | None, job_id: str, data: bytes) -> Any:
    try:
        return values.unpack(decrypted(cipher, job_id, "result", data))
    except KeyMissing:
        return ENCRYPTED


_UNREADABLE = Spec(0, 0, "", "", "", "", "", [], {})


class _Reading:
    """Reads a status part by part: what is damaged is told of and hides nothing else, and no other job."""

    def __init__(self, status: Mapping[bytes, bytes]) -> None:
        self._status = status
        self.damage = ""

    def part(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ValueError as error:
            self.damage = self.damage or str(error)
            return None

    def number(self, field: bytes) -> int | None:
        text = self._status.get(field)
        return None if text is None else self.part(lambda: _whole(field, text))


def _whole(field: bytes, text: bytes) -> int:
    if not _WHOLE.fullmatch(text):
        raise InvalidValue(f"status: {field.decode()}: damaged: not a whole number: {text[:60]!r}")
    return int(text)


def _deaths(data: bytes | None) -> tuple[Death, ...]:
    lines = [line.partition(" ") for line in (data or b"").decode(errors="replace").split("\n")]
    return tuple(Death(worker, int(time)) for time, _, worker in lines if time.isdigit())

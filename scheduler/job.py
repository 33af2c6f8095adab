"""The record of a job: what was asked (the spec) and what happened (the status). C5."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scheduler import values
from scheduler.encryption import ENCRYPTED, Cipher, decrypted, is_encrypted
from scheduler.envelope import disclose
from scheduler.errors import KeyMissing, NotDecryptable
from scheduler.ids import JobId
from scheduler.keyring import Keyring, cipher_of
from scheduler.spec import Spec


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
        return cls(*values.unpack(data))


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands at one moment. Times are epoch milliseconds of Redis time, None where not reached (C5.2).

    `scheduled_time` is what was asked for, also where that was in the past. `attempts` counts the starts that have
    ended. `ENCRYPTED` stands for the arguments or the result where they are, and no key for them is at hand.
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

    @classmethod
    def damaged(cls, job_id: str, status: dict[bytes, bytes], reason: str) -> Job:
        """What can be told of a job whose record cannot be read: its state, and why."""
        return cls(
            id=JobId(job_id),
            name="",
            kind="",
            args=[],
            kwargs={},
            state=JobState(status.get(b"state", b"pending").decode()),
            queue="",
            scheduled_time=0,
            created_time=0,
            completed_time=_int(status.get(b"completed")),
            error=_readable_error(status.get(b"error")) or JobError("DamagedJob", reason),
        )

    @classmethod
    def read(cls, job_id: str, spec: bytes, status: dict[bytes, bytes], keyring: Keyring | None = None) -> Job:
        """Make the record from what the `show` script returned.

        Raises:
            InvalidValue, NotDecryptable: A part of it is damaged, or was altered.
        """
        asked, cipher = _shown(keyring, job_id, Spec.unpack(spec)), cipher_of(keyring)
        return cls(
            id=JobId(job_id),
            name=asked.name,
            kind=asked.kind,
            args=asked.args,
            kwargs=asked.kwargs,
            state=JobState(status.get(b"state", b"pending").decode()),
            queue=asked.queue,
            scheduled_time=asked.scheduled_ms,
            created_time=asked.created_ms,
            started_time=_int(status.get(b"started")),
            completed_time=_int(status.get(b"completed")),
            attempts=_int(status.get(b"attempts")) or 0,
            parent_id=JobId(asked.parent) if asked.parent else None,
            worker=status[b"worker"].decode() if b"worker" in status else None,
            error=_error(cipher, job_id, status.get(b"error")),
            result=_result(cipher, job_id, status.get(b"result")),
        )


def _shown(keyring: Keyring | None, job_id: str, spec: Spec) -> Spec:
    try:
        return disclose(keyring, job_id, spec)
    except NotDecryptable:
        return spec._replace(args=[ENCRYPTED])


def _readable_error(data: bytes | None) -> JobError | None:
    """The error as it was stored in the open, if it was."""
    return JobError.unpack(data) if data is not None and not is_encrypted(data) else None


def _error(cipher: Cipher | None, job_id: str, data: bytes | None) -> JobError | None:
    if data is None:
        return None
    try:
        return JobError.unpack(decrypted(cipher, job_id, "error", data))
    except KeyMissing:
        return JobError("Encrypted", "the error is encrypted with a key that is not at hand (encryption_key)")


def _result(cipher: Cipher | None, job_id: str, data: bytes | None) -> Any:
    if data is None:
        return None
    try:
        return values.unpack(decrypted(cipher, job_id, "result", data))
    except KeyMissing:
        return ENCRYPTED


def _int(data: bytes | None) -> int | None:
    return None if data is None else int(data)

"""Every error that duestream raises, in one tree.

::

    DuestreamError
    ├── InvalidCall (ValueError)          the call was wrong; nothing was sent
    │   ├── InvalidDelay                  `delay` of run_after
    │   ├── InvalidTimestamp              `timestamp` of run_at
    │   ├── InvalidArguments              arguments that do not fit the function
    │   ├── InvalidValue                  a value that cannot be stored, named by its path
    │   ├── InvalidJobId                  not an id that duestream makes
    │   ├── InvalidDocument               a table, document id or document that ctx.db refuses
    │   └── InvalidOption                 queue, idempotency key, namespace, limit, ...
    ├── UnknownFunction (LookupError)     no live deployment registered that name
    ├── DuplicateFunction (ValueError)    a second function under a name already used
    ├── NotAllowed (PermissionError)      an untrusted client scheduled an internal function
    ├── LimitExceeded (ValueError)        one mutation scheduled or wrote more than it may
    ├── TimeLimitExceeded (TimeoutError)  a function called from another one ran longer than it may
    ├── TooManyConflicts                  a mutation run by an action lost to others again and again
    ├── ConfigurationError                no url, no server, an unusable setting
    │   └── InvalidUrl (ValueError)       the url of a server that cannot be read
    ├── BadSignature                      a job that no key of the app has signed as it stands
    ├── NotDecryptable (ValueError)       a value that was altered since it was encrypted
    │   └── KeyMissing                    a value that is encrypted with a key that is not at hand
    ├── NotOpen (RuntimeError)            a client that is not open, not yet or not any more
    ├── DamagedData                       what Redis holds is not what duestream wrote
    ├── Unavailable (ConnectionError)     Redis did not answer; the call may be repeated
    │   ├── QueueFull                     Redis is out of memory and takes no more jobs
    │   └── IndexBuilding                 an index that is not built yet
    ├── NotUnique (LookupError)           unique() of a query that found several documents
    ├── JobNotFound (LookupError)         result() of a job that has no record
    ├── JobFailed                         result() of a job that failed
    ├── JobCanceled                       result() of a job that was canceled
    └── ResultTimeout (TimeoutError)      result() waited long enough
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from scheduler.ids import JobId


class DuestreamError(Exception):
    """The root of the tree."""


class InvalidCall(DuestreamError, ValueError):
    """The call was wrong; nothing was sent and nothing was stored."""


class InvalidDelay(InvalidCall):
    """`delay` is not a finite, non-negative number of milliseconds or timedelta within five years."""


class InvalidTimestamp(InvalidCall):
    """`timestamp` is not epoch milliseconds or an aware datetime within five years of now."""


class InvalidArguments(InvalidCall):
    """The arguments do not fit the signature or the type hints of the function."""


class InvalidValue(InvalidCall):
    """A value that cannot be stored; the message names the path to it."""


class InvalidJobId(InvalidCall):
    """Not an id that duestream makes (26 characters of Crockford's base 32)."""


class InvalidDocument(InvalidCall):
    """A table name, document id or document that `ctx.db` refuses."""


class InvalidOption(InvalidCall):
    """A queue name, idempotency key, namespace or limit that cannot be used."""


class UnknownFunction(DuestreamError, LookupError):
    """No live deployment has registered a function of that name."""


class DuplicateFunction(DuestreamError, ValueError):
    """A second function was registered under a name that is already used."""


class NotAllowed(DuestreamError, PermissionError):
    """An untrusted client asked for an internal function."""


class LimitExceeded(DuestreamError, ValueError):
    """One mutation scheduled, read or wrote more than its limits allow."""


class TimeLimitExceeded(DuestreamError, TimeoutError):
    """A function that another one called at once ran longer than its `timeout`."""


class TooManyConflicts(DuestreamError):
    """A mutation run by an action found what it had read changed by others, five times in a row; it left no effect."""


class ConfigurationError(DuestreamError):
    """Something outside the code is missing or unusable: a url, a server, a setting."""


class BadSignature(DuestreamError):
    """No key of the app has signed this job as it stands: it was not run."""


class NotDecryptable(DuestreamError, ValueError):
    """An encrypted value was altered, or put in another's place."""


class KeyMissing(NotDecryptable):
    """A value is encrypted with a key that this process does not have."""


class InvalidUrl(ConfigurationError, ValueError):
    """The url of a server that cannot be read."""


class NotOpen(DuestreamError, RuntimeError):
    """A client was used before it was opened, or after it was closed."""


class DamagedData(DuestreamError):
    """Redis holds something else than duestream wrote there: a key of the wrong type, a record that cannot be read."""


class Unavailable(DuestreamError, ConnectionError):
    """Redis did not answer in time: whether the call took effect is not known. Every call may be repeated.

    A scheduling call that is repeated with the same id makes one job, whatever became of the first (C2.10)::

        except Unavailable as error:
            await scheduler.options(job_id=error.job_id).run_after(0, f, x)

    Attributes:
        job_ids: The ids that a scheduling call had made for its jobs, in order; empty for other calls.
    """

    job_ids: tuple[JobId, ...] = ()

    @property
    def job_id(self) -> JobId | None:
        """The id of the only job of `run_after` or `run_at`."""
        return self.job_ids[0] if len(self.job_ids) == 1 else None

    def about(self, job_ids: Iterable[JobId]) -> Self:
        """The same error for these jobs; callers that shared a call on the wire each get their own."""
        twin = type(self)(*self.args)
        twin.job_ids = tuple(job_ids)
        return twin


class QueueFull(Unavailable):
    """Redis is out of memory: it finishes and cancels jobs, but takes no new ones."""


class IndexBuilding(Unavailable):
    """An index was declared for a table that had documents already, and is not built to its end yet; try again."""


class NotUnique(DuestreamError, LookupError):
    """`unique()` of a query that found more than one document."""


class JobNotFound(DuestreamError, LookupError):
    """There is no record of that job: it never existed, or was removed after its retention."""


class JobFailed(DuestreamError):
    """The job ended as `failed`.

    Attributes:
        job_id: The job's id.
        error_type: The name of the exception's class.
        error_message: What the exception said.
        traceback: The handler's traceback as text, empty where no code ran.
    """

    def __init__(self, job_id: str, error_type: str, error_message: str, traceback: str = "") -> None:
        super().__init__(f"job {job_id} failed: {error_type}: {error_message}")
        self.job_id = job_id
        self.error_type = error_type
        self.error_message = error_message
        self.traceback = traceback


class JobCanceled(DuestreamError):
    """The job ended as `canceled`."""


class ResultTimeout(DuestreamError, TimeoutError):
    """The job had not ended when the time given to `result` was over; it goes on."""

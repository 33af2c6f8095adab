"""duestream: a distributed task queue on Redis. A mutation happens exactly once, an action at most once."""

from __future__ import annotations

from scheduler.app import App
from scheduler.blocking import SyncScheduler
from scheduler.call import Call
from scheduler.client import Scheduler
from scheduler.context import ActionContext, BlockingActionContext, BlockingMutationContext, MutationContext
from scheduler.embedded import EmbeddedServer
from scheduler.errors import (
    ConfigurationError,
    DuestreamError,
    DuplicateFunction,
    InvalidArguments,
    InvalidCall,
    InvalidDelay,
    InvalidDocument,
    InvalidJobId,
    InvalidOption,
    InvalidTimestamp,
    InvalidValue,
    JobCanceled,
    JobFailed,
    JobNotFound,
    LimitExceeded,
    NotAllowed,
    QueueFull,
    ResultTimeout,
    TooManyConflicts,
    Unavailable,
    UnknownFunction,
)
from scheduler.function import Function, Kind
from scheduler.ids import JobId
from scheduler.job import CancelOutcome, Job, JobError, JobState
from scheduler.listing import JobPage
from scheduler.settings import Limits

__all__ = [
    "ActionContext",
    "App",
    "BlockingActionContext",
    "BlockingMutationContext",
    "Call",
    "CancelOutcome",
    "ConfigurationError",
    "DuestreamError",
    "DuplicateFunction",
    "EmbeddedServer",
    "Function",
    "InvalidArguments",
    "InvalidCall",
    "InvalidDelay",
    "InvalidDocument",
    "InvalidJobId",
    "InvalidOption",
    "InvalidTimestamp",
    "InvalidValue",
    "Job",
    "JobCanceled",
    "JobError",
    "JobFailed",
    "JobId",
    "JobNotFound",
    "JobPage",
    "JobState",
    "Kind",
    "LimitExceeded",
    "Limits",
    "MutationContext",
    "NotAllowed",
    "QueueFull",
    "ResultTimeout",
    "Scheduler",
    "SyncScheduler",
    "TooManyConflicts",
    "Unavailable",
    "UnknownFunction",
]

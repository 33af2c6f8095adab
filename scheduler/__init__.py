"""duestream: a distributed task queue on Redis. A mutation happens exactly once, an action at most once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.app import App
    from scheduler.blocking import SyncScheduler
    from scheduler.blocking_context import BlockingActionContext, BlockingMutationContext, BlockingQueryContext
    from scheduler.call import Call
    from scheduler.client import Scheduler
    from scheduler.context import ActionContext, MutationContext, QueryContext
    from scheduler.db import BlockingQuery, Query
    from scheduler.documents import UNSET
    from scheduler.embedded import EmbeddedServer
    from scheduler.encryption import ENCRYPTED
    from scheduler.errors import (
        BadSignature,
        ConfigurationError,
        DamagedData,
        DuestreamError,
        DuplicateFunction,
        IndexBuilding,
        InvalidArguments,
        InvalidCall,
        InvalidDelay,
        InvalidDocument,
        InvalidJobId,
        InvalidOption,
        InvalidTimestamp,
        InvalidUrl,
        InvalidValue,
        JobCanceled,
        JobFailed,
        JobNotFound,
        KeyMissing,
        LimitExceeded,
        NotAllowed,
        NotDecryptable,
        NotOpen,
        NotUnique,
        QueueFull,
        ResultTimeout,
        TimeLimitExceeded,
        TooManyConflicts,
        Unavailable,
        UnknownFunction,
    )
    from scheduler.function import Function, Kind
    from scheduler.ids import JobId
    from scheduler.job import CancelOutcome, Death, Job, JobError, JobState
    from scheduler.listing import JobPage
    from scheduler.query import Page
    from scheduler.settings import Limits
    from scheduler.sql_context import BlockingSqlContext, SqlContext
    from scheduler.table import Document, Table

__all__ = [
    "ENCRYPTED",
    "UNSET",
    "ActionContext",
    "App",
    "BadSignature",
    "BlockingActionContext",
    "BlockingMutationContext",
    "BlockingQuery",
    "BlockingQueryContext",
    "BlockingSqlContext",
    "Call",
    "CancelOutcome",
    "ConfigurationError",
    "DamagedData",
    "Death",
    "Document",
    "DuestreamError",
    "DuplicateFunction",
    "EmbeddedServer",
    "Function",
    "IndexBuilding",
    "InvalidArguments",
    "InvalidCall",
    "InvalidDelay",
    "InvalidDocument",
    "InvalidJobId",
    "InvalidOption",
    "InvalidTimestamp",
    "InvalidUrl",
    "InvalidValue",
    "Job",
    "JobCanceled",
    "JobError",
    "JobFailed",
    "JobId",
    "JobNotFound",
    "JobPage",
    "JobState",
    "KeyMissing",
    "Kind",
    "LimitExceeded",
    "Limits",
    "MutationContext",
    "NotAllowed",
    "NotDecryptable",
    "NotOpen",
    "NotUnique",
    "Page",
    "Query",
    "QueryContext",
    "QueueFull",
    "ResultTimeout",
    "Scheduler",
    "SqlContext",
    "SyncScheduler",
    "Table",
    "TimeLimitExceeded",
    "TooManyConflicts",
    "Unavailable",
    "UnknownFunction",
]

_HOMES = {
    "scheduler.app": ("App",),
    "scheduler.blocking": ("SyncScheduler",),
    "scheduler.call": ("Call",),
    "scheduler.client": ("Scheduler",),
    "scheduler.blocking_context": ("BlockingActionContext", "BlockingMutationContext", "BlockingQueryContext"),
    "scheduler.context": ("ActionContext", "MutationContext", "QueryContext"),
    "scheduler.db": ("BlockingQuery", "Query"),
    "scheduler.documents": ("UNSET",),
    "scheduler.embedded": ("EmbeddedServer",),
    "scheduler.encryption": ("ENCRYPTED",),
    "scheduler.errors": (
        "BadSignature",
        "ConfigurationError",
        "DamagedData",
        "DuestreamError",
        "DuplicateFunction",
        "IndexBuilding",
        "InvalidArguments",
        "InvalidCall",
        "InvalidDelay",
        "InvalidDocument",
        "InvalidJobId",
        "InvalidOption",
        "InvalidTimestamp",
        "InvalidUrl",
        "InvalidValue",
        "JobCanceled",
        "JobFailed",
        "JobNotFound",
        "KeyMissing",
        "LimitExceeded",
        "NotAllowed",
        "NotDecryptable",
        "NotOpen",
        "NotUnique",
        "QueueFull",
        "ResultTimeout",
        "TimeLimitExceeded",
        "TooManyConflicts",
        "Unavailable",
        "UnknownFunction",
    ),
    "scheduler.function": (
        "Function",
        "Kind",
    ),
    "scheduler.ids": ("JobId",),
    "scheduler.job": (
        "CancelOutcome",
        "Death",
        "Job",
        "JobError",
        "JobState",
    ),
    "scheduler.listing": ("JobPage",),
    "scheduler.query": ("Page",),
    "scheduler.settings": ("Limits",),
    "scheduler.table": ("Document", "Table"),
    "scheduler.sql_context": ("BlockingSqlContext", "SqlContext"),
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the command line starts in a third of the time for it."""
    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(home), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

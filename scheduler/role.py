"""Roles: for whom a server has users of their own."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Who has a user of its own on the server."""

    PRODUCER = "producer"
    """Schedules and cancels jobs, waits for results, reads records and documents: `Scheduler` and `SyncScheduler`."""
    WORKER = "worker"
    """Runs jobs, promotes and cleans; whatever its handlers call."""
    OPERATOR = "operator"
    """The command line: what a producer may, and looks at all there is."""

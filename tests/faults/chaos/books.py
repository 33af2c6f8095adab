"""What is left when a phase is over, read from the server, the log and the ledger: all that invariants look at."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.crew import all_jobs
from scheduler import Job, JobState, SyncScheduler
from scheduler.keys import Keys
from tests.faults.chaos import columns
from tests.faults.chaos.ledger import Asked, Ledger
from tests.faults.chaos.workload import accounts, app
from tests.faults.chaos.world import Shift


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the actions' log."""

    job_id: str
    pid: int
    word: str
    value: str


@dataclass(frozen=True, slots=True)
class Books:
    """The end of a phase.

    Attributes:
        promise: What the server promised: `columns.FSYNC`, `POWER_CUT`, `REPLICA`.
        opening: What each account held at first.
        accounts: What each holds at the end, by key.
        documents: All other documents, by table and key.
        jobs: All records, by id.
        ended: Under which final states each job is listed.
        asked: All calls, by tag.
        cancels: What cancels found, in order.
        seen: Records as they were seen in a final state before.
        changed: Records that were seen in two of them.
        lines: The actions' log.
        shifts: When the server's clock was off.
        struck: When faults struck that could lose what the server had accepted, in epoch ms.
    """

    promise: str
    opening: Mapping[str, int]
    accounts: Mapping[str, int]
    documents: Mapping[str, Mapping[str, Mapping[str, Any]]]
    jobs: Mapping[str, Job]
    ended: Mapping[str, Sequence[str]]
    asked: Mapping[int, Asked]
    cancels: Sequence[tuple[str, str]]
    seen: Mapping[str, Job]
    changed: Sequence[str]
    lines: Sequence[Line]
    shifts: Sequence[Shift] = ()
    struck: Sequence[int] = ()

    @property
    def keeps_all(self) -> bool:
        """Whether nothing that the server accepted may be gone."""
        return self.promise == columns.FSYNC

    def clock_was_off(self, time_ms: int) -> bool:
        """Whether a time was read from the server's clock while it was off."""
        return any(shift.covers(time_ms) for shift in self.shifts)

    def may_have_lost_of(self, action: Job) -> bool:
        """Whether such a fault struck in the time of an action: then what it did by then may be gone, though it was
        told that it was accepted, and it may have been started again (C7.2).
        """
        started_ms, ended_ms = action.created_time, action.completed_time
        return any(started_ms <= at and (ended_ms is None or at <= ended_ms) for at in self.struck)

    def of(self, *names: str, state: JobState | None = None) -> Iterator[Job]:
        """The jobs of some functions, in one state if it is given."""
        wanted = {f"chaos:{name}" for name in names}
        return (job for job in self.jobs.values() if job.name in wanted and state in (None, job.state))

    def starts(self) -> Counter[str]:
        """How often the first line of each action ran."""
        return Counter(line.job_id for line in self.lines if line.word == "start")


TABLES = ("marks", "counters", "moves", "receipts", "forgotten", "lists")


def read(
    scheduler: SyncScheduler, server: Any, promise: str, opening: Mapping[str, int], ledger: Ledger, log: Path,
    shifts: Sequence[Shift], struck: Sequence[int],
) -> Books:  # fmt: skip
    """Read the books of a phase whose workers have ended."""
    keys = Keys(app.namespace)
    ended: dict[str, list[str]] = defaultdict(list)
    for state in (one for one in JobState if one.final):
        for job_id in server.zrange(keys.done(state), 0, -1):
            ended[job_id.decode()].append(state)
    return Books(
        promise=promise,
        opening=opening,
        accounts={one.id.partition(":")[2]: one.cents for one in scheduler.db.query(accounts)},
        documents={table: _documents(scheduler, table) for table in TABLES},
        jobs={job.id: job for job in all_jobs(scheduler)},
        ended=ended,
        asked=ledger.asked,
        cancels=ledger.cancels,
        seen=ledger.seen,
        changed=ledger.changed,
        lines=list(lines_of(log)),
        shifts=shifts,
        struck=struck,
    )


def _documents(scheduler: SyncScheduler, table: str) -> dict[str, dict[str, Any]]:
    return {one.id.partition(":")[2]: dict(one) for one in scheduler.db.query(table)}


def lines_of(path: Path) -> Iterator[Line]:
    """The lines of a log, none where there is no file."""
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        job_id, pid, word, value = text.split(" ", 3)
        yield Line(job_id, int(pid), word, value)

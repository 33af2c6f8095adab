"""What was asked of the queue, and what it answered: kept by the producers, judged at the end."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from scheduler import CancelOutcome, Job
from tests.faults.chaos.calls import Planned


@dataclass(slots=True)
class Asked:
    """One call.

    Attributes:
        planned: What was called.
        ids: What each accepted one of its sends returned.
        unsure: How many sends had no answer: each may have been accepted, or not.
    """

    planned: Planned
    ids: list[str] = field(default_factory=list)
    unsure: int = 0


@dataclass(slots=True)
class Ledger:
    """All calls by tag, all cancels in order, and each record that was seen in a final state."""

    asked: dict[int, Asked] = field(default_factory=dict)
    cancels: list[tuple[str, CancelOutcome]] = field(default_factory=list)
    seen: dict[str, Job] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    accepted: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_accepted(self, planned: Sequence[Planned], ids: Sequence[str]) -> None:
        """They returned these ids."""
        with self.lock:
            for one, job_id in zip(planned, ids, strict=True):
                self.asked.setdefault(one.tag, Asked(one)).ids.append(job_id)
                self.accepted.append((job_id, one.function))

    def note_unsure(self, planned: Sequence[Planned]) -> None:
        """They had no answer."""
        with self.lock:
            for one in planned:
                self.asked.setdefault(one.tag, Asked(one)).unsure += 1

    def note_cancels(self, ids: Sequence[str], outcomes: Sequence[CancelOutcome]) -> None:
        """What cancels found."""
        with self.lock:
            self.cancels += zip(ids, outcomes, strict=True)

    def note_seen(self, job: Job) -> None:
        """A record in a final state: it may never look otherwise again (C5.1)."""
        with self.lock:
            if self.seen.setdefault(job.id, job) != job:
                self.changed.append(f"{job.id} was {self.seen[job.id].state}, and then {job.state}")

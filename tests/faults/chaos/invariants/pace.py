"""7. After the last fault all work drains soon; with no fault, delayed jobs are on time."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.chaos.books import Books
from tests.faults.chaos.invariants.finding import Finding
from tests.faults.chaos.timetable import LEASE_S

DRAIN_S = 2 * LEASE_S + 10
LATE_MS = 100


def check(books: Books, drained_s: float, *, quiet: bool) -> Iterator[Finding]:
    """Look at how long it took.

    Args:
        books: The records.
        drained_s: From the last fault, or the last call if that was later, until nothing was left to do.
        quiet: Whether there was no fault.
    """
    finding = Finding(7, f"all work drained within {DRAIN_S:g} s of the last fault")
    finding.check(drained_s <= DRAIN_S, f"it took {drained_s:.1f} s")
    yield finding
    if quiet:
        late = lateness_ms(books)
        on_time = Finding(7, f"with no fault, delayed jobs are {LATE_MS} ms late at most (p99)", len(late))
        p99 = percentile(late, 0.99)
        if p99 >= LATE_MS:
            on_time.violations.append(f"p99 of {len(late)} is {p99} ms")
        yield on_time


def lateness_ms(books: Books) -> list[int]:
    """From due to the start, of each delayed action, in order of size."""
    probes = [job for job in books.of("probe") if job.started_time is not None]
    return sorted(job.started_time - job.scheduled_time for job in probes if job.started_time is not None)


def percentile(ordered: list[int], share: float) -> int:
    """The value below which that share lies; 0 of none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0

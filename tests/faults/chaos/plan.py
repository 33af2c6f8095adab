"""All phases of a run, in order."""

from __future__ import annotations

from tests.faults.chaos import columns, timetable
from tests.faults.chaos.timetable import Phase

QUIET_S, QUIET_JOBS = 15.0, 1_500


def plan_run(seed: int, *, long: bool, scale: float = 1.0) -> list[Phase]:
    """A quiet phase, and then the rounds of a column: one of the first, many of the second.

    Args:
        seed: What happens when.
        long: The second column.
        scale: Only that part of it, for trying out.
    """
    column, jobs = (columns.LONG, columns.LONG_JOBS) if long else (columns.CI, columns.CI_JOBS)
    rounds = columns.LONG_ROUNDS if long else 1
    quiet = Phase(columns.QUIET, seed, QUIET_S, QUIET_JOBS, ())
    return [quiet] + [
        timetable.phase_of(share, seed + number)
        for number in range(rounds)
        for share in columns.shares(column, jobs, rounds, number, scale)
    ]

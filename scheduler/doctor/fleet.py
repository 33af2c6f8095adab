"""Who works: silent workers, queues and functions that nobody serves, a promoter that is not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from scheduler import transitions
from scheduler.doctor.findings import Finding, counted
from scheduler.inspector import WorkerView
from scheduler.keys import GROUP, Keys
from scheduler.leases import DEFAULT_LEASE_MS
from scheduler.operations import Steps

OVERDUE_MS: Final = 2_000
LEASES: Final = 4
"""So many leases after its end nobody can still be about to take it up."""


def check_app(keys: Keys) -> Steps[list[Finding]]:
    """Nothing of the app is here: it is new, or its name or the server is another one."""
    is_here = yield ("EXISTS", keys.queues, keys.functions)
    return [] if is_here else [Finding("app-absent", f"nothing of {keys.namespace}")]


def check_workers(workers: Sequence[WorkerView], now_ms: int) -> Iterator[Finding]:
    """Workers that give no sign of life."""
    silent = tuple(one.name for one in workers if one.is_silent(now_ms))
    if silent:
        yield Finding("worker-silent", f"{len(silent):,} of {counted(len(workers), 'worker')}", silent)


def check_queues(waiting: Mapping[str, int], workers: Sequence[WorkerView], now_ms: int) -> Iterator[Finding]:
    """Queues whose jobs (`waiting`: how many) no live worker takes."""
    served = {queue for one in workers if not one.is_silent(now_ms) for queue in one.queues}
    unserved = {queue: count for queue, count in waiting.items() if count and queue not in served}
    if unserved:
        yield Finding(
            "queue-unserved",
            f"{counted(sum(unserved.values()), 'job')} in queues without a worker",
            tuple(sorted(unserved)),
        )


def check_functions(waiting: Counter[str]) -> Steps[list[Finding]]:
    """Functions that no live deployment has, among those that jobs wait for."""
    names = sorted(waiting)
    described = yield transitions.describe(names)
    gone = tuple(name for name, one in zip(names, described, strict=True) if one is None)
    return (
        [
            Finding(
                "function-unserved",
                f"{counted(sum(waiting[name] for name in gone), 'job')} for unknown functions",
                gone,
            )
        ]
        if gone
        else []
    )


def check_promoter(keys: Keys, queues: Sequence[str], now_ms: int) -> Steps[list[Finding]]:
    """Jobs that are overdue while nobody promotes."""
    if (yield ("EXISTS", keys.promoter)):
        return []
    overdue = 0
    for queue in queues:
        overdue += int((yield ("ZCOUNT", keys.due(queue), "-inf", now_ms - OVERDUE_MS)))
    return [Finding("promoter-missing", f"{counted(overdue, 'job is', 'jobs are')} overdue")] if overdue else []


def check_leases(keys: Keys, queues: Sequence[str], workers: Sequence[WorkerView], now_ms: int) -> Steps[list[Finding]]:
    """Deliveries and actions whose lease ended long ago, and that nobody has taken back."""
    longest_ms = LEASES * max((one.lease_ms for one in workers), default=DEFAULT_LEASE_MS)
    over = int((yield ("ZCOUNT", keys.running, "-inf", now_ms - longest_ms)))
    names = ["running"] if over else []
    for queue in queues:
        found = yield ("XPENDING", keys.ready(queue), GROUP, "IDLE", longest_ms, "-", "+", 1_000)
        over += len(found)
        names += [queue] if found else []
    return (
        [Finding("lease-over", f"{counted(over, 'lease')} ended over {longest_ms / 1000:g} s ago", tuple(names))]
        if over
        else []
    )

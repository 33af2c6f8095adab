"""6. At rest nothing is pending, due, ready or running, and nothing is left over: keys, memory, processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults.chaos import lifetimes
from tests.faults.chaos.books import Books
from tests.faults.chaos.invariants.finding import Finding

MEMORY_SHARE = 0.05
SPARE_FILES, SPARE_THREADS, SPARE_TASKS = 16, 20, 16
"""How much more a worker may have open at the end than any had at first: what as many jobs need as it takes at once."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process has open, and what its tasks run."""

    pid: int
    files: int
    threads: int
    tasks: Sequence[str]


@dataclass(slots=True)
class Rest:
    """What there is when all work is done.

    Attributes:
        prefix: Of the keys that may be there.
        left: Entries in due sets, ready streams, their pending lists and `running`, by key.
        keys: All keys, with type and time to live in ms (-1: for ever).
        before, after: What the workers had open when the first of them had begun, and at the end.
        orphans: Processes of ours that outlived the crew.
        connections: Clients of the server that are left when all of ours are closed.
        memory_stats: Where it was before and after, as the server tells.
        memory_before, memory_after: Of the server, without records and documents, in bytes.
        exits: Exits of workers that nobody asked for.
        complaints: What workers logged of things that must not happen.
    """

    prefix: str
    left: dict[str, int] = field(default_factory=dict)
    keys: dict[str, tuple[str, int]] = field(default_factory=dict)
    before: list[Footprint] = field(default_factory=list)
    after: list[Footprint] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    memory_stats: list[dict[str, int]] = field(default_factory=list)
    memory_before: int = 0
    memory_after: int = 0
    workers: int = 0
    exits: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def check(rest: Rest, books: Books) -> Iterator[Finding]:
    """Look at all that is left."""
    yield _nothing_waits(rest)
    yield _keys(rest)
    yield _records(rest, books)
    yield _memory(rest)
    yield _connections(rest)
    yield _footprints(rest.before, rest.after)
    yield _processes(rest)


def _nothing_waits(rest: Rest) -> Finding:
    finding = Finding(6, "no entry pending, due, ready or running")
    for key, count in rest.left.items():
        finding.check(count == 0, f"{key} holds {count}")
    return finding


def _keys(rest: Rest) -> Finding:
    finding = Finding(6, "every key is one of keys.py, and has its lifetime", len(rest.keys))
    finding.violations += lifetimes.objections(rest.prefix, rest.keys, lifetimes.rows())
    return finding


def _records(rest: Rest, books: Books) -> Finding:
    """A record that no list leads to would stay for ever."""
    finding = Finding(6, "every record is listed")
    for key, (_, ttl_ms) in rest.keys.items():
        kind, _, job_id = key.removeprefix(rest.prefix).partition(":")
        if kind in ("job", "status") and ttl_ms == -1:
            finding.check(job_id in books.jobs, f"{key} is in no list")
    return finding


def _memory(rest: Rest) -> Finding:
    finding, grown = Finding(6, "memory is back within 5 %"), rest.memory_after - rest.memory_before
    said = f"the server had {rest.memory_before:,} bytes without records, and has {rest.memory_after:,}"
    if rest.memory_stats:
        before, after = rest.memory_stats
        most = sorted(after, key=lambda name: before.get(name, 0) - after[name])[:8]
        said += ", most in " + ", ".join(f"{name} {before.get(name, 0):,} -> {after[name]:,}" for name in most)
    finding.check(grown <= MEMORY_SHARE * rest.memory_before, said)
    return finding


def _connections(rest: Rest) -> Finding:
    finding = Finding(6, "no connection is left when all workers have ended")
    finding.check(not rest.connections, f"{len(rest.connections)} are left: {rest.connections[:1]}")
    return finding


def _footprints(before: Sequence[Footprint], after: Sequence[Footprint]) -> Finding:
    finding = Finding(6, "no worker has gathered files, threads or tasks")
    files, threads, tasks = (max(counts) for counts in zip(*map(_counts, before), strict=True))
    for one in after:
        held = (
            one.files <= files + SPARE_FILES
            and one.threads <= threads + SPARE_THREADS
            and len(one.tasks) <= tasks + SPARE_TASKS
        )
        finding.check(
            held,
            f"worker {one.pid} has {one.files} files, {one.threads} threads, {len(one.tasks)} tasks;"
            f" at first {files}, {threads}, {tasks}; most tasks run {Counter(one.tasks).most_common(3)}",
        )
    return finding


def _counts(one: Footprint) -> tuple[int, int, int]:
    return one.files, one.threads, len(one.tasks)


def _processes(rest: Rest) -> Finding:
    finding = Finding(6, "workers ended as they were told, and left no process", rest.workers)
    finding.violations += [*rest.exits, *rest.orphans, *rest.complaints]
    return finding

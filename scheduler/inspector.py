"""What an operator looks at: queues, workers, functions, tables and the server, each read as steps of plain commands.

Like `operations.py`: `store.drive` runs them, async or blocking. Nothing here is one moment: a number may be older than
the one below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scheduler import transitions, versions
from scheduler.facts import read_facts
from scheduler.job import FINAL, JobState
from scheduler.keys import GROUP, Keys
from scheduler.leases import DEFAULT_LEASE_MS
from scheduler.operations import Steps
from scheduler.table import Index
from scheduler.versions import Catalog

SCAN_COUNT: Final = 1_000
MOST_SCANS: Final = 1_000
DESCRIBED: Final = 500

_APP_KEY = re.compile(r"\{([A-Za-z0-9_.-]{1,64})\}:(?:queues|functions)")


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The apps found on a server, sorted; not all of them where the search ended early."""

    names: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue.

    Attributes:
        name: Its name.
        due: Jobs that wait for their time.
        ready: Jobs whose time has come and that no worker holds.
        in_flight: Jobs that a worker holds and has not acked.
        next_due_ms: When the next of `due` may run, epoch ms; in the past where no promoter runs.
    """

    name: str
    due: int
    ready: int
    in_flight: int
    next_due_ms: int | None


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker, as it announced itself; only name and time are left of one that fell silent."""

    name: str
    seen_ms: int
    host: str = ""
    pid: int | None = None
    queues: tuple[str, ...] = ()
    concurrency: int | None = None
    running: int = 0
    python: str = ""
    version: str = ""
    lease_ms: int = DEFAULT_LEASE_MS

    @property
    def alive(self) -> bool:
        """Whether its heartbeat has not run out."""
        return self.pid is not None

    def is_silent(self, now_ms: int) -> bool:
        """Whether it has given no sign of life for two leases, in which it gives eight: dead, paused or cut off."""
        return not self.alive or now_ms - self.seen_ms > 2 * self.lease_ms


@dataclass(frozen=True, slots=True)
class FunctionView:
    """One function that a live deployment registered; `parameters` as `Parameters.describe` gives them.

    `finished` has the number of its jobs that ended, by state, `conflicts` how often its mutations were run again
    because something they had read was changed, and `refused` how many of its jobs failed for their signature or for
    what was altered; all are None where Redis was not asked. They count from the first job on, also those whose records
    were removed.
    """

    name: str
    kind: str
    internal: bool
    queue: str
    parameters: tuple[dict[str, Any], ...]
    doc: str
    finished: dict[str, int] | None = None
    conflicts: int | None = None
    refused: int | None = None

    @classmethod
    def of(cls, name: str, described: Mapping[str, Any], tally: Mapping[str, int] | None = None) -> FunctionView:
        """Read what `Function.describe` wrote, and what `transitions.tally` read."""
        return cls(
            name=name,
            kind=str(described.get("kind", "")),
            internal=bool(described.get("internal")),
            queue=str(described.get("queue", "")),
            parameters=tuple(described.get("parameters", ())),
            doc=str(described.get("doc", "")),
            finished=None if tally is None else {state.value: tally.get(state.value, 0) for state in FINAL},
            conflicts=None if tally is None else tally.get("conflicts", 0),
            refused=None if tally is None else tally.get("refused", 0),
        )


@dataclass(frozen=True, slots=True)
class TablesView:
    """The tables that have documents, by name, and how many; not all of them where the search ended early."""

    documents: dict[str, int]
    complete: bool


@dataclass(frozen=True, slots=True)
class IndexView:
    """One index that writers keep up.

    Attributes:
        id: What `transitions.forget` calls it.
        table: The table it is of.
        fields: The fields it sorts by, dotted paths.
        ready: Whether it can be walked.
        built: Documents whose entries are there for sure.
        documents: Documents of the table.
    """

    id: str
    table: str
    fields: tuple[str, ...]
    ready: bool
    built: int
    documents: int


@dataclass(frozen=True, slots=True)
class ServerView:
    """The server: what it says of itself. Memory in bytes, `memory_limit` 0 where there is none."""

    name: str
    version: str
    append_only: bool
    unsaved_changes: int
    persistence_ok: bool
    memory: int
    memory_limit: int
    eviction: str


@dataclass(frozen=True, slots=True)
class AppView:
    """An app at a glance; `known` where it has ever been used on this server."""

    namespace: str
    known: bool
    server: ServerView
    jobs: dict[str, int]
    workers: int
    promoter: str | None


def find_namespaces() -> Steps[Namespaces]:
    """Which apps a server holds, by the keys that every app has; looks at about a million keys at most."""
    # One pattern for both keys; what else it hits, `_APP_KEY` drops.
    keys, complete = yield from _scan("{*}:[qf]u*")
    found = (_APP_KEY.fullmatch(key) for key in keys)
    return Namespaces(tuple(sorted({one[1] for one in found if one is not None})), complete)


def _scan(pattern: str) -> Steps[tuple[set[str], bool]]:
    """The keys that fit a glob, and whether all keys were looked at."""
    found: set[str] = set()
    cursor: bytes = b"0"
    for _ in range(MOST_SCANS):
        cursor, keys = yield ("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
        found.update(key.decode(errors="replace") for key in keys)
        if cursor == b"0":
            break
    return found, cursor == b"0"


def read_queues(keys: Keys) -> Steps[list[QueueView]]:
    """All queues, by name."""
    queues = []
    for name in sorted(one.decode(errors="replace") for one in (yield ("SMEMBERS", keys.queues))):
        due = yield ("ZCARD", keys.due(name))
        head = yield ("ZRANGE", keys.due(name), 0, 0, "WITHSCORES")
        entries = yield ("XLEN", keys.ready(name))
        held = yield from _pending(keys.ready(name))
        next_ms = _whole(head[1].decode()) if head else None
        queues.append(QueueView(name, int(due), max(0, int(entries) - held), held, next_ms))
    return queues


def _pending(stream: str) -> Steps[int]:
    """Entries that workers hold. XPENDING would refuse a stream whose group no worker has made yet."""
    if not (yield ("EXISTS", stream)):
        return 0
    groups = [_pairs(group) for group in (yield ("XINFO", "GROUPS", stream))]
    return next((int(group["pending"]) for group in groups if group["name"] == GROUP.encode()), 0)


def read_workers(keys: Keys) -> Steps[list[WorkerView]]:
    """All workers that are alive or fell silent a short while ago, by name."""
    workers = []
    listed = yield ("ZRANGE", keys.workers, 0, -1, "WITHSCORES")
    for name, seen in zip(listed[::2], listed[1::2], strict=True):
        text = name.decode(errors="replace")
        fields = _pairs((yield ("HGETALL", keys.worker(text))))
        workers.append(_worker(text, _whole(seen.decode()) or 0, fields))
    return sorted(workers, key=lambda worker: worker.name)


def _worker(name: str, seen_ms: int, fields: Mapping[str, bytes]) -> WorkerView:
    text = {field: value.decode(errors="replace") for field, value in fields.items()}
    pid = _whole(text.get("pid", ""))
    if pid is None:
        return WorkerView(name, seen_ms)
    return WorkerView(
        name=name,
        seen_ms=_whole(text.get("seen", "")) or seen_ms,
        host=text.get("host", ""),
        pid=pid,
        queues=tuple(text.get("queues", "").split(",")),
        concurrency=_whole(text.get("concurrency", "")),
        running=_whole(text.get("running", "")) or 0,
        python=text.get("python", ""),
        version=text.get("version", ""),
        lease_ms=_whole(text.get("lease_ms", "")) or DEFAULT_LEASE_MS,
    )


def read_functions(keys: Keys) -> Steps[list[FunctionView]]:
    """The functions of live deployments, by name."""
    names = sorted(name.decode(errors="replace") for name in (yield ("HKEYS", keys.functions)))
    functions = []
    for start in range(0, len(names), DESCRIBED):
        some = names[start : start + DESCRIBED]
        described = yield transitions.describe(some)
        tallies = yield transitions.tally(some)
        found = zip(some, described, tallies, strict=True)  # of a damaged description the name is left
        functions += [FunctionView.of(name, one, tally) for name, one, tally in found if one is not None]
    return functions


def read_tables(keys: Keys) -> Steps[TablesView]:
    """The tables of an app; looks at about a million keys of the server at most."""
    found, complete = yield from _scan(keys.table("*"))
    documents = {}
    for key in sorted(found):
        documents[key.removeprefix(keys.table(""))] = int((yield ("ZCARD", key)))
    return TablesView(documents, complete)


def read_indexes(keys: Keys) -> Steps[list[IndexView]]:
    """All indexes, by table and fields."""
    catalog: Catalog = yield versions.declare()
    indexes = []
    for index_id, built in sorted(catalog.indexes.items()):
        index = Index.of_id(index_id)
        documents = int((yield ("ZCARD", keys.table(index.table))))
        done = documents if built is None else int((yield ("ZCOUNT", keys.table(index.table), "-inf", built)))
        indexes.append(IndexView(index_id, index.table, index.fields, built is None, done, documents))
    return indexes


def read_app(keys: Keys) -> Steps[AppView]:
    """The server, the jobs by state, who works and who promotes."""
    server = yield from read_server()
    jobs = yield from count_states()
    workers = yield from read_workers(keys)
    promoter = yield ("GET", keys.promoter)
    alive = sum(worker.alive for worker in workers)
    known = bool((yield ("EXISTS", keys.queues, keys.functions)))
    leader = promoter.decode(errors="replace") if promoter else None
    return AppView(keys.namespace, known, server, jobs, alive, leader)


def count_states() -> Steps[dict[str, int]]:
    """How many jobs there are in each state, at one moment."""
    counts: dict[JobState, int] = yield transitions.count()
    return {state.value: count for state, count in counts.items()}


def read_server() -> Steps[ServerView]:
    """What the server says of itself."""
    facts = yield from read_info("server", "persistence", "memory")
    return ServerView(
        name="Valkey" if "valkey_version" in facts else "Redis",
        version=facts.get("valkey_version") or facts.get("redis_version", ""),
        append_only=facts.get("aof_enabled") == "1",
        unsaved_changes=int(facts.get("rdb_changes_since_last_save", 0)),
        persistence_ok=facts.get("aof_last_write_status", "ok") == facts.get("rdb_last_bgsave_status", "ok") == "ok",
        memory=int(facts.get("used_memory", 0)),
        memory_limit=int(facts.get("maxmemory", 0)),
        eviction=facts.get("maxmemory_policy", ""),
    )


def read_info(*sections: str) -> Steps[dict[str, str]]:
    """The lines of INFO, by their names."""
    facts: dict[str, str] = {}
    for section in sections:
        facts |= read_facts((yield ("INFO", section)))
    return facts


def _whole(text: str) -> int | None:
    """A number that Redis holds, None where it holds anything else."""
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return None


def _pairs(flat: list[Any]) -> dict[str, Any]:
    return {name.decode(errors="replace"): value for name, value in zip(flat[::2], flat[1::2], strict=True)}

"""The systems that are measured: what each needs, how its workers are started, and how it is set up.

Nothing here imports a system: their environments differ, and the driver has none of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import commands
from benchmarks.commands import Launch

ROOT = Path(__file__).parents[1]
VENVS = Path(os.environ.get("BENCH_VENVS", ROOT / "build" / "bench-venvs"))


@dataclass(frozen=True, slots=True)
class System:
    """One system.

    Attributes:
        name: That of its adapter in `benchmarks.peers`.
        packages: What pip installs into its environment; none: the project's own environment.
        versions: The packages whose versions are told.
        variants: Ways to set it up; ("",) where there is one.
        drain: Jobs of a drain of 5 to 20 seconds, by variant or for all.
        delayed: Jobs of the case `delayed`.
        crash: Jobs of the case `crash`.
        chunk: Jobs of one call of `many` in bulk.
        uvloop: Its client runs on uvloop.
        commands: The command lines of its workers; None: `worker()` of the adapter.
        note: How it is set up, where that is not its default.
    """

    name: str
    packages: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    variants: tuple[str, ...] = ("",)
    drain: int | Mapping[str, int] = 20_000
    delayed: int = 5_000
    crash: int = 100
    chunk: int = 1_000
    uvloop: bool = False
    commands: Callable[[Launch], list[list[str]]] | None = None
    note: str = ""

    @property
    def bin(self) -> Path:
        """Where the programs of its environment are."""
        return VENVS / self.name / "bin" if self.packages else Path(sys.executable).parent

    @property
    def python(self) -> Path:
        return self.bin / "python" if self.packages else Path(sys.executable)

    def drain_jobs(self, variant: str) -> int:
        return self.drain if isinstance(self.drain, int) else self.drain[variant]


_OURS = ("redis", "hiredis", "uvloop")

SYSTEMS: Mapping[str, System] = {
    system.name: system
    for system in (
        System(
            "duestream",
            versions=("duestream", "redis", "hiredis", "uvloop", "msgpack", "pydantic"),
            variants=("", "lean", "action", "action-lean", "plain", "plain-action", "document", "blocking"),
            chunk=10_000,
            uvloop=True,
            commands=commands.duestream,
            note="`duestream worker -q`, all defaults: results kept seven days, leases, time limits, arguments "
            "validated by type hints, 100 jobs at once; lean: keep_s=0; plain: plain def handlers in threads; document: "
            "one read and one insert of ctx.db; bulk = one schedule_many of 10,000",
        ),
        System(
            "raw",
            versions=_OURS,
            variants=("pipe", "lua", "task"),
            drain=100_000,
            note="no queue: a loop by hand, blocking redis-py, batches of 500. pipe: XREADGROUP, then XACK and XDEL in a "
            "pipeline; lua: one script acks the last batch and reads the next; task: as lua, an asyncio task a job",
        ),
        System(
            "redis_py",
            versions=_OURS,
            variants=("async", "blocking"),
            uvloop=True,
            note="no queue: one EVALSHA that adds one entry, awaited one by one; concurrent: 50 single XADD at once",
        ),
        System(
            "sketch",
            versions=(*_OURS, "msgpack"),
            drain=60_000,
            uvloop=True,
            note="no queue: hash, list and a lease, one script a batch finishes and claims; uvloop, up to 1,000 tasks",
        ),
        System(
            "arq",
            packages=("arq", "hiredis", "uvloop"),
            versions=("arq", *_OURS),
            variants=("tuned", "default"),
            drain={"tuned": 6_000, "default": 300},
            uvloop=True,
            note="keep_result=0, uvloop; tuned: max_jobs 100, poll_delay 0.01; default: 10 and 0.5; bulk = 50 concurrent "
            "enqueues (it has no bulk call)",
        ),
        System(
            "celery",
            packages=("celery[redis]", "hiredis", "gevent"),
            versions=("celery", "kombu", "redis", "hiredis", "gevent"),
            variants=("prefork", "threads", "solo", "gevent"),
            drain=4_000,
            commands=commands.celery,
            note="ignore_result, no events, gossip, mingle or heartbeat; prefork: -c processes, prefetch multiplier 64; "
            "threads -c 2; gevent -c 100; bulk = group()",
        ),
        System(
            "docket",
            packages=("pydocket", "hiredis", "uvloop"),
            versions=("pydocket", *_OURS),
            variants=("tuned", "default"),
            drain={"tuned": 8_000, "default": 300},
            uvloop=True,
            note="execution_ttl=0, uvloop; tuned: concurrency 200, minimum_check_interval 10 ms, scheduling_resolution "
            "20 ms, max_connections=1000 (at redis-py's 100 a worker of so many jobs fails); default: 10, 250 and 250 ms",
        ),
        System(
            "dramatiq",
            packages=("dramatiq[redis]", "hiredis", "gevent"),
            versions=("dramatiq", "redis", "hiredis", "gevent"),
            variants=("threads", "gevent"),
            drain=8_000,
            commands=commands.dramatiq,
            note="8 threads a process, or 16 greenlets; no Prometheus middleware; bulk = group().run()",
        ),
        System(
            "huey",
            packages=("huey", "redis", "hiredis"),
            versions=("huey", "redis", "hiredis"),
            drain=10_000,
            commands=commands.huey,
            note="results=False, blocking reads, 4 threads (100 in the crash case), scheduler interval 1 s (its least); "
            "bulk = one by one (it has no bulk call)",
        ),
        System(
            "rq",
            packages=("rq", "hiredis"),
            versions=("rq", "redis", "hiredis"),
            variants=("simple", "fork"),
            drain={"simple": 800, "fork": 200},
            delayed=500,
            crash=10,
            commands=commands.rq,
            note="result_ttl=0; simple: SimpleWorker (no fork a job); one job at a time a process, so 500 delayed jobs, and "
            "10 workers with one job each in the crash case; bulk = enqueue_many",
        ),
        System(
            "saq",
            packages=("saq[redis]", "typing_extensions", "hiredis", "uvloop"),
            versions=("saq", *_OURS),
            drain=8_000,
            uvloop=True,
            note="ttl=-1 (no result kept), uvloop, concurrency 20 (best of 10, 20, 50, 100); bulk = 1,000 concurrent "
            "enqueues",
        ),
        System(
            "streaq",
            packages=("streaq", "uvloop"),
            versions=("streaq", "coredis", "uvloop"),
            drain=6_000,
            uvloop=True,
            note="ttl=0 (no result kept), silent tasks, uvloop, concurrency 16 (its default, best of 8 to 256)",
        ),
        System(
            "taskiq",
            packages=("taskiq", "taskiq-redis", "hiredis", "uvloop", "orjson", "msgpack"),
            versions=("taskiq", "taskiq-redis", *_OURS),
            drain=10_000,
            uvloop=True,
            commands=commands.taskiq,
            note="RedisStreamBroker, no result backend, 100 tasks at once; delayed: ListRedisScheduleSource and a scheduler "
            "process, both intervals 1 s",
        ),
    )
}

PEERS = tuple(name for name, system in SYSTEMS.items() if system.packages)


def find(named: str) -> tuple[System, str]:
    """The system and the variant of `system` or `system:variant`; its first variant where none is named.

    Raises:
        KeyError: There is none of that name.
    """
    name, _, variant = named.partition(":")
    if name not in SYSTEMS:
        raise KeyError(f"no system is called {name!r}: they are {', '.join(SYSTEMS)}")
    system = SYSTEMS[name]
    variant = variant or system.variants[0]
    if variant not in system.variants:
        raise KeyError(f"{name} has no variant {variant!r}: {', '.join(filter(None, system.variants))}")
    return system, variant

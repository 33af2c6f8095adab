"""The cases by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.cases.asked import Asked
from benchmarks.cases.crash import crash
from benchmarks.cases.delayed import delayed
from benchmarks.cases.drain import drain
from benchmarks.cases.enqueue import enqueue
from benchmarks.cases.idle import idle
from benchmarks.cases.latency import latency
from benchmarks.cases.pending import pending
from benchmarks.stage import Stage, staged

CASES: Mapping[str, Callable[[Stage, Asked], dict[str, Any]]] = {
    "enqueue": enqueue, "drain": drain, "latency": latency, "delayed": delayed, "pending": pending, "crash": crash,
    "idle": idle,
}  # fmt: skip


def measure(
    named: str, case: str, asked: Asked, processes: int = 1, concurrency: int = 0, queues: int = 1
) -> dict[str, Any]:
    """One case of `system` or `system:variant`, with what says which it was."""
    with staged(named, case, processes, concurrency, queues) as stage:
        figures = CASES[case](stage, asked)
        return {"system": named, "case": case, "procs": processes, "server": stage.server.version, **figures}

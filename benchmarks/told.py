"""What the driver tells the processes of a system, through the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """One case, as its clients and workers know it.

    Attributes:
        port: Of the server, at 127.0.0.1.
        case: Its name.
        variant: Of the system, '' where it has none.
        processes: Worker processes.
        concurrency: Jobs at once in each; 0 where the adapter is to take what suits its system best.
        queues: That the jobs are spread over; only our adapter knows more than one.
    """

    port: int
    case: str
    variant: str
    processes: int
    concurrency: int
    queues: int = 1

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def jobs_at_once(self, best: int, crash: int = 100) -> int:
        """The concurrency that was asked for, else the best one; in the case `crash` so many that all jobs run."""
        return self.concurrency or (crash if self.case == "crash" else best)

    def environment(self) -> dict[str, str]:
        return {
            "BENCH_PORT": str(self.port),
            "BENCH_CASE": self.case,
            "BENCH_VARIANT": self.variant,
            "BENCH_PROCESSES": str(self.processes),
            "BENCH_CONCURRENCY": str(self.concurrency),
            "BENCH_QUEUES": str(self.queues),
        }


def told() -> Told:
    """What this process was told; what a plain import needs where it was told nothing."""
    get = os.environ.get
    return Told(
        port=int(get("BENCH_PORT", "6379")),
        case=get("BENCH_CASE", "drain"),
        variant=get("BENCH_VARIANT", ""),
        processes=int(get("BENCH_PROCESSES", "1")),
        concurrency=int(get("BENCH_CONCURRENCY", "0")),
        queues=int(get("BENCH_QUEUES", "1")),
    )

"""duestream against the bare loops of the same run, and the targets: `make bench`.

    python -m benchmarks.bench [--save]

Peers are not run: rows that name them use the committed figures of `make bench-peers`, as shares of the bare loop that
was measured with them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import start
from benchmarks.cases import measure
from benchmarks.cases.asked import Asked
from benchmarks.runs import RESULTS, Runs
from benchmarks.targets import LOOP, Verdict, judge
from benchmarks.versions import about

DRAIN_S = 4.0
"""How long a drain is to take: as many jobs as a first, short one says."""

PAYLOAD = 91
"""With its number and what MessagePack says of both a job then has 100 bytes of arguments."""

FEWEST, MOST = 20_000, 200_000
OURS = ("duestream", "raw", "redis_py")


@dataclass(frozen=True, slots=True)
class Step:
    """One case of the plan; `label` instead of the case's name where the same case runs twice with other sizes."""

    system: str
    case: str
    asked: Asked = field(default_factory=Asked)
    procs: int = 1
    label: str = ""

    def run(self) -> dict[str, Any]:
        figures = measure(self.system, self.case, self.asked, self.procs)
        return {**figures, "case": self.label or self.case}


def plan(jobs: int) -> Iterator[Step]:
    """All steps but for the first drain and the starts of processes.

    Args:
        jobs: Of a drain.
    """
    drain = Asked(jobs=jobs)
    yield Step(LOOP, "drain")
    for variant in ("", ":lean", ":action", ":document", ":plain"):
        yield Step(f"duestream{variant}", "drain", drain)
    yield Step("duestream", "drain", drain, procs=2)
    yield Step(LOOP, "drain")
    yield Step("raw:pipe", "enqueue", Asked(operations=("bulk",)))
    yield Step("duestream", "enqueue", Asked(operations=("one", "burst", "bulk")))
    yield Step("redis_py:async", "enqueue", Asked(operations=("one", "burst")))
    yield Step("duestream:blocking", "enqueue", Asked(operations=("one",)))
    yield Step("redis_py:blocking", "enqueue", Asked(operations=("one",)))
    yield Step("raw:pipe", "latency")
    yield Step("duestream", "latency")
    yield Step("duestream", "delayed")
    yield Step("duestream", "pending", Asked(payload=PAYLOAD, drain=False))
    yield Step("duestream", "drain", Asked(jobs=10_000, payload=PAYLOAD), label="memory")
    yield Step("duestream", "idle", Asked(seconds=15.0))
    yield Step("duestream", "idle", Asked(seconds=8.0, workers=100), label="idle-100")


def session(seconds: float) -> Runs:
    """Run the plan; each step is told on standard error."""
    first = Step("duestream", "drain", Asked(jobs=FEWEST)).run()
    jobs = min(MOST, max(FEWEST, int(first.get("rate", 0) * seconds)))
    runs = [start.measure()]
    for step in plan(jobs):
        began = time.monotonic()
        runs.append(step.run())
        name = f"{step.system} {step.label or step.case}" + (f" x{step.procs}" if step.procs > 1 else "")
        click.echo(f"{name:32} {time.monotonic() - began:5.1f} s  {_gist(runs[-1])}", err=True)
    return Runs(about(str(first["server"]), OURS), runs)


def table(verdicts: list[Verdict], title: str) -> Table:
    """As it is printed."""
    drawn = Table("", "target", "measured", "", "reached", title=title, title_justify="left")
    for one in verdicts:
        mark = {True: "[green]yes[/]", False: "[red]no[/]", None: "not measured"}[one.reached]
        drawn.add_row(one.what, one.target, one.measured, one.absolute, mark)
    return drawn


def _gist(run: dict[str, Any]) -> str:
    names = ("error", "rate", "worker_cpu_us_per_job", "latency_ms", "lag_ms", "bytes_per_job", "sent_per_s")
    found = {name: run[name] for name in names if name in run}
    found |= {name: run[name]["rate"] for name in ("one", "burst", "bulk") if name in run}
    return ", ".join(f"{name} {value}" for name, value in found.items())[:300]


@click.command()
@click.option("--seconds", default=DRAIN_S, show_default=True, help="How long a drain is to take.")
@click.option("--save", is_flag=True, help="Keep the figures for docs/performance.md.")
def main(seconds: float, save: bool) -> None:
    """Measure duestream on this machine, and hold it against its targets."""
    began = time.monotonic()
    runs = session(seconds)
    if save:
        runs.save(RESULTS / "bench.json")
    peers = Runs.load(RESULTS / "peers.json")
    title = f"{runs.about['server']}; peers as measured on {peers.about['date']}; {time.monotonic() - began:.0f} s"
    Console(width=200).print(table(judge(runs, peers), title))


if __name__ == "__main__":
    main()

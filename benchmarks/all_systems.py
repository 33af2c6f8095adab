"""All systems side by side, in rounds: `make bench-peers`.

    python -m benchmarks.all_systems [--rounds 3] [--peers arq,huey] [--out FILE]

Each case is added to build/bench/peers.jsonl when it is done, so that an interrupted session leaves what it has; the
whole of it, as medians of the rounds, goes to benchmarks/results/peers.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from benchmarks.bench import Step
from benchmarks.cases.asked import Asked
from benchmarks.medians import medians
from benchmarks.runs import RESULTS, Runs
from benchmarks.systems import PEERS, ROOT, SYSTEMS, find
from benchmarks.versions import about

BOUNDS = ("raw:pipe", "raw:lua", "raw:task", "sketch")
OURS = ("duestream", "duestream:lean", "duestream:action")
MAIN = (
    "celery:prefork", "rq:simple", "dramatiq:threads", "arq:tuned", "taskiq", "saq", "streaq", "docket:tuned", "huey",
)  # fmt: skip
OTHERS = (
    "celery:solo", "celery:threads", "celery:gevent", "rq:fork", "dramatiq:gevent", "arq:default", "docket:default",
    "duestream:plain",
)  # fmt: skip
CRASH = (
    "celery:threads",
    "rq:fork",
    "dramatiq:threads",
    "arq:tuned",
    "taskiq",
    "saq",
    "streaq",
    "docket:tuned",
    "huey",
)
DIARY = ROOT / "build" / "bench" / "peers.jsonl"


def plan(number: int) -> Iterator[Step]:
    """The steps of one round; the slow ones are in the first only."""
    for system in (*BOUNDS, *OURS, *MAIN, *OTHERS):
        yield Step(system, "drain")
    for system in ("raw:pipe", "raw:lua", "sketch", "duestream", *MAIN, "celery:solo"):
        yield Step(system, "drain", procs=2)
    for system in ("raw:pipe", "sketch", "duestream", *MAIN):
        yield Step(system, "enqueue")
    if number == 1:
        for system in (*BOUNDS, "duestream", *MAIN, "arq:default", "docket:default"):
            yield Step(system, "latency")
        for system in ("duestream", *MAIN):
            yield Step(system, "delayed")
            yield Step(system, "pending", Asked(cap_s=45.0))
        for system in ("duestream", "duestream:action", *CRASH):
            yield Step(system, "crash")


def session(rounds: int, peers: frozenset[str], diary: Path) -> list[dict[str, Any]]:
    """Run the plan for bounds, ours, and these peers."""
    diary.parent.mkdir(parents=True, exist_ok=True)
    runs: list[dict[str, Any]] = []
    with diary.open("w", encoding="utf-8") as file:
        for number in range(1, rounds + 1):
            for step in plan(number):
                if find(step.system)[0].packages and find(step.system)[0].name not in peers:
                    continue
                runs.append({**_run(step), "round": number})
                file.write(f"{json.dumps(runs[-1])}\n")
                file.flush()
    return runs


def _run(step: Step) -> dict[str, Any]:
    """The step's figures; an error is a result too: a peer that fails a case says something about the peer."""
    began = time.monotonic()
    try:
        figures = step.run()
    except Exception as error:  # noqa: BLE001 any peer may fail in any way, and the others still count
        figures = {"system": step.system, "case": step.case, "procs": step.procs, "error": f"{error}"[-1_000:]}
    told = figures.get("error") or figures.get("rate") or figures.get("latency_ms") or figures.get("lag_ms") or ""
    click.echo(f"{step.system:18} {step.case} x{step.procs}  {time.monotonic() - began:5.1f} s  {told}"[:160], err=True)
    return figures


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--peers", default=",".join(PEERS), show_default=True, help="Which of them.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS / "peers.json", help="The results file.")
def main(rounds: int, peers: str, out: Path) -> None:
    """Run every case of every system, and keep the medians."""
    wanted = frozenset(peers.split(","))
    runs = session(rounds, wanted, DIARY)
    server = next(str(run["server"]) for run in runs if "server" in run)
    systems = [name for name, system in SYSTEMS.items() if not system.packages or name in wanted]
    Runs(about(server, systems), medians(runs)).save(out)
    click.echo(f"{out}: {len(runs)} runs of {rounds} rounds", err=True)


if __name__ == "__main__":
    main()

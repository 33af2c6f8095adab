"""`python -m tests.faults.chaos [--seed N] [--long] [--schedule FILE]`: exit code 1 if anything was violated."""

from __future__ import annotations

import secrets
import shutil
import time
from pathlib import Path

import click
from rich.console import Console

from tests import servers
from tests.faults.chaos import report, timetable
from tests.faults.chaos.phase import Outcome, Place, run
from tests.faults.chaos.plan import plan_run
from tests.worker.processes import ROOT

FOLDER = ROOT / "build" / "chaos"

console = Console(highlight=False, soft_wrap=True, width=120)


@click.command()
@click.option("--seed", type=int, help="What happens when; another one each time.")
@click.option("--long", is_flag=True, help="The second column of the table: two hours.")
@click.option("--schedule", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Play this again.")
@click.option("--server", default="valkey-9", show_default=True, help="A server of the matrix.")
@click.option("--scale", type=float, default=1.0, help="A part of the column, for trying out.")
@click.option("--only", help="One phase, for trying out.")
def main(seed: int | None, long: bool, schedule: Path | None, server: str, scale: float, only: str | None) -> None:
    """Break everything, and check that every promise was kept."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    folder = FOLDER / str(seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    phases = timetable.load(schedule) if schedule is not None else plan_run(seed, long=long, scale=scale)
    timetable.save(folder / "schedule.jsonl", phases)
    console.print(f"seed {seed}, {folder.relative_to(ROOT)}/schedule.jsonl")
    outcomes: list[Outcome] = []
    started = time.monotonic()
    for number, phase in enumerate(phases):
        if only in (None, phase.name):
            place = Place(servers.program(server), servers.faketime(), folder / f"{number}-{phase.name}")
            outcomes.append(run(phase, place, lambda text: _tell(started, text)))
    report.show(console, outcomes)
    if wrong := report.violations(outcomes):
        console.print(f"[bold red]{wrong} violations[/]; again: make chaos SEED={seed}{' LONG=1' if long else ''}")
        raise click.exceptions.Exit(1)
    console.print(f"[green]every promise was kept[/] (seed {seed}, {time.monotonic() - started:.0f} s)")


def _tell(started: float, text: str) -> None:
    console.print(f"{time.monotonic() - started:6.0f} s  {text}")


if __name__ == "__main__":
    main()

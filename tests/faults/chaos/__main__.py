"""`python -m tests.faults.chaos [--seed N] [--long] [--schedule FILE]`: exit code 1 if anything was violated."""

from __future__ import annotations

import secrets
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from tests import acl, servers
from tests.faults.chaos import columns, report, timetable
from tests.faults.chaos.phase import Outcome, Place, run
from tests.faults.chaos.plan import plan_run
from tests.faults.chaos.timetable import Phase
from tests.worker.processes import ROOT

FOLDER = ROOT / "build" / "chaos"
OWN_CLOCK = "valkey-9"
"""The server that takes a clock of its own."""

FORGETS = "valkey-9"
"""The server that cuts off what a power cut has torn in its file."""

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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that was started ends too
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    phases = timetable.load(schedule) if schedule is not None else plan_run(seed, long=long, scale=scale)
    folder = FOLDER / (str(seed) if schedule is None else "again")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    faketime = servers.faketime() if server == OWN_CLOCK else None
    if faketime is None:
        console.print(f"no clock jumps: libfaketime does not get along with the memory allocator of {server}")
        phases = [replace(one, faults=tuple(f for f in one.faults if f.kind != columns.JUMP)) for one in phases]
    timetable.save(folder / "schedule.jsonl", phases)
    again = f"make chaos SEED={seed}" if schedule is None else f"make chaos SCHEDULE={schedule}"
    again += (" LONG=1" if long else "") + f" SERVER={server}"
    console.print(f"{again}    ({folder.relative_to(ROOT)}/schedule.jsonl)")
    places = [Place(servers.program(server), faketime, folder / f"{number}-{phase.name}", rewrites=server != FORGETS)
              for number, phase in enumerate(phases)]  # fmt: skip
    chosen = [(phase, place) for phase, place in zip(phases, places, strict=True) if only in (None, phase.name)]
    started = time.monotonic()
    try:
        with acl.installed():
            outcomes = [_run(phase, place, started) for phase, place in chosen]
    except BaseException:
        console.print(f"[bold red]ended before its end[/]; again: {again}")
        raise
    report.show(console, outcomes)
    if wrong := report.violations(outcomes):
        console.print(f"[bold red]{wrong} violations[/]; again: {again}")
        raise click.exceptions.Exit(1)
    console.print(f"[green]every promise was kept[/] in {time.monotonic() - started:.0f} s; again: {again}")


def _run(phase: Phase, place: Place, started: float) -> Outcome:
    outcome = run(phase, place, lambda text: _tell(started, text))
    report.show_violations(console, [outcome])
    if not report.violations([outcome]):
        _forget(place)  # two hours of append-only files are more than a disk may have
    return outcome


def _forget(place: Place) -> None:
    """Remove the data of a phase's servers; logs stay."""
    for data in place.folder.glob("server-*/appendonlydir"):
        shutil.rmtree(data)


def _tell(started: float, text: str) -> None:
    console.print(f"{time.monotonic() - started:6.0f} s  {text}")


if __name__ == "__main__":
    main()

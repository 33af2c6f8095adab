"""Profiles of a producer and of a worker under drain, as text in build/profile: `make profile`.

Each is written twice: as a tree of calls, and flat, by what each function took itself.

    python -m benchmarks.profiles [--jobs 30000]

By pyinstrument (`pip install 'duestream[bench]'`), which samples each millisecond and slows little. The worker is the
command itself, with `--burst`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from benchmarks.cases.asked import Asked
from benchmarks.stage import Stage, staged
from benchmarks.systems import ROOT

FOLDER = ROOT / "build" / "profile"
PROFILER = (sys.executable, "-m", "pyinstrument")


def producers(seconds: float, folder: Path) -> None:
    """One by one, 50 at once, and in bulk; and one by one without an event loop."""
    for system, operations in (("duestream", ("one", "burst", "bulk")), ("duestream:blocking", ("one",))):
        for operation in operations:
            with staged(system, "enqueue") as stage:
                out = folder / f"producer-{system.partition(':')[2] or 'async'}-{operation}.txt"
                arguments = [
                    stage.system.name,
                    operation,
                    "--seconds",
                    str(seconds),
                    "--chunk",
                    str(stage.system.chunk),
                ]
                arguments += ["--uvloop"] if stage.told.variant != "blocking" else []
                _profile(stage, out, ["benchmarks.client", *arguments])


def workers(jobs: int, folder: Path) -> None:
    """A drain of each kind of handler."""
    for variant in ("", ":lean", ":action", ":document", ":plain"):
        with staged(f"duestream{variant}", "drain") as stage:
            stage.client("fill", jobs=jobs, seconds=0, chunk=stage.system.chunk)
            out = folder / f"worker-{variant.removeprefix(':') or 'default'}.txt"
            target = "benchmarks.peers.duestream:app"
            _profile(stage, out, ["worker", "worker", target, "--url", stage.told.url, "--burst", "--quiet"])


def _profile(stage: Stage, out: Path, module: list[str]) -> None:
    """Run a module under the profiler, and write what it found.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    session = out.with_suffix(".session")
    command = [*PROFILER, "--interval", "0.001", "--renderer", "session", "--outfile", str(session), "-m", *module]
    subprocess.run(command, env=stage.environment(), cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=300)
    for options, path in (((), out), (("-p", "flat=true"), out.with_suffix(".flat.txt"))):
        render = [*PROFILER, "--load", str(session), "--renderer", "text", *options, "--outfile", str(path)]
        subprocess.run(render, check=True, stdout=subprocess.DEVNULL)
        click.echo(path)
    session.unlink()


@click.command()
@click.option("--jobs", default=30_000, show_default=True, help="Of a drain.")
@click.option("--seconds", default=Asked().seconds, show_default=True, help="Of each operation of a producer.")
@click.option("--out", type=click.Path(path_type=Path), default=FOLDER, help="The folder.")
def main(jobs: int, seconds: float, out: Path) -> None:
    """Profile producers and workers."""
    out.mkdir(parents=True, exist_ok=True)
    producers(seconds, out)
    workers(jobs, out)


if __name__ == "__main__":
    main()

"""The peers' virtual environments, under build/bench-venvs: one each, for what they need of redis-py conflicts.

    python -m benchmarks.environments [PEER ...]

BENCH_VENVS names another folder, BENCH_PYTHON another interpreter than this one.
"""

from __future__ import annotations

import os
import subprocess
import sys

import click

from benchmarks.systems import PEERS, SYSTEMS, System


def make(system: System) -> None:
    """Make it, or bring it up to date.

    Raises:
        subprocess.CalledProcessError: pip could not.
    """
    folder = system.bin.parent
    if not system.python.exists():
        python = os.environ.get("BENCH_PYTHON", sys.executable)
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
    pip = [str(system.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", *system.packages], check=True)


@click.command()
@click.argument("peers", nargs=-1, type=click.Choice(PEERS))
def main(peers: tuple[str, ...]) -> None:
    """Make the environments of PEERS, of all where none is named."""
    for name in peers or PEERS:
        make(SYSTEMS[name])
        click.echo(f"{name:10} {SYSTEMS[name].bin.parent}")


if __name__ == "__main__":
    main()

"""One case of one system, its figures as JSON.

    python -m benchmarks.run duestream drain -n 20000 --procs 2
    python -m benchmarks.run celery:solo latency

The server is Redis 7.0 of `make servers`; BENCH_SERVER names another.
"""

from __future__ import annotations

import json

import click

from benchmarks.cases import CASES, measure
from benchmarks.cases.asked import Asked

_DEFAULT = Asked()


@click.command()
@click.argument("system")
@click.argument("case", type=click.Choice(list(CASES)))
@click.option("-n", "--jobs", default=_DEFAULT.jobs, help="Jobs; else what suits the system.")
@click.option("--procs", default=1, show_default=True, help="Worker processes.")
@click.option("--conc", default=0, help="Jobs at once in each; else what suits the system.")
@click.option(
    "--seconds", default=_DEFAULT.seconds, show_default=True, help="Of each operation of enqueue, or of idle."
)
@click.option("--chunk", default=_DEFAULT.chunk, help="Jobs of a bulk call; else what suits the system.")
@click.option("--rate", default=_DEFAULT.rate, show_default=True, help="Jobs a second of latency.")
@click.option("--span", "span_s", default=_DEFAULT.span_s, show_default=True, help="Seconds of latency and delayed.")
@click.option(
    "--lead", "lead_s", default=_DEFAULT.lead_s, show_default=True, help="Seconds before the first delayed job."
)
@click.option("--pending", default=_DEFAULT.pending, show_default=True, help="Jobs of a far day.")
@click.option(
    "--cap", "cap_s", default=_DEFAULT.cap_s, show_default=True, help="Seconds after which a case is cut off."
)
@click.option("--payload", default=0, help="Bytes that each job of a drain carries besides.")
@click.option("--drain/--no-drain", default=True, help="In pending: drain ready jobs too.")
@click.option(
    "--operations", default=",".join(_DEFAULT.operations), show_default=True, help="Of enqueue: one,burst,bulk."
)
@click.option("--workers", default=1, show_default=True, help="Of idle.")
def main(system: str, case: str, procs: int, conc: int, operations: str, **sizes: float | bool) -> None:
    """Measure one case of SYSTEM (with :variant where it has some)."""
    asked = Asked(operations=tuple(operations.split(",")), **sizes)  # type: ignore[arg-type]
    click.echo(json.dumps(measure(system, case, asked, procs, conc), indent=1))


if __name__ == "__main__":
    main()

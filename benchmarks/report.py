"""Fills the tables of docs/performance.md from the results, and draws its plots: `make performance`.

Between `<!-- table: NAME -->` or `<!-- plot: NAME -->` and `<!-- end -->` everything is replaced; all other words stay
as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import click

from benchmarks import growth_tables, plots, tables
from benchmarks.runs import RESULTS, Runs
from benchmarks.systems import ROOT
from benchmarks.targets import judge

DOCUMENT = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"
PLOT_NAMES = (*plots.NAMES, *(f"growth-{part}" for part in growth_tables.LINES))

NOT_YET = "Not measured yet."

_MARKED = re.compile(r"(?<=<!-- )((?:table|plot): [a-z-]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


class UnknownTable(Exception):
    """The document asks for a table or a plot that nobody makes."""


def fill(text: str, made: Mapping[str, Callable[[], str]]) -> str:
    """The document with its tables and plots.

    Args:
        text: Of the document.
        made: What makes each, by the words of its mark: `table: targets`.

    Raises:
        UnknownTable: It asks for one that is not among `made`.
    """

    def one(found: re.Match[str]) -> str:
        name, end = found.groups()
        if name not in made:
            raise UnknownTable(f"nothing is called {name!r}: there are {', '.join(sorted(made))}")
        return f"{name}{end}\n{made[name]()}\n\n"

    return _MARKED.sub(one, text)


def all_tables(ours: Runs, peers: Runs, growth: Runs) -> dict[str, Callable[[], str]]:
    """By the names that the document uses; in place of those that nobody has measured yet it says so."""
    of_ours, of_peers = _tables_of_ours(ours, peers), _tables_of_peers(peers)
    made: dict[str, Callable[[], str]] = {}
    for runs, found in ((ours, of_ours), (peers, of_peers), (growth, growth_tables.all_tables(growth))):
        made |= {f"table: {name}": make if runs.runs else _not_yet for name, make in found.items()}
    return made


def all_plots(names: Iterable[str]) -> dict[str, Callable[[], str]]:
    """Where the document shows a plot that was drawn."""
    known = dict.fromkeys([f"plot: {name}" for name in PLOT_NAMES], _not_yet)
    return known | {f"plot: {name}": partial("![{0}](performance/{0}.svg)".format, name) for name in names}


def _not_yet() -> str:
    return NOT_YET


def _tables_of_ours(ours: Runs, peers: Runs) -> dict[str, Callable[[], str]]:
    return {
        "targets": lambda: f"{tables.caption(ours)}\n\n{tables.targets(judge(ours, peers))}",
        "ours": lambda: tables.drains(ours),
        "our-versions": lambda: tables.versions(ours),
    }


def _tables_of_peers(peers: Runs) -> dict[str, Callable[[], str]]:
    return {
        "peers": lambda: f"{tables.caption(peers)}\n\n{tables.drains(peers)}",
        "enqueue": lambda: tables.of_case(peers, "enqueue", tables.ENQUEUE, by="bulk.rate", most=True),
        "latency": lambda: tables.of_case(peers, "latency", tables.LATENCY, by="latency_ms.p50"),
        "delayed": lambda: tables.of_case(peers, "delayed", tables.DELAYED, by="lag_ms.p50"),
        "pending": lambda: tables.of_case(peers, "pending", tables.PENDING, by="bytes_per_job"),
        "crash": lambda: tables.of_case(peers, "crash", tables.CRASH, by="recovered_s"),
        "versions": lambda: tables.versions(peers),
    }


def loaded(name: str) -> Runs:
    """Results that were kept, none where there are none yet."""
    path = RESULTS / f"{name}.json"
    return Runs.load(path) if path.exists() else Runs()


@click.command()
@click.option("--document", type=click.Path(path_type=Path, exists=True), default=DOCUMENT)
@click.option("--plots", "folder", type=click.Path(path_type=Path), default=PLOTS)
def main(document: Path, folder: Path) -> None:
    """Bring docs/performance.md up to date."""
    ours, peers, growth = (loaded(name) for name in ("bench", "peers", "growth"))
    drawn = plots.of_systems(peers, ours) | growth_tables.plots(growth)
    made = all_tables(ours, peers, growth) | all_plots(drawn)
    document.write_text(fill(document.read_text(encoding="utf-8"), made), encoding="utf-8")
    for name, draw in drawn.items():
        draw(folder / f"{name}.svg")
    click.echo(f"{document}, and {len(drawn)} plots in {folder}")


if __name__ == "__main__":
    main()

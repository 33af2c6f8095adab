"""The tables at the end: faults and how often, jobs by state, invariants and how much they looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from tests.faults.chaos.invariants.finding import MOST_SHOWN, Finding
from tests.faults.chaos.phase import Outcome

MOST_CHARS = 400


def show(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print all tables."""
    outcomes = together(outcomes)
    console.print(_faults(outcomes))
    console.print(_jobs(outcomes))
    console.print(_invariants([finding for outcome in outcomes for finding in outcome.findings]))
    show_violations(console, outcomes)


def show_violations(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print what was violated, the first few of each kind."""
    for outcome in outcomes:
        for finding in outcome.findings:
            for violation in finding.violations[:MOST_SHOWN]:
                console.print(
                    f"[bold red]violated in {outcome.phase.name}:[/] {finding.number}. {finding.name}: ", end=""
                )
                console.print(violation[:MOST_CHARS].replace("\n", " "), markup=False)
            if (more := len(finding.violations) - MOST_SHOWN) > 0:
                console.print(f"  and {more} more")


def together(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The rounds of each phase as one."""
    by_name: dict[str, Outcome] = {}
    for one in outcomes:
        before = by_name.get(one.phase.name)
        by_name[one.phase.name] = one if before is None else _added(before, one)
    return list(by_name.values())


def _added(one: Outcome, other: Outcome) -> Outcome:
    return replace(
        one,
        findings=[*one.findings, *other.findings],
        injected=one.injected + other.injected,
        details=one.details + other.details,
        states=one.states + other.states,
        seconds=one.seconds + other.seconds,
        drained_s=max(one.drained_s, other.drained_s),
        late_ms=(max(one.late_ms[0], other.late_ms[0]), max(one.late_ms[1], other.late_ms[1])),
    )


def violations(outcomes: Sequence[Outcome]) -> int:
    """How many there are."""
    return sum(len(finding.violations) for outcome in outcomes for finding in outcome.findings)


def _faults(outcomes: Sequence[Outcome]) -> Table:
    table = Table("fault", *(outcome.phase.name for outcome in outcomes), "all", title="faults injected")
    _count(table, [outcome.injected for outcome in outcomes])
    table.add_section()
    _count(table, [outcome.details for outcome in outcomes])
    return table


def _jobs(outcomes: Sequence[Outcome]) -> Table:
    table = Table("jobs", *(outcome.phase.name for outcome in outcomes), "all", title="jobs by function and state")
    _count(table, [outcome.states for outcome in outcomes])
    table.add_section()
    totals = [sum(outcome.states.values()) for outcome in outcomes]
    table.add_row("all", *(f"{total:,}" for total in totals), f"{sum(totals):,}")
    table.add_row("seconds", *(f"{outcome.seconds:.0f}" for outcome in outcomes))
    table.add_row("drained after, s", *(f"{outcome.drained_s:.1f}" for outcome in outcomes))
    table.add_row("late by, ms (p50, p99)", *(f"{outcome.late_ms[0]}, {outcome.late_ms[1]}" for outcome in outcomes))
    return table


def _count(table: Table, counts: Sequence[Counter[str]]) -> None:
    for kind in sorted(set().union(*counts)):
        numbers = [count[kind] for count in counts]
        table.add_row(kind, *(f"{number:,}" if number else "" for number in numbers), f"{sum(numbers):,}")


def _invariants(findings: Sequence[Finding]) -> Table:
    table = Table("", "invariant", "looked at", "violations", title="what must hold")
    looked, wrong = Counter[tuple[int, str]](), Counter[tuple[int, str]]()
    for finding in findings:
        looked[finding.number, finding.name] += finding.looked_at
        wrong[finding.number, finding.name] += len(finding.violations)
    for number, name in sorted(looked | wrong | Counter({(one.number, one.name): 1 for one in findings})):
        bad = wrong[number, name]
        table.add_row(str(number), name, f"{looked[number, name]:,}", f"[red]{bad}[/]" if bad else "0")
    return table

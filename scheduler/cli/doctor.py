"""`duestream doctor`: what is wrong with a deployment, what to do about it, and to do it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from scheduler.cli.consent import ask
from scheduler.cli.output import json_option, print_json, print_table
from scheduler.cli.session import Target, target_options
from scheduler.role import Role

if TYPE_CHECKING:
    from scheduler.doctor.doctor import Mended
    from scheduler.doctor.findings import Finding

WARNED: Final = 3
FAILED: Final = 4
"""Exit codes; 1 and 2 are taken: the deployment could not be examined, and wrong usage."""


@click.command()
@click.option("--deep", is_flag=True, help="Look at every key of the app and every document, however many there are.")
@click.option("--fix", is_flag=True, help="Mend what can be mended safely; asks first.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--user", metavar="NAME", help="Try the rights of this user of the server. [default: the one connected]")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.OPERATOR.value,
    show_default=True,
    help="What that user is to do.",
)
@json_option
@target_options
def doctor(target: Target, deep: bool, fix: bool, yes: bool, user: str | None, role: str, as_json: bool) -> None:
    """Examine a live deployment, and mend it.

    It looks at the server, at who works, and at where every job is.

    \b
    duestream doctor
    duestream doctor --deep --fix

    Nothing is written without --fix, and what it mends is looked at once more in the step that mends it. Every finding
    is explained in docs/doctor.md.
    Exit codes: 0 all is well, 3 warnings, 4 errors; with --fix, what is left of them.
    """
    from scheduler.doctor.doctor import Doctor

    with target.open() as session, _progress(deep=deep) as advance:
        physician = Doctor(session.store, deep=deep, user=user, role=Role(role), advance=advance)
        findings, mended = physician.examine(), list[Any]()
        if fix and _agreed(findings, yes=yes):
            mended, findings = physician.treat(findings)
    _print(findings, mended, as_json=as_json)
    click.get_current_context().exit(_exit_code(findings))


def _agreed(findings: list[Finding], *, yes: bool) -> bool:
    """Whether there is anything to mend, and it is to be.

    Raises:
        Refused: It is not to be.
    """
    fixable = [finding for finding in findings if finding.rows and finding.rule.fixable]
    if not fixable or yes:
        return bool(fixable)
    for finding in fixable:
        click.echo(f"{finding.code}: {finding.said}: {finding.subject}", err=True)
    ask("Mend these?", "nothing was mended (--yes mends without asking)")
    return True


def _print(findings: list[Finding], mended: list[Mended], *, as_json: bool) -> None:
    if as_json:
        print_json({"findings": [_plain(one) for one in findings], "mended": [one._asdict() for one in mended]})
        return
    for one in mended:
        click.echo(f"mended {one.code}: {', '.join(one.names)}")
    rows = [
        (one.rule.severity, one.code, f"{one.said}: {one.subject}" if one.names else one.said, one.rule.means,
         one.rule.advice)
        for one in findings
    ]  # fmt: skip
    print_table(("severity", "finding", "what", "it means", "to do"), rows, empty="all is well")


def _plain(finding: Finding) -> dict[str, Any]:
    rule = finding.rule
    return {
        "code": finding.code,
        "severity": rule.severity.value,
        "said": finding.said,
        "names": finding.names,
        "means": rule.means,
        "advice": rule.advice,
        "fixable": rule.fixable,
    }


def _exit_code(findings: list[Finding]) -> int:
    from scheduler.doctor.findings import Severity, worst

    return {Severity.ERROR: FAILED, Severity.WARNING: WARNED, Severity.NOTE: 0}[worst(findings)]


@contextlib.contextmanager
def _progress(*, deep: bool) -> Iterator[Callable[[int], None]]:
    """Counts what was looked at, where stderr is a terminal and it may take long."""
    if not deep or not sys.stderr.isatty():
        yield _advance_nothing
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("looked at {task.completed:,} things"))
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda count: progress.advance(task, count)


def _advance_nothing(count: int) -> None:
    """No count is shown."""

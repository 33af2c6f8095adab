"""`duestream cancel`: cancel jobs by id, or all that match."""

from __future__ import annotations

from typing import Any

import click

from scheduler.cli.consent import ask
from scheduler.cli.filters import filter_options, given
from scheduler.cli.output import json_option, print_json, print_table
from scheduler.cli.session import Session, Target, target_options


@click.command()
@click.argument("job_ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "all_jobs", is_flag=True, help="All jobs that match the filters and have not ended.")
@filter_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@target_options
def cancel(target: Target, job_ids: tuple[str, ...], all_jobs: bool, yes: bool, as_json: bool, **filters: Any) -> None:
    """Cancel jobs by ID, or with --all those that match.

    Prints for each what was found: canceled, running (an action: its code runs on, its result is dropped), finished or
    unknown. Exit code 1 if one is unknown; if one is no id at all, nothing is canceled.
    """
    chosen = given(filters)
    if bool(job_ids) == all_jobs:
        raise click.UsageError("Pass job IDs, or --all.")
    if chosen and not all_jobs:
        raise click.UsageError(f"--{next(iter(chosen))} goes with --all.")
    with target.open() as session:
        if all_jobs:
            _cancel_all(session, chosen, yes=yes, as_json=as_json)
        else:
            _cancel_some(session, job_ids, as_json=as_json)


def _cancel_some(session: Session, job_ids: tuple[str, ...], *, as_json: bool) -> None:
    from scheduler.job import CancelOutcome

    outcomes = session.scheduler.cancel_many(job_ids)
    if as_json:
        print_json([{"id": one, "outcome": outcome} for one, outcome in zip(job_ids, outcomes, strict=True)])
    else:
        print_table(("id", "outcome"), zip(job_ids, [one.value for one in outcomes], strict=True), empty="")
    if CancelOutcome.UNKNOWN in outcomes:
        click.get_current_context().exit(1)


def _cancel_all(session: Session, chosen: dict[str, Any], *, yes: bool, as_json: bool) -> None:
    if not yes:
        _confirm(session, chosen)
    canceled = session.scheduler.cancel_all(**chosen)
    if as_json:
        print_json({"canceled": canceled})
    else:
        click.echo(f"canceled {canceled:,}")


def _confirm(session: Session, chosen: dict[str, Any]) -> None:
    from scheduler.job import JobState

    count = sum(session.scheduler.count(state=one, **chosen) for one in (JobState.PENDING, JobState.IN_PROGRESS))
    which = "".join(f", {name} {value}" for name, value in chosen.items())
    question = f"Cancel {count:,} job{'' if count == 1 else 's'} of {session.app.namespace}{which}?"
    ask(question, "nothing was canceled (--yes cancels without asking)")

"""`duestream job`: one job's record, lists and counts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.filters import filter_options, given
from scheduler.cli.group import Noun
from scheduler.cli.output import (
    ago,
    as_text,
    clipped,
    interval,
    json_option,
    moment,
    print_fields,
    print_json,
    print_table,
)
from scheduler.cli.session import Session, Target, target_options
from scheduler.errors import JobNotFound

if TYPE_CHECKING:
    from scheduler.job import Job

# Written out: the states come from a module that is slow to import.
_STATES = click.Choice(["pending", "inProgress", "success", "failed", "canceled"], case_sensitive=False)
_state_option = click.option("--state", type=_STATES, help="Only jobs in this state.")


@click.group(cls=Noun)
def job() -> None:
    """Look at jobs."""


@job.command()
@click.argument("job_id", metavar="ID")
@json_option
@target_options
def show(target: Target, job_id: str, as_json: bool) -> None:
    """Print all that is known of one job."""
    with target.open() as session:
        found = session.scheduler.get(job_id)
        if found is None:
            raise JobNotFound(
                f"job {job_id}: {session.app.namespace} has no record of it (never scheduled, or removed by now)"
            )
        if as_json:
            print_json(dataclasses.asdict(found))
        else:
            print_fields(_fields(found, session.now_ms))


@job.command("list")
@_state_option
@filter_options
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="Most jobs.")
@click.option("--cursor", metavar="TEXT", help="Go on where the list before ended.")
@json_option
@target_options
def list_(target: Target, limit: int, cursor: str | None, as_json: bool, **filters: Any) -> None:
    """List jobs.

    Ready ones first, then by due time, then running actions, then each final state, newest first.
    """
    with target.open() as session:
        jobs, cursor = _collect(session, given(filters), limit, cursor)
        if as_json:
            print_json({"jobs": [dataclasses.asdict(one) for one in jobs], "cursor": cursor})
            return
        now_ms = session.now_ms
        rows = [(one.id, one.state.value, one.name, one.queue, _when(one, now_ms)) for one in jobs]
        print_table(("id", "state", "function", "queue", "when"), rows, empty="no jobs")
        if cursor is not None:
            click.echo(f"There may be more: --cursor '{cursor}'", err=True)


@job.command()
@_state_option
@filter_options
@json_option
@target_options
def count(target: Target, as_json: bool, **filters: Any) -> None:
    """Count jobs; without filters, by state."""
    chosen = given(filters)
    with target.open() as session:
        if chosen:
            number = session.scheduler.count(**chosen)
            print_json({"count": number}) if as_json else click.echo(number)
            return
        from scheduler.inspector import count_states

        counts = session.store.drive(count_states())
        if as_json:
            print_json(counts)
        else:
            print_table(("state", ">jobs"), [(state, f"{number:,}") for state, number in counts.items()], empty="")


def _collect(session: Session, chosen: dict[str, Any], limit: int, cursor: str | None) -> tuple[list[Job], str | None]:
    """Pages until the limit is reached: a page can be empty and yet not the last."""
    jobs: list[Job] = []
    while True:
        page = session.scheduler.list(**chosen, limit=limit - len(jobs), cursor=cursor)
        jobs += page.jobs
        cursor = page.cursor
        if cursor is None or len(jobs) >= limit:
            return jobs, cursor


def _when(one: Job, now_ms: int) -> str:
    if one.completed_time is not None:
        return f"ended {ago(one.completed_time, now_ms)}"
    if one.started_time is not None and one.state.value == "inProgress":
        return f"started {ago(one.started_time, now_ms)}"
    return f"due {ago(one.scheduled_time, now_ms)}"


def _fields(one: Job, now_ms: int) -> dict[str, str]:
    error, result = one.error, one.result
    fields = {
        "id": one.id,
        "function": one.name,
        "kind": one.kind or "-",
        "state": one.state.value,
        "queue": one.queue,
        "args": clipped(_arguments(one)),
        "result": clipped(as_text(result)) if one.state.value == "success" else "-",
        "error": f"{error.type}: {error.message}" if error else "-",
        "scheduled": moment(one.scheduled_time, now_ms),
        "created": moment(one.created_time, now_ms),
        "started": moment(one.started_time, now_ms),
        "completed": moment(one.completed_time, now_ms),
        "took": _took(one),
        "attempts": str(one.attempts),
        "worker": one.worker or "-",
        "deaths": "\n".join(f"{death.worker}  {moment(death.time, now_ms)}" for death in one.deaths) or "-",
        "parent": one.parent_id or "-",
    }
    if error and error.traceback:
        fields["traceback"] = error.traceback.rstrip()
    return fields


def _arguments(one: Job) -> str:
    """As a call would be written, one a line where there are several."""
    given_args = [as_text(value) if not isinstance(value, str) else repr(value) for value in one.args]
    named = [
        f"{name}={as_text(value) if not isinstance(value, str) else repr(value)}" for name, value in one.kwargs.items()
    ]
    return "\n".join(given_args + named) or "-"


def _took(one: Job) -> str:
    if one.started_time is None or one.completed_time is None:
        return "-"
    ms = one.completed_time - one.started_time
    return f"{ms} ms" if ms < 10_000 else interval(ms)

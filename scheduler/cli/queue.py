"""`duestream queue`: what waits where."""

from __future__ import annotations

import dataclasses

import click

from scheduler.cli.group import Noun
from scheduler.cli.output import interval, json_option, print_json, print_table
from scheduler.cli.session import Target, target_options


@click.group(cls=Noun)
def queue() -> None:
    """Look at queues."""


@queue.command("list")
@json_option
@target_options
def list_(target: Target, as_json: bool) -> None:
    """List queues and how many jobs each has.

    These wait for their time, are ready, or are held by a worker; and when the next is due.
    """
    from scheduler.inspector import read_queues

    with target.open() as session:
        queues = session.store.drive(read_queues(session.store.keys))
        now_ms = session.now_ms
    if as_json:
        print_json([dataclasses.asdict(one) for one in queues])
        return
    rows = [
        (one.name, f"{one.due:,}", f"{one.ready:,}", f"{one.in_flight:,}", _next_due(one.next_due_ms, now_ms))
        for one in queues
    ]
    print_table(("queue", ">due", ">ready", ">in flight", "next due"), rows, empty="no queues")


def _next_due(next_due_ms: int | None, now_ms: int) -> str:
    if next_due_ms is None:
        return "-"
    late_ms = now_ms - next_due_ms
    if late_ms < 1_000:
        return f"in {interval(max(0, -late_ms))}"
    return f"{interval(late_ms)} late: is a worker or promoter running?"

"""`duestream worker list`: who works. The command that runs a worker joins this noun, see `Cli.add_command`."""

from __future__ import annotations

import dataclasses

import click

from scheduler.cli.group import Noun
from scheduler.cli.output import ago, json_option, print_json, print_table
from scheduler.cli.session import Target, target_options


@click.group(cls=Noun)
def worker() -> None:
    """Look at workers."""


@worker.command("list")
@json_option
@target_options
def list_(target: Target, as_json: bool) -> None:
    """List workers: alive ones, and those that fell silent."""
    from scheduler.inspector import read_workers

    with target.open() as session:
        workers = session.store.drive(read_workers(session.store.keys))
        now_ms = session.now_ms
    if as_json:
        about = ({"alive": one.alive, "silent": one.is_silent(now_ms)} for one in workers)
        print_json([dataclasses.asdict(one) | more for one, more in zip(workers, about, strict=True)])
        return
    rows = [
        (
            one.name, one.host or "-", str(one.pid or "-"), ", ".join(one.queues) or "-",
            f"{one.running:,}/{one.concurrency:,}" if one.concurrency is not None else "-",
            f"silent, {ago(one.seen_ms, now_ms)}" if one.is_silent(now_ms) else ago(one.seen_ms, now_ms),
        )
        for one in workers
    ]  # fmt: skip
    print_table(("name", "host", ">pid", "queues", ">running", "seen"), rows, empty="no workers")

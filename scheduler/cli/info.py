"""`duestream info`: the app and its server at a glance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from scheduler.cli.output import json_option, print_fields, print_json
from scheduler.cli.session import Target, target_options

if TYPE_CHECKING:
    from scheduler.inspector import AppView, ServerView

_EVICTS_NOTHING = "noeviction"


@click.command()
@json_option
@target_options
def info(target: Target, as_json: bool) -> None:
    """Print the server, jobs by state, workers and promoter."""
    from scheduler.inspector import read_app

    with target.open() as session:
        found = session.store.drive(read_app(session.store.keys))
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        print_fields(_fields(found))
    if not found.known:
        click.echo(f"warning: no app {found.namespace!r} has been used on this server yet", err=True)


def _fields(found: AppView) -> dict[str, str]:
    server = found.server
    return {
        "namespace": found.namespace,
        "server": f"{server.name} {server.version}",
        "persistence": _persistence(server),
        "memory": _memory(server),
        "jobs": _jobs(found.jobs),
        "workers": f"{found.workers:,}",
        "promoter": found.promoter or "none: nothing that falls due is run (start a worker)",
    }


def _jobs(counts: Mapping[str, int]) -> str:
    width = max(len(f"{count:,}") for count in counts.values())
    return "\n".join(f"{count:>{width},}  {state}" for state, count in counts.items())


def _persistence(server: ServerView) -> str:
    kept = (
        "append-only file" if server.append_only else f"no append-only file, {server.unsaved_changes:,} changes unsaved"
    )
    return kept if server.persistence_ok else f"{kept}; the last write to disk failed"


def _memory(server: ServerView) -> str:
    limit = f" of {_mebibytes(server.memory_limit)}" if server.memory_limit else ", no limit"
    evicts = server.memory_limit and server.eviction != _EVICTS_NOTHING
    warning = f"; maxmemory-policy {server.eviction} can lose jobs, set {_EVICTS_NOTHING}" if evicts else ""
    return f"{_mebibytes(server.memory)}{limit}{warning}"


def _mebibytes(count: int) -> str:
    return f"{count / 1024 / 1024:,.1f} MiB"

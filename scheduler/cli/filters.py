"""The options that say which jobs are meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from scheduler.cli.moments import Moment


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--function`, `--queue`, `--before` and `--after`."""
    for option in (
        click.option("--after", type=Moment(), metavar="TIME", help="At or after this time (ISO with zone, epoch ms)."),
        click.option("--before", type=Moment(), metavar="TIME", help="Before this time; ended jobs: by their end."),
        click.option("--queue", metavar="NAME", help="Only jobs of this queue."),
        click.option("--function", metavar="NAME", help="Only jobs of this function."),
    ):
        command = option(command)
    return command


def given(filters: dict[str, Any]) -> dict[str, Any]:
    """Those that were set."""
    return {name: value for name, value in filters.items() if value is not None}

"""Asking before something is lost."""

from __future__ import annotations

import click

from scheduler.cli.group import Refused


def ask(question: str, otherwise: str) -> None:
    """Ask on stderr; without an answer it is no.

    Raises:
        Refused: With `otherwise`, which says what was not done.
    """
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise Refused(otherwise)

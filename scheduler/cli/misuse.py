"""Errors of the library in the words of the command line: flags instead of names of fields, and JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import click

from scheduler.errors import InvalidDelay, InvalidJobId, InvalidOption, InvalidTimestamp, InvalidUrl

MISUSE: Final = (InvalidDelay, InvalidJobId, InvalidOption, InvalidTimestamp, InvalidUrl)
"""What an option or an argument was given cannot be: wrong usage, whoever finds it out."""

_FIELD: Final = re.compile(r"([a-z_]+): ")
_FLAGS: Final[dict[str, tuple[str, ...]]] = {
    "concurrency": ("--concurrency",),
    "cursor": ("--cursor", "--after"),
    "delay": ("--after",),
    "function": ("--function", "name"),
    "grace_s": ("--grace",),
    "idempotency_key": ("--key",),
    "job_id": ("job_id", "job_ids"),
    "lease_ms": ("--lease",),
    "max_deliveries": ("--max-deliveries",),
    "namespace": ("--namespace",),
    "queue": ("--queue", "--queues"),
    "queues": ("--queues",),
    "timestamp": ("--at",),
    "url": ("--url",),
    "where": ("--where",),
}
"""What is given where, on the command line, for a field; of several what the command has."""


def command_of(group: click.Group, words: Sequence[str]) -> click.Command:
    """The command that the words of a command line mean."""
    found: click.Command = group
    for word in words:
        if not isinstance(found, click.Group) or word not in found.commands:
            break
        found = found.commands[word]
    default = found.commands.get("run") if isinstance(found, click.Group) else None
    return default or found


def in_words_of(command: click.Command, message: str) -> str:
    """The message with the flag of the field that it begins with, where the command has one."""
    field = _FIELD.match(message)
    if field is None:
        return message
    given = {name: param for param in command.params for name in (*param.opts, *param.secondary_opts)}
    for name in _FLAGS.get(field[1], ()):
        if name in given:
            flag = name if name.startswith("-") else given[name].make_metavar(click.Context(command)).strip("[].")
            return f"{flag}: {message[field.end() :]}"
    return message


def failure(error: Exception) -> dict[str, Any]:
    """What `--json` prints of an error."""
    cause = error.__cause__ if isinstance(error, click.ClickException) and error.__cause__ is not None else error
    message = error.format_message() if isinstance(error, click.ClickException) else str(error)
    body: dict[str, Any] = {"type": type(cause).__name__, "message": message}
    job_id = getattr(cause, "job_id", None)
    return {"error": body if job_id is None else {**body, "id": job_id}}

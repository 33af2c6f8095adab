"""What a user may do: every command that its role sends or that its scripts use, tried without doing it.

Unlike `rights.check_rights`, by which a worker asks about itself, this asks about any user of the server.
"""

from __future__ import annotations

from typing import Final

from scheduler.doctor.findings import Finding
from scheduler.refusals import ServerError
from scheduler.rights import FORMS, commands_of, example_of
from scheduler.role import Role
from scheduler.store import BlockingStore

MOST_ARGUMENTS: Final = 8
_NO_USER: Final = "' not found"


def check_user(store: BlockingStore, user: str | None, role: Role) -> list[Finding]:
    """The commands that a user lacks; `user` None is the one that asks.

    Raises:
        ServerError: The server does not say.
    """
    name = user or store.execute("ACL", "WHOAMI").decode(errors="replace")
    try:
        lacking = tuple(command for command in sorted(commands_of(role)) if not _may(store, name, command))
    except ServerError as error:
        if _NO_USER not in str(error):
            raise
        return [Finding("rights-missing", f"the server has no user {name}")]
    return [Finding("rights-missing", f"user {name} as {role}", lacking)] if lacking else []


def _may(store: BlockingStore, user: str, command: str) -> bool:
    """DRYRUN wants as many arguments as the command takes: one more each time, until it has judged.

    Raises:
        ServerError: It cannot be asked.
    """
    words = example_of(command, f"{store.keys.prefix}doctor", most=MOST_ARGUMENTS)
    least = len(words) if command in FORMS else len(command.split("|"))
    for count in range(least, len(words) + 1):
        try:
            return bool(store.execute("ACL", "DRYRUN", user, *words[:count]) == b"OK")
        except ServerError as error:
            if "wrong number of arguments" not in str(error) or count == len(words):
                raise
    raise AssertionError("unreachable")

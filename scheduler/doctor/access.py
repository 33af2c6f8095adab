"""What a user may do: every command that its role sends or that its scripts use, tried without doing it."""

from __future__ import annotations

from typing import Final

from scheduler.doctor.findings import Finding
from scheduler.rights import Role, commands_of
from scheduler.store import BlockingStore, ServerError

MOST_ARGUMENTS: Final = 8

_FORMS: Final[dict[str, tuple[str, ...]]] = {
    "EVAL": ("return 1", "1", "{key}"),
    "EVALSHA": ("0" * 40, "1", "{key}"),
    "XREADGROUP": ("GROUP", "g", "c", "STREAMS", "{key}", ">"),
}
"""Commands whose keys stand where other arguments say."""

_NO_USER: Final = "' not found"


def check_rights(store: BlockingStore, user: str | None, role: Role) -> list[Finding]:
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
    words = command.split("|")
    arguments = _arguments(words[0], f"{store.keys.prefix}doctor")
    for count in range(len(arguments) if words[0] in _FORMS else 0, len(arguments) + 1):
        try:
            return bool(store.execute("ACL", "DRYRUN", user, *words, *arguments[:count]) == b"OK")
        except ServerError as error:
            if "wrong number of arguments" not in str(error) or count == len(arguments):
                raise
    raise AssertionError("unreachable")


def _arguments(command: str, key: str) -> list[str]:
    """A key wherever one may stand; how many keys a script has, and where streams begin."""
    return [word.format(key=key) for word in _FORMS.get(command, ("{key}",) * MOST_ARGUMENTS)]

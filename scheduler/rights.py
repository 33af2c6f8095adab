"""What each role must be allowed on the server, and nothing else: rules for its access control list (ACL).

The commands of scripts are read from their source (`commands.py`). Those that are sent as they are stand here, and a
test looks through the code for any that does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scheduler import transitions
from scheduler.commands import used_by
from scheduler.errors import ConfigurationError
from scheduler.keys import Keys
from scheduler.role import Role
from scheduler.script_call import Transition

_CONNECTION: Final = frozenset({"PING", "SELECT", "TIME", "EVAL", "EVALSHA"})
_PRODUCER_SCRIPTS: Final = frozenset(
    {"cancel", "check", "count", "declare", "describe", "read", "schedule", "show", "unwatch", "watch"}
)
_OPERATOR_SCRIPTS: Final = frozenset({"examine", "forget", "mend", "survey", "tally"})

SCRIPTS: Final[Mapping[Role, frozenset[str]]] = {
    Role.PRODUCER: _PRODUCER_SCRIPTS,
    Role.WORKER: _PRODUCER_SCRIPTS
    | {
        "begin", "commit", "expire", "finish", "join", "leave", "permit", "promote", "prune", "redeliver", "reindex",
        "renew", "retry", "revert", "seal", "sustain", "sweep",
    },
    Role.OPERATOR: _PRODUCER_SCRIPTS | _OPERATOR_SCRIPTS,
}  # fmt: skip
"""The scripts that each role calls."""

_PRODUCER_SENDS: Final = frozenset({"BLPOP", "HGET", "INFO", "SMEMBERS", "XRANGE", "ZRANGE"})

SENDS: Final[Mapping[Role, frozenset[str]]] = {
    Role.PRODUCER: _PRODUCER_SENDS,
    Role.WORKER: frozenset(
        {
            "BLPOP", "CLIENT|ID", "CLIENT|KILL", "CLIENT|LIST", "CLIENT|SETNAME", "CLIENT|UNBLOCK", "HDEL", "HINCRBY",
            "HMGET", "INFO", "MGET", "RPUSH", "WAIT", "XGROUP|CREATE", "XREADGROUP", "ZCOUNT", "ZRANGEBYSCORE",
        }
    ),
    Role.OPERATOR: _PRODUCER_SENDS
    | {
        "ACL|DRYRUN", "ACL|WHOAMI", "CONFIG|GET", "EXISTS", "GET", "HGETALL", "HKEYS", "INFO", "SCAN", "XINFO|GROUPS",
        "XLEN", "XPENDING", "ZCARD", "ZCOUNT", "ZSCAN",
    },
}  # fmt: skip
"""The commands that each role sends outside scripts, besides `_CONNECTION`; a subcommand as `XGROUP|CREATE`."""

FSYNC_SENDS: Final = frozenset({"CONFIG|GET"})
"""What a worker sends besides with `durability="fsync"`. It shows all settings: not for those who do not need it."""


FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "EVAL": ("script", "1", "{key}"),
    "EVALSHA": ("script", "1", "{key}"),
    "XREADGROUP": ("GROUP", "group", "consumer", "STREAMS", "{key}", ">"),
}
"""Commands whose keys stand where other arguments say, with these."""


def commands_of(role: Role, *, fsync: bool = False) -> frozenset[str]:
    """All commands that a role needs, those within its scripts included; `fsync`: and for that durability."""
    sends = SENDS[role] | (FSYNC_SENDS if fsync and role is Role.WORKER else frozenset())
    return _CONNECTION | sends | frozenset().union(*(used_by(name) for name in SCRIPTS[role]))


def rules(role: Role, namespace: str, *, fsync: bool = False) -> tuple[str, ...]:
    """The rules of a role's user: the keys of one app, no channels, the commands it needs.

    Args:
        role: Who it is for.
        namespace: The app's, or a glob of the server's.
        fsync: For a worker with `durability="fsync"` (C7.2).

    Returns:
        What `ACL SETUSER <name>` takes, or a `user` line of an ACL file; a password is still to be added.
    """
    allowed = (f"+{command.lower()}" for command in sorted(commands_of(role, fsync=fsync)))
    return ("resetkeys", f"~{Keys(namespace).prefix}*", "resetchannels", "-@all", *allowed)


def check_rights(role: Role, keys: Keys) -> Transition[None]:
    """Ask the server whether this client may do all that its role must.

    Its reply raises:
        ConfigurationError: Naming the commands that it may not send: a script would stop halfway at one (C6.3).
    """
    asked = {" ".join(example_of(command, f"{keys.prefix}x")): command for command in sorted(commands_of(role))}
    question = transitions.permit(list(asked))

    def read(reply: Any) -> None:
        denied = question.read(reply)
        if denied:
            lacking = " ".join(f"+{asked[example].lower()}" for example in denied)
            raise ConfigurationError(
                f"the user of the server lacks rights of a {role} on the keys {keys.prefix}*: {lacking} "
                f"(`duestream acl {role} --namespace {keys.namespace}` prints what it needs)"
            )

    return Transition(question.script, question.argv, read)


def example_of(command: str, key: str, *, most: int = 4) -> tuple[str, ...]:
    """The words of a command with a key wherever one may stand, `most` times where it is not known how often."""
    if command in FORMS:
        return (command, *(word.format(key=key) for word in FORMS[command]))
    return (*command.split("|"), *[key] * most)

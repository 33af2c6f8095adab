"""Which commands of the server each script uses, read from its source: what a user of the server must be allowed to do.

A script runs with the rights of whoever calls it. Where one is missing it stops at that command, and what it has
written by then stays. So nobody keeps a list of these by hand.
"""

from __future__ import annotations

import re
from functools import cache

from scheduler import scripts

_CONTAINERS = frozenset({"ACL", "CLIENT", "CONFIG", "MEMORY", "OBJECT", "SCRIPT", "XGROUP", "XINFO"})
"""Commands that have commands of their own."""

_CALL = re.compile(r"\bredis\.p?call\(\s*(?P<first>[^,)]*)\s*(?:,\s*'(?P<second>[A-Za-z]+)')?")
_NAME = re.compile(r"'([A-Z]+)'")
_UNPACKED = re.compile(r"unpack\((\w+)")


@cache
def used_by(script_name: str) -> frozenset[str]:
    """The commands that a script and its includes may call, in capitals; a subcommand as `XGROUP|CREATE`.

    Raises:
        ValueError: A call cannot be read: neither `redis.call('NAME', …)` nor `redis.call(unpack(list))` with
            `local list = { 'NAME', … }`.
    """
    return read_commands(scripts.load(script_name).plain)


def read_commands(source: str) -> frozenset[str]:
    """The commands in the source of one assembled script; raises as `used_by` does."""
    return frozenset(_command(source, call) for call in _CALL.finditer(source))


def _command(source: str, call: re.Match[str]) -> str:
    first = call["first"].strip()
    if unpacked := _UNPACKED.match(first):
        name, subcommand = _listed(source, unpacked[1])
    else:
        name, subcommand = _literal(first), call["second"]
    if name not in _CONTAINERS:
        return name
    if subcommand is None:
        raise ValueError(f"a script calls {name} with a subcommand that cannot be read: {call[0]!r}")
    return f"{name}|{subcommand.upper()}"


def _literal(text: str) -> str:
    found = _NAME.fullmatch(text)
    if found is None:
        raise ValueError(f"a script calls a command that cannot be read: {text!r}")
    return found[1]


def _listed(source: str, variable: str) -> tuple[str, str | None]:
    """The first two members of the list of that name."""
    found = re.findall(rf"\blocal {variable} = \{{ '([A-Z]+)'(?:, '([A-Z]+)')?", source)
    if len(found) != 1:
        raise ValueError(f"a script calls a command that cannot be read: {len(found)} lists are called {variable}")
    return found[0][0], found[0][1] or None

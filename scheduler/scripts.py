"""The Lua scripts: loading, includes, flags. One file is one atomic transition."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_INCLUDE = "-- include: "
_FLAGS = "-- flags: "
_SHEBANG = "#!lua flags="


@dataclass(frozen=True, slots=True)
class Script:
    """A script as it is sent.

    Attributes:
        name: The transition's verb, also the file's name.
        source: The text for a server that knows script flags (Redis 7.0 and newer, Valkey).
        sha: What EVALSHA calls it by.
        plain: The same without its first line, for fakeredis, which takes that for Lua.
    """

    name: str
    source: str
    sha: str
    plain: str


def _read(name: str) -> str:
    return files("scheduler").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


@cache
def load(name: str, *, allow_oom: bool = False) -> Script:
    """Assemble `scheduler/lua/<name>.lua` with its includes.

    Args:
        name: The transition's verb.
        allow_oom: Let this rendering run while the server is out of memory, whatever the file's own flags say. Scripts
            that finish, renew, cancel or prune say so themselves: a full Redis could never drain otherwise.
    """
    flags, lines = ("allow-oom" if allow_oom else ""), []
    for line in _read(name).splitlines():
        if line.startswith(_INCLUDE):
            lines.append(_read(f"include/{line.removeprefix(_INCLUDE)}"))
        elif line.startswith(_FLAGS):
            flags = flags or line.removeprefix(_FLAGS)
        elif not line.startswith("--"):
            lines.append(line)
    plain = "\n".join(lines)
    # Without a first line the server judges each command by itself, as it did before there were flags.
    source = f"{_SHEBANG}{flags}\n{plain}" if flags else plain
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(), plain)


NAMES = (
    "begin",
    "cancel",
    "check",
    "commit",
    "count",
    "declare",
    "describe",
    "examine",
    "expire",
    "finish",
    "forget",
    "join",
    "leave",
    "mend",
    "permit",
    "promote",
    "prune",
    "read",
    "redeliver",
    "reindex",
    "renew",
    "retry",
    "revert",
    "schedule",
    "seal",
    "show",
    "survey",
    "sustain",
    "sweep",
    "tally",
    "unwatch",
    "watch",
)
"""Every transition; a test holds this against the folder."""

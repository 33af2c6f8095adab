"""The reply to INFO: what a server says of itself, and which versions there must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

OLDEST: Final = (7, 0)
"""Scripts with flags. Valkey counts on from Redis 7.2, and says so in `redis_version`."""


def read_facts(info: bytes) -> dict[str, str]:
    """The lines of a reply to INFO, by their names."""
    return dict(line.split(":", 1) for line in info.decode(errors="replace").splitlines() if ":" in line)


def version_of(facts: Mapping[str, str]) -> tuple[int, ...]:
    """(7, 0): of Redis, or the one that the server is compatible with; () where it does not tell."""
    return tuple(int(part) for part in re.findall(r"[0-9]+", facts.get("redis_version", ""))[:2])

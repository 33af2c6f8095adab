"""How safe an action's ack has to be before its first line runs (C7.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from scheduler.errors import InvalidOption

DurabilityName = Literal["memory", "fsync", "replica"]

FSYNC: Final[Mapping[str, str]] = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",  # `yes` leaves the disk alone while the file is rewritten, `always` or not
}
"""The settings by which each answered write is on the disk."""

MOST_REPLICAS: Final = 100


class Durability(StrEnum):
    """What must not make an action run twice.

    `MEMORY`: nothing but Redis itself; `FSYNC`: a crash of its process or its machine; `REPLICA`: a failover to one of
    the replicas that answered.
    """

    MEMORY = "memory"
    FSYNC = "fsync"
    REPLICA = "replica"


@dataclass(frozen=True, slots=True)
class Safety:
    """What a worker asks of each ack.

    Attributes:
        durability: The kind.
        replicas: With `REPLICA`: how many must have the ack.
        vouched: With `FSYNC`: somebody vouches for a server that does not show its settings.
    """

    durability: Durability = Durability.MEMORY
    replicas: int = 1
    vouched: bool = False

    def proof(self, wait_ms: int) -> tuple[str | int, ...] | None:
        """The command that proves it, sent on the same connection right after the write; None: nothing to prove.

        Args:
            wait_ms: How long replicas may take to answer.
        """
        match self.durability:
            case Durability.MEMORY:
                return None
            case Durability.FSYNC:
                return ("CONFIG", "GET", *FSYNC)
            case Durability.REPLICA:
                # WAIT is for what this connection wrote last: of a script that wrote nothing it proves nothing.
                return ("WAIT", self.replicas, wait_ms)

    def doubt(self, reply: Any) -> str:
        """Why a reply to `proof` proves nothing, '' where it does.

        Args:
            reply: As the server sent it, or the error with which it refused the command.
        """
        if isinstance(reply, Exception):
            return f"it does not tell: {reply}"
        if self.durability is Durability.REPLICA:
            return "" if int(reply) >= self.replicas else f"{int(reply)} of {self.replicas} replicas have answered"
        flat = [part.decode() for part in reply]
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        wrong = [f"{name} {found[name]}" for name, wanted in FSYNC.items() if name in found and found[name] != wanted]
        hidden = [name for name in FSYNC if name not in found]
        return f"it has {', '.join(wrong)}" if wrong else f"it does not tell {', '.join(hidden)}" if hidden else ""


def check_durability(name: object) -> Durability:
    """Check the name of a durability.

    Raises:
        InvalidOption: There is none of that name.
    """
    try:
        return Durability(name)  # type: ignore[arg-type]  # that is what is checked
    except ValueError:
        raise InvalidOption(f"durability: expected memory, fsync or replica, got {name!r}") from None


def check_replicas(count: object) -> int:
    """Check a number of replicas.

    Raises:
        InvalidOption: It is not a whole number from 1 to 100.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_REPLICAS:
        raise InvalidOption(f"replicas: expected 1 to {MOST_REPLICAS}, got {count!r}")
    return count


def check_app_replicas(count: object, durability: Durability) -> int:
    """Check the number of replicas that goes with an app's durability; None is 1.

    Raises:
        InvalidOption: It is none, or one is given where none is waited for: whoever gives it means `replica`.
    """
    if count is None:
        return 1
    checked = check_replicas(count)
    if durability is not Durability.REPLICA:
        raise InvalidOption(f"replicas: goes with durability='replica' alone, got {count} with '{durability}'")
    return checked

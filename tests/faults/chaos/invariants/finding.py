"""What an invariant comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

MOST_SHOWN = 5


@dataclass(slots=True)
class Finding:
    """One part of an invariant.

    Attributes:
        number: The invariant's, 1 to 8.
        name: What must hold.
        looked_at: How many things were looked at; none proves nothing.
        violations: What was found, in words.
    """

    number: int
    name: str
    looked_at: int = 0
    violations: list[str] = field(default_factory=list)

    def look(self, things: Iterable[str]) -> Finding:
        """Count things that are as they must be, or are reported elsewhere."""
        self.looked_at += sum(1 for _ in things)
        return self

    def check(self, holds: bool, violation: Callable[[], str]) -> None:
        """Look at one thing."""
        self.looked_at += 1
        if not holds:
            self.violations.append(violation())


def some(names: Sequence[str]) -> str:
    """The first few of many."""
    rest = len(names) - MOST_SHOWN
    return ", ".join(names[:MOST_SHOWN]) + (f" and {rest} more" if rest > 0 else "")

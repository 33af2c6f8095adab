"""What an invariant comes to."""

from __future__ import annotations

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

    def check(self, holds: bool, violation: str) -> None:
        """Look at one thing."""
        self.looked_at += 1
        if not holds:
            self.violations.append(violation)

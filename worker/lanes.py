"""Lanes: mutations of this worker that lost to others over the same document run one after the other.

Of all that change one document at the same time a single one can commit; the rest would have run for nothing, again and
again. A lane is no lock: what other workers do is still seen by the commit alone, and nothing waits that has not lost
once.
"""

from __future__ import annotations

from collections import Counter, deque

from worker.delivery import Held

_MOST_BLAMED = 10_000


class Lanes:
    """Who waits for whom, by the document that was changed under most of those that lost."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Held]] = {}
        self._blamed: Counter[str] = Counter()

    def join(self, held: Held) -> bool:
        """Take a mutation in that has lost. Returns whether it is its turn."""
        if held.lane is None:
            if len(self._blamed) > _MOST_BLAMED:
                self._blamed.clear()
            self._blamed.update(held.contended)
            held.lane = max(held.contended, key=self._blamed.__getitem__)
            self._lanes.setdefault(held.lane, deque()).append(held)
        return self._lanes[held.lane][0] is held

    def leave(self, held: Held) -> Held | None:
        """Let one go. Returns the one whose turn it is now, if that has changed."""
        if held.lane is None:
            return None
        lane, name = self._lanes[held.lane], held.lane
        held.lane = None
        first = lane[0] is held
        lane.remove(held)
        if not lane:
            del self._lanes[name]
            return None
        return lane[0] if first else None

    def is_waiting(self, held: Held) -> bool:
        """Whether it is another's turn."""
        return held.lane is not None and self._lanes[held.lane][0] is not held

    def dissolve(self) -> list[Held]:
        """Let all go; returns those whose turn it was not."""
        waiting = [held for lane in self._lanes.values() for held in list(lane)[1:]]
        for lane in self._lanes.values():
            for held in lane:
                held.lane = None
        self._lanes.clear()
        return waiting

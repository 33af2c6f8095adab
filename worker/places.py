"""Where the deliveries of a worker are that no handler runs."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from worker.delivery import Held
from worker.lanes import Lanes


@dataclass(frozen=True, slots=True)
class Places:
    """Where deliveries are that no handler runs.

    Attributes:
        waiting: For a place among those that run.
        again: For the end of a while, after which they start again.
        lanes: For their turn.
        room: Set whenever one has gone.
    """

    waiting: deque[Held] = field(default_factory=deque)
    again: dict[Held, asyncio.TimerHandle] = field(default_factory=dict)
    lanes: Lanes = field(default_factory=Lanes)
    room: asyncio.Event = field(default_factory=asyncio.Event)

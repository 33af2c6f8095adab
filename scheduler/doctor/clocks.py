"""The server's clock beside this machine's. Pure, from two looks at both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from scheduler.doctor.findings import Finding

OFF_MS: Final = 1_000
JUMP_MS: Final = 250
AHEAD_MS: Final = 2_000


class Look(NamedTuple):
    """One look: the server's time, this machine's clock and its monotonic clock, ms, and how long the answer took."""

    server_ms: float
    wall_ms: float
    steady_ms: float
    took_ms: float


def check_clocks(first: Look, last: Look, heartbeats_ms: Sequence[int]) -> Iterator[Finding]:
    """What two looks tell, and heartbeats that lie in the future: the clock has gone back since."""
    off_ms = last.server_ms - last.wall_ms
    if abs(off_ms) > OFF_MS + last.took_ms:
        yield Finding("clock-off", f"the server is {abs(off_ms) / 1000:.1f} s {'ahead' if off_ms > 0 else 'behind'}")
    jump_ms = (last.server_ms - first.server_ms) - (last.steady_ms - first.steady_ms)
    ahead_ms = max(heartbeats_ms, default=0) - last.server_ms
    if abs(jump_ms) > JUMP_MS + first.took_ms + last.took_ms:
        yield Finding("clock-jumped", f"by {jump_ms / 1000:+.1f} s while this was looked at")
    elif ahead_ms > AHEAD_MS:
        yield Finding("clock-jumped", f"a worker's last sign of life is {ahead_ms / 1000:.1f} s in the future")

"""How much of what: the two columns of the table of faults, and how a column is dealt out to rounds and phases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

KILL, STOP, CUT, RESTART, POWER, FAILOVER = "kill", "stop", "cut", "restart", "power", "failover"
FULL, SLOW, JUMP, FLUSH, DESTROY, FORGET = "full", "slow", "jump", "flush", "destroy", "forget"
ROLL, STORM = "roll", "storm"

CI: Mapping[str, int] = {
    KILL: 200, STOP: 200, CUT: 200, RESTART: 20, POWER: 10, FAILOVER: 3, FULL: 2, SLOW: 2, JUMP: 2, FLUSH: 5,
    DESTROY: 5, FORGET: 5, ROLL: 20, STORM: 20,
}  # fmt: skip
LONG: Mapping[str, int] = {
    KILL: 8_000, STOP: 6_000, CUT: 8_000, RESTART: 600, POWER: 200, FAILOVER: 60, FULL: 20, SLOW: 20, JUMP: 20,
    FLUSH: 50, DESTROY: 50, FORGET: 50, ROLL: 600, STORM: 600,
}  # fmt: skip
CI_JOBS, LONG_JOBS, LONG_ROUNDS = 50_000, 1_500_000, 16

SHARED = (KILL, STOP, CUT, ROLL, STORM)
"""Faults that every phase has, by its length. The others belong to one phase, by what its server promises."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A phase before its faults are dealt out.

    Attributes:
        name: What the server promises: "fsync" keeps all, "power" loses up to a second, "replica" fails over.
        seconds: How long faults go on.
        own: Faults of this phase alone.
    """

    name: str
    seconds: float
    own: tuple[str, ...]


QUIET, FSYNC, POWER_CUT, REPLICA = "quiet", "fsync", "power", "replica"
SETTINGS = (
    Setting(FSYNC, 250, (RESTART, FULL, SLOW, JUMP, FLUSH, DESTROY, FORGET)),
    Setting(POWER_CUT, 60, (POWER,)),
    Setting(REPLICA, 45, (FAILOVER,)),
)


@dataclass(frozen=True, slots=True)
class Share:
    """What one phase of one round gets: its setting, so many calls' worth of jobs, so many faults of each kind."""

    setting: Setting
    jobs: int
    faults: Mapping[str, int]


def shares(column: Mapping[str, int], jobs: int, rounds: int, number: int, scale: float = 1.0) -> Iterator[Share]:
    """Deal a column out to the phases of round `number` (from 0) of `rounds`. All rounds together make the column.

    With `scale` only that part of everything, the seconds too: for trying out.
    """
    total_s = sum(setting.seconds for setting in SETTINGS)
    before_s = 0.0
    for setting in SETTINGS:
        after_s = before_s + setting.seconds
        start, end = (number + before_s / total_s) / rounds, (number + after_s / total_s) / rounds
        faults = {kind: _part(column[kind] * scale, start, end) for kind in SHARED}
        faults |= {kind: _part(column[kind] * scale, number / rounds, (number + 1) / rounds) for kind in setting.own}
        yield Share(replace(setting, seconds=setting.seconds * scale), _part(jobs * scale, start, end), faults)
        before_s = after_s


def _part(count: float, start: float, end: float) -> int:
    return round(count * end) - round(count * start)

"""When which fault strikes: from a seed alone, written as JSON lines and read from them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.faults.chaos import columns
from tests.faults.chaos.columns import Share

LEASE_S = 1.0
"""The shortest that workers take, so that many faults fit."""

ALONE = frozenset({columns.RESTART, columns.POWER, columns.FAILOVER, columns.FULL, columns.SLOW, columns.JUMP})
"""Faults of the server: one at a time, with a moment to recover in between."""

LASTS_S = {
    columns.STOP: (0.3 * LEASE_S, 3 * LEASE_S),
    columns.RESTART: (0.0, 1.0),
    columns.POWER: (0.0, 1.0),
    columns.FAILOVER: (0.0, 1.0),
    columns.FULL: (1.0, 3.0),
    columns.SLOW: (0.5, 2.5),
    columns.JUMP: (3.0, 5.0),
}
"""From inject to undo, in seconds; the others have no undo."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One fault to come.

    Attributes:
        at_s: When, in seconds from the phase's first fault on.
        kind: Which, as in `columns`.
        lasts_s: Until it is undone.
        pick: The dice for whatever the fault chooses when it strikes: which worker, which connection, which job.
    """

    at_s: float
    kind: str
    lasts_s: float
    pick: float


@dataclass(frozen=True, slots=True)
class Phase:
    """What happens on one server: `name` as in `columns`, the seed of its calls, the jobs they make, the faults."""

    name: str
    seed: int
    seconds: float
    jobs: int
    faults: tuple[Timed, ...]


def phase_of(share: Share, seed: int) -> Phase:
    """Spread a share's faults over the phase, the same for the same seed."""
    seed = random.Random(f"{seed}/{share.setting.name}").randrange(1 << 32)
    dice = random.Random(seed)
    seconds = share.setting.seconds
    alone = [kind for kind, count in share.faults.items() if kind in ALONE for _ in range(count)]
    dice.shuffle(alone)
    slot_s = seconds / max(1, len(alone))
    faults = [_timed(dice, kind, (n + dice.uniform(0.1, 0.4)) * slot_s) for n, kind in enumerate(alone)]
    rest = [kind for kind, count in share.faults.items() if kind not in ALONE for _ in range(count)]
    faults += [_timed(dice, kind, dice.uniform(0, seconds)) for kind in rest]
    ends_s = seconds - 0.1
    fitting = (replace(one, lasts_s=max(0.0, min(one.lasts_s, ends_s - one.at_s))) for one in faults)
    return Phase(share.setting.name, seed, seconds, share.jobs, tuple(sorted(fitting, key=lambda one: one.at_s)))


def _timed(dice: random.Random, kind: str, at_s: float) -> Timed:
    lasts_s = dice.uniform(*LASTS_S[kind]) if kind in LASTS_S else 0.0
    return Timed(round(at_s, 3), kind, round(lasts_s, 3), round(dice.random(), 9))


def save(path: Path, phases: Iterable[Phase]) -> None:
    """Write phases as JSON lines: one for each phase, followed by one for each of its faults."""
    with path.open("w", encoding="utf-8") as file:
        for phase in phases:
            head = {"phase": phase.name, "seed": phase.seed, "seconds": phase.seconds, "jobs": phase.jobs}
            for line in (head, *map(asdict, phase.faults)):
                file.write(json.dumps(line) + "\n")


def load(path: Path) -> list[Phase]:
    """Read what `save` wrote."""
    phases: list[Phase] = []
    for line in _lines(path):
        if "phase" in line:
            phases.append(Phase(str(line["phase"]), int(line["seed"]), line["seconds"], int(line["jobs"]), ()))
        else:
            one = Timed(float(line["at_s"]), str(line["kind"]), float(line["lasts_s"]), float(line["pick"]))
            phases[-1] = replace(phases[-1], faults=(*phases[-1].faults, one))
    return phases


def _lines(path: Path) -> Iterator[dict[str, float]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)

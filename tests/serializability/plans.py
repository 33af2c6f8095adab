"""Random plans for `lists.py`: few lists that many transactions want, some of them much more than others.

The lists change with time: after `EPOCH` transactions come new ones, so that a document stays within a few KB.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.serializability.lists import Plan

EPOCH = 250
LISTS = 8
MOST_READ, MOST_APPENDED = 4, 3
VALUES = 8
"""Values that one transaction may append: the n-th has those from n * VALUES on to itself."""

RAISES, NESTED, NESTED_RAISES, TWICE, IN_A_THREAD, SCANS = 0.1, 0.2, 0.5, 0.1, 0.1, 0.15
"""How often: it raises at the end; a part is nested; that part raises; a list is appended to twice; a plain handler;
all lists of the epoch are looked at (not by one that raises: its error has no room for them)."""

_SKEW = [1 / (rank + 1) for rank in range(LISTS)]


@dataclass(frozen=True, slots=True)
class Planned:
    """One transaction to come: `keys` are the lists that it may touch."""

    number: int
    plan: Plan
    raises: bool
    in_a_thread: bool
    keys: frozenset[str]


def plans(seed: int, count: int) -> Iterator[Planned]:
    """Transactions, the same for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        keys, raises = _choose_keys(chance, number), chance.random() < RAISES
        steps = _steps(chance, number, keys)
        if not raises and chance.random() < SCANS:
            keys = _lists_of(number)
            steps.insert(chance.randint(0, len(steps)), ["scan", number // EPOCH, keys])
        yield Planned(number, _nest(chance, steps), raises, chance.random() < IN_A_THREAD, frozenset(keys))


def _choose_keys(chance: random.Random, number: int) -> list[str]:
    """One to four different lists of the epoch, the first ones more often."""
    wanted, ranks = chance.randint(1, MOST_READ), dict[int, None]()
    while len(ranks) < wanted:
        (rank,) = chance.choices(range(LISTS), _SKEW)
        ranks[rank] = None
    return [_lists_of(number)[rank] for rank in ranks]


def _lists_of(number: int) -> list[str]:
    return [f"{number // EPOCH}-{rank}" for rank in range(LISTS)]


def _steps(chance: random.Random, number: int, keys: list[str]) -> Plan:
    appended = chance.sample(keys, chance.randint(0, min(MOST_APPENDED, len(keys))))
    if appended and chance.random() < TWICE:
        appended.append(appended[0])
    steps: Plan = [["read", key] for key in keys]
    steps += [["append", key, number * VALUES + at] for at, key in enumerate(appended)]
    chance.shuffle(steps)
    return steps


def _nest(chance: random.Random, steps: Plan) -> Plan:
    """Sometimes a part of the steps, of one or more, becomes a nested mutation."""
    if chance.random() >= NESTED:
        return steps
    first = chance.randrange(len(steps))
    last = chance.randint(first + 1, len(steps))
    return [*steps[:first], ["nested", chance.random() < NESTED_RAISES, steps[first:last]], *steps[last:]]

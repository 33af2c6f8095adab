"""What the producers ask for: from a seed alone, the same calls at the same times."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.serializability.plans import plans

ACCOUNTS, OPENING = 60, 20_000
MOST_CENTS = 3_000
JOBS_A_CALL = 1.7
"""A call makes at least so many jobs, children included."""

MOST_DELAY_MS = 8_000
WEIGHTS = {
    "transfer": 38, "transfer_in_a_thread": 8, "count": 12, "probe": 10, "transact": 15, "transact_in_a_thread": 3,
    "tell": 7, "flaky": 2, "withdraw": 3, "forgotten": 1, "audit": 1,
}  # fmt: skip
POISONS = ("poison", "poison_action")


@dataclass(frozen=True, slots=True)
class Planned:
    """One call to come.

    Attributes:
        tag: Its number, in its arguments too.
        at_s: When it is made, in seconds from the start of the phase.
        function: The last part of its name.
        kwargs: Its arguments.
        delay_ms: After so long it is due.
        key: Its idempotency key, "" for none: a call with one is repeated until it is accepted, and once more.
    """

    tag: int
    at_s: float
    function: str
    kwargs: dict[str, Any]
    delay_ms: int
    key: str = ""


def planned(seed: int, jobs: int, seconds: float, poisons: int) -> list[Planned]:
    """Calls that make at least `jobs` jobs, spread over `seconds`; all are due by then."""
    dice = random.Random(seed)
    number = round(jobs / JOBS_A_CALL)
    times = sorted(dice.uniform(0, seconds) for _ in range(number))
    names = dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=number)
    for name in POISONS:
        for _ in range(poisons):
            # Early: it takes many deaths, and longer and longer pauses, until one is given up.
            names[dice.randrange(max(1, number // 20))] = name
    transactions = plans(seed, number)
    calls = []
    for tag, (at_s, name) in enumerate(zip(times, names, strict=True)):
        left_ms = (seconds - at_s) * 1000
        delay_ms = 0 if dice.random() < 0.5 and name != "probe" else round(dice.uniform(0, min(left_ms, MOST_DELAY_MS)))
        key = f"key-{tag}" if dice.random() < 0.3 else ""
        kwargs = _arguments(dice, name, transactions)
        calls.append(Planned(tag, at_s, name, {**kwargs, "tag": tag}, delay_ms, key))
    return calls


def _arguments(dice: random.Random, name: str, transactions: Iterator[Any]) -> dict[str, Any]:
    match name:
        case "transfer" | "transfer_in_a_thread" | "tell":
            source, target = dice.sample(range(ACCOUNTS), 2)
            desk = {"desk_s": round(dice.uniform(0, 0.03), 3)} if name == "transfer" and dice.random() < 0.3 else {}
            return {"source": f"a{source}", "target": f"a{target}", "cents": dice.randint(1, MOST_CENTS), **desk}
        case "transact" | "transact_in_a_thread":
            one = next(transactions)
            return {"plan": one.plan, "raises": one.raises}
        case "flaky":
            return {"fails": dice.randint(1, 2)}
        case "withdraw":
            return {"job_id": ""}  # chosen among those that were accepted when it is made
    return {}

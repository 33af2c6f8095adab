"""Writes orders.ndjson: 1,000 lines for `duestream enqueue --from`, the same ones each time.

python -m examples.make_orders
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("orders.ndjson")
LINES, DUPLICATES, GIFTS, FAR, CUSTOMERS = 1_000, 30, 24, 20, 120

# Each of these lines is refused by the command line, without any harm to the others.
REFUSED = (
    '{"function": "shop:place_order", "args": {"order_id": "bad1", "cents": 100}',
    "order bad2, 1 euro",
    '["shop:place_order", "bad3", 100]',
    '{"function": "shop:place_order", "args": {"order_id": "bad4", "cents": 100, "colour": "red"}}',
    '{"function": "shop:place_order", "args": {"order_id": "bad5", "cents": 100}, "after": "-5s"}',
    '{"function": "shop:place_order", "args": {"order_id": "bad6", "cents": "a lot"}}',
    '{"function": "shop:place_order", "args": {"order_id": "bad7"}}',
    '{"function": "shop:paint_order", "args": {"order_id": "bad8", "cents": 100}}',
)
# These can be scheduled, and fail when they run.
FREE_CENTS = (0, -1, -100, 0, -2500, -1, 0)


def make_lines() -> list[str]:
    """All lines, in their order."""
    chance = random.Random(2)  # noqa: S311  the same orders each time, not secrets
    fresh = LINES - DUPLICATES - len(REFUSED)
    orders = [_order(chance, number) for number in range(1, fresh + 1)]
    for number, cents in zip(chance.sample(range(fresh), len(FREE_CENTS)), FREE_CENTS, strict=True):
        orders[number]["args"]["cents"] = cents
    special = chance.sample([n for n in range(fresh) if orders[n]["args"]["cents"] > 0], GIFTS + FAR)
    for number in special[:GIFTS]:
        orders[number]["args"]["wrap_s"] = 1.0
        orders[number]["after"] = f"{chance.randint(500, 2_500)}ms"
    for number in special[GIFTS:]:
        orders[number]["after"] = f"{chance.randint(1, 48)}h"
    lines = [json.dumps(order) for order in orders]
    for line in [*chance.sample(lines, DUPLICATES), *REFUSED]:
        lines.insert(chance.randrange(len(lines) // 10, len(lines)), line)
    return lines


def _order(chance: random.Random, number: int) -> dict[str, Any]:
    args = {
        "order_id": f"o{number}",
        "cents": chance.randint(100, 20_000),
        "customer": f"c{chance.randint(1, CUSTOMERS)}",
    }
    delay_ms = 0 if chance.random() < 0.2 else chance.randint(1, 4_000)
    return {"function": "shop:place_order", "args": args, "after": f"{delay_ms}ms", "key": f"order-o{number}"}


if __name__ == "__main__":
    PATH.write_text("".join(f"{line}\n" for line in make_lines()), encoding="utf-8")

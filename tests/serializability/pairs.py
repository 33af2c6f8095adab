"""An app with pairs of documents whose sum never changes; run by worker processes of the tests.

A handler notes what it sees in a file the moment it sees it: its return value would say nothing of attempts that were
started over.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from scheduler import App, BlockingMutationContext, MutationContext

app = App(os.environ.get("FAULTY_NAMESPACE", "pairs"))

TOTAL = 1_000
PAUSE_S = 0.003
"""Between the two reads of a look, so that writers come between them."""


class Skew(Exception):
    """Half of another's commit was seen."""


def note(folder: str, name: str, line: object) -> None:
    """One line, by a single write, so that no other process's comes in between."""
    file = os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def judge(folder: str, seen_by: str, one: int, other: int) -> int:
    """Note a sum that a handler saw, and raise where it is broken."""
    note(folder, f"sums-{seen_by}", one + other)
    if one + other != TOTAL:
        raise Skew(f"{one} + {other} is not {TOTAL}")
    return one


@app.mutation
async def open_pairs(ctx: MutationContext, count: int) -> None:
    for pair in range(count):
        await ctx.db.insert("sides", {"amount": TOTAL}, key=f"{pair}.x")
        await ctx.db.insert("sides", {"amount": 0}, key=f"{pair}.y")
    await ctx.db.insert("quiet", {}, key="one")


async def amount_of(ctx: MutationContext, pair: int, side: str) -> int:
    found = await ctx.db.get(f"sides:{pair}.{side}")
    assert found is not None
    return int(found["amount"])


@app.mutation
async def move(ctx: MutationContext, folder: str, pair: int, amount: int) -> None:
    """From x to y."""
    x, y = await amount_of(ctx, pair, "x"), await amount_of(ctx, pair, "y")
    judge(folder, "move", x, y)
    await ctx.db.patch(f"sides:{pair}.x", {"amount": x - amount})
    await ctx.db.patch(f"sides:{pair}.y", {"amount": y + amount})


@app.mutation
async def look(ctx: MutationContext, folder: str, pair: int, first: str, second: str) -> int:
    """Read one side, do other things, read the other side."""
    one = await amount_of(ctx, pair, first)
    note(folder, "halves", one)
    await asyncio.sleep(PAUSE_S)
    await ctx.db.get("quiet:one")
    return judge(folder, "look", one, await amount_of(ctx, pair, second))


@app.mutation
async def side(ctx: MutationContext, pair: int, name: str) -> int:
    return await amount_of(ctx, pair, name)


@app.mutation
async def look_nested(ctx: MutationContext, folder: str, pair: int, first: str, second: str) -> int:
    """The same, with each read in a nested mutation of its own."""
    one = await ctx.run_mutation(side, pair, first)
    note(folder, "halves", one)
    await asyncio.sleep(PAUSE_S)
    return judge(folder, "look", one, await ctx.run_mutation(side, pair, second))


@app.mutation
async def look_at_once(ctx: MutationContext, folder: str, pair: int, first: str, second: str) -> int:
    """The same, with both reads in parallel."""
    note(folder, "halves", 0)
    one, other = await asyncio.gather(amount_of(ctx, pair, first), amount_of(ctx, pair, second))
    return judge(folder, "look", one, other)


@app.mutation
def look_in_a_thread(ctx: BlockingMutationContext, folder: str, pair: int, first: str, second: str) -> int:
    """The same, blocking."""
    one = ctx.db.get(f"sides:{pair}.{first}")
    assert one is not None
    note(folder, "halves", one["amount"])
    time.sleep(PAUSE_S)
    other = ctx.db.get(f"sides:{pair}.{second}")
    assert other is not None
    return judge(folder, "look", one["amount"], other["amount"])


LOOKS = (look, look_nested, look_at_once, look_in_a_thread)


async def main(url: str, *options: str) -> None:
    from tests.worker.processes import run_worker

    await run_worker(app, url, options)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""An app with one counter that every mutation increments; run by worker processes of the tests."""

from __future__ import annotations

import asyncio
import os
import sys

from scheduler import App, MutationContext

app = App(os.environ.get("FAULTY_NAMESPACE", "counter"))


@app.mutation
async def increment(ctx: MutationContext) -> int:
    """Count one more, and return the count."""
    found = await ctx.db.get("counters:hot")
    if found is None:
        await ctx.db.insert("counters", {"value": 1}, key="hot")
        return 1
    value = int(found["value"]) + 1
    await ctx.db.patch("counters:hot", {"value": value})
    return value


@app.mutation
async def value(ctx: MutationContext) -> int:
    found = await ctx.db.get("counters:hot")
    return int(found["value"]) if found else 0


async def main(url: str, *options: str) -> None:
    from tests.worker.processes import run_worker

    await run_worker(app, url, options)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

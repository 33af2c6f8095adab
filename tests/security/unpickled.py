"""A worker process in which whatever uses pickle fails, with functions that go all the ways of a worker."""

from __future__ import annotations

import _pickle
import asyncio
import os
import pickle
import sys
from typing import Any, NoReturn


def _refuse(*args: object, **kwargs: object) -> NoReturn:
    raise AssertionError("pickle was used")


class _Refusing:
    """In the place of `Pickler` and `Unpickler`: may be subclassed, which libraries do when they are imported."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        _refuse()


for module in (pickle, _pickle):
    for name in ("dump", "dumps", "load", "loads"):
        setattr(module, name, _refuse)
    for name in ("Pickler", "Unpickler", "_Pickler", "_Unpickler"):
        setattr(module, name, _Refusing)

from scheduler import ActionContext, App, BlockingMutationContext, MutationContext  # noqa: E402

app = App(os.environ.get("FAULTY_NAMESPACE", "unpickled"))
VALUE: dict[str, Any] = {"values": [1, "two"]}


@app.mutation(name="unpickled:leaf")
async def leaf(ctx: MutationContext, value: dict[str, Any]) -> dict[str, Any]:
    await ctx.db.insert("things", value)
    return value


@app.mutation(name="unpickled:mutate")
async def mutate(ctx: MutationContext) -> dict[str, Any]:
    await ctx.scheduler.cancel(await ctx.scheduler.run_after(60_000, leaf, VALUE))
    await ctx.scheduler.run_after(0, leaf, VALUE)
    return await ctx.run_mutation(leaf, VALUE)


@app.action(name="unpickled:act")
async def act(ctx: ActionContext) -> dict[str, Any]:
    await ctx.scheduler.run_after(0, leaf, VALUE)
    return await ctx.run_mutation(leaf, VALUE)


@app.mutation(name="unpickled:block")
def block(ctx: BlockingMutationContext) -> dict[str, Any]:
    ctx.db.insert("things", VALUE)
    return VALUE


@app.mutation(name="unpickled:raise_error")
async def raise_error(ctx: MutationContext) -> None:
    raise RuntimeError("on purpose")


@app.action(name="unpickled:is_guarded")
async def is_guarded(ctx: ActionContext) -> str:
    """What becomes of who uses it here."""
    try:
        pickle.dumps(VALUE)
    except AssertionError as error:
        return str(error)
    return "nothing"


async def main(url: str, *options: str) -> None:
    from tests.worker.processes import run_worker

    await run_worker(app, url, options)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

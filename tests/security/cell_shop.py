"""An app whose functions run in processes of their own, which import it anew; its keys come by the environment."""

from __future__ import annotations

import os

from scheduler import App, BlockingActionContext, BlockingMutationContext

app = App(os.environ.get("CELL_NAMESPACE", "cells"))


@app.mutation(name="shop:grow", isolate=True)
def grow(ctx: BlockingMutationContext, card: str) -> list[str]:
    return [str(os.getpid()), ctx.scheduler.run_after(0, leaf, card)]


@app.action(name="shop:act", isolate=True)
def act(ctx: BlockingActionContext, card: str) -> list[str]:
    job = ctx.db.system.get(ctx.job_id)
    return [str(job and job.args[0]), ctx.scheduler.run_after(0, "shop:leaf", card)]


@app.mutation(name="shop:leaf", isolate=True)
def leaf(ctx: BlockingMutationContext, card: str) -> str:
    if card == "bad":
        raise ValueError(f"declined {card}")
    return f"leaf of {card}"

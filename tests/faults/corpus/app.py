"""The app that the corpus is thrown at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from scheduler import ActionContext, App, BlockingMutationContext, MutationContext
from tests.faults.corpus.case import Bad, Good


def make_app(  # noqa: C901  one after the other, none with a branch of its own
    bad: dict[str, Bad], good: dict[str, Good]
) -> App:
    """An app whose functions probe, take anything, take little, and hand the corpus on from inside of handlers."""
    app = App("corpus", keep_s=30)

    @app.mutation(name="corpus:probe")
    async def probe(ctx: MutationContext) -> str:
        return "alive"

    @app.action(name="corpus:probe_action")
    async def probe_action(ctx: ActionContext) -> str:
        return "alive"

    @app.mutation(name="corpus:take")
    async def take(ctx: MutationContext, value: Any = None) -> Any:
        return value

    @app.mutation(name="corpus:typed")
    def typed(
        ctx: BlockingMutationContext, number: int, *, when: datetime | None = None, tags: list[str] | None = None
    ) -> int:
        return number

    @app.mutation(name="corpus:give")
    async def give(ctx: MutationContext, case: str) -> Any:
        """Returns a value of the corpus."""
        return (bad.get(case) or good[case]).make()

    @app.mutation(name="corpus:keep")
    async def keep(ctx: MutationContext, case: str) -> None:
        """Writes a value of the corpus into a document."""
        await ctx.db.insert("kept", {"value": (bad.get(case) or good[case]).make()}, key="one")

    @app.mutation(name="corpus:read")
    async def read(ctx: MutationContext, document: str) -> bool:
        return await ctx.db.get(document) is not None

    @app.mutation(name="corpus:schedule")
    async def schedule(ctx: MutationContext, case: str) -> None:
        """Schedules with a value of the corpus: as its delay, its time or its argument."""
        value = bad[case].make()
        if case.startswith("delay"):
            await ctx.scheduler.run_after(value, take)
        elif case.startswith("timestamp"):
            await ctx.scheduler.run_at(value, take)
        else:
            await ctx.scheduler.run_after(60_000, take, value=value)

    @app.action(name="corpus:schedule_at_once")
    async def schedule_at_once(ctx: ActionContext, case: str) -> None:
        """The same from an action, where each call takes effect at once."""
        value = bad[case].make()
        if case.startswith("delay"):
            await ctx.scheduler.run_after(value, take)
        elif case.startswith("timestamp"):
            await ctx.scheduler.run_at(value, take)
        else:
            await ctx.scheduler.run_after(60_000, take, value=value)

    return app

"""What the workers of the crash points run: handlers that leave traces, and wait where a case wants them to."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from scheduler import ActionContext, App, MutationContext


def mark(folder: Path, name: str) -> None:
    """One line for each start of a handler: a single write, so that it survives a kill."""
    file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{os.getpid()}\n".encode())
    os.close(file)


def marks(folder: Path, name: str) -> int:
    """How often it was left."""
    file = folder / name
    return len(file.read_text().split()) if file.exists() else 0


async def until_released(folder: Path) -> None:
    while not (folder / "release").exists():
        await asyncio.sleep(0.02)


async def add_one(ctx: MutationContext, counter: str) -> None:
    found = await ctx.db.get(f"counters:{counter}")
    if found is None:
        await ctx.db.insert("counters", {"n": 1}, key=counter)
    else:
        await ctx.db.patch(f"counters:{counter}", {"n": found["n"] + 1})


def make_app(namespace: str, folder: Path) -> App:
    """The app; each successful mutation adds one to a counter."""
    app = App(namespace)
    _add_mutations(app, folder)
    _add_waiting_mutations(app, folder)
    _add_actions(app, folder)
    return app


def _add_mutations(app: App, folder: Path) -> None:
    @app.mutation(name="add")
    async def add(ctx: MutationContext, counter: str = "one") -> int:
        mark(folder, "add")
        await add_one(ctx, counter)
        return ctx.attempt

    @app.mutation(name="parent")
    async def parent(ctx: MutationContext) -> None:
        mark(folder, "parent")
        await add_one(ctx, "one")
        for delay_ms in (0, 0, 50):
            await ctx.scheduler.run_after(delay_ms, "note")

    @app.mutation(name="break_off")
    async def break_off(ctx: MutationContext) -> None:
        mark(folder, "break_off")
        await add_one(ctx, "one")
        await ctx.scheduler.run_after(0, "note")
        raise ValueError("it always does")

    @app.mutation(name="again")
    async def again(ctx: MutationContext) -> None:
        mark(folder, "again")
        await add_one(ctx, "one")
        if ctx.attempt == 1:
            raise ConnectionError("this once")


def _add_waiting_mutations(app: App, folder: Path) -> None:
    @app.mutation(name="look_twice")
    async def look_twice(ctx: MutationContext, second: str) -> None:
        """Reads, waits while others write, reads again, and adds."""
        await ctx.db.get("counters:one")
        mark(folder, "look_twice")
        await until_released(folder)
        await ctx.db.get(f"counters:{second}")
        await add_one(ctx, "one")

    @app.mutation(name="hold_back")
    async def hold_back(ctx: MutationContext) -> None:
        """Has read, and waits while others write what it has read."""
        await add_one(ctx, "one")
        mark(folder, "hold_back")
        await until_released(folder)


def _add_actions(app: App, folder: Path) -> None:
    @app.action(name="act")
    async def act(ctx: ActionContext) -> str:
        mark(folder, f"act-{ctx.job_id}")
        await ctx.scheduler.run_after(0, "note")
        return "acted"

    @app.action(name="hold")
    async def hold(ctx: ActionContext) -> str:
        mark(folder, f"hold-{ctx.job_id}")
        await until_released(folder)
        return "held"

    @app.internal_action(name="note")
    async def note(ctx: ActionContext) -> None:
        mark(folder, f"note-{ctx.job_id}")

"""An app whose handlers wait, die, block and fail on demand; run by worker processes of the tests."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from pathlib import Path

from scheduler import ActionContext, App, BlockingMutationContext, MutationContext

app = App(os.environ.get("FAULTY_NAMESPACE", "faulty"))


def mark(folder: str, name: str) -> None:
    """One line for each start of a handler: a single write, so that it survives a kill."""
    file = os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{os.getpid()}\n".encode())
    os.close(file)


async def until_released(folder: str) -> None:
    while not (Path(folder) / "release").exists():
        await asyncio.sleep(0.01)


@app.mutation
async def deposit(ctx: MutationContext, folder: str, account: str, cents: int, hold_first: bool = False) -> int:
    """Adds to a balance; the first attempt waits for the file `release` where asked to."""
    mark(folder, "deposit")
    balance = await ctx.db.get(f"accounts:{account}")
    if balance is None:
        await ctx.db.insert("accounts", {"cents": cents}, key=account)
    else:
        await ctx.db.patch(f"accounts:{account}", {"cents": balance["cents"] + cents})
    await ctx.scheduler.run_after(0, note, folder)
    if hold_first and ctx.attempt == 1:
        await until_released(folder)
    return ctx.attempt


@app.internal_action
async def note(ctx: ActionContext, folder: str) -> None:
    mark(folder, "note")


@app.action
async def hold(ctx: ActionContext, folder: str) -> str:
    mark(folder, "hold")
    await until_released(folder)
    return "released"


@app.mutation
async def read_balance(ctx: MutationContext, account: str) -> int:
    balance = await ctx.db.get(f"accounts:{account}")
    return 0 if balance is None else int(balance["cents"])


@app.mutation
async def poison(ctx: MutationContext, folder: str) -> None:
    mark(folder, "poison")
    os._exit(9)


@app.mutation
async def tear_down(ctx: MutationContext, how: str) -> int:
    """Its first start takes the whole worker with it, without a signal."""
    if ctx.attempt == 1:
        leaving = asyncio.create_task(TEARS[how]())
        await asyncio.sleep(60)
        await leaving
    return ctx.attempt


async def _stop_the_loop() -> None:
    asyncio.get_running_loop().stop()


async def _cancel_all_tasks() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


async def _exit_in_a_task() -> None:
    sys.exit(5)


TEARS = {
    "stop the loop": _stop_the_loop, "cancel all tasks": _cancel_all_tasks, "exit in a task": _exit_in_a_task,
}  # fmt: skip


@app.mutation
async def block_loop(ctx: MutationContext, folder: str, seconds: float) -> int:
    """Holds the whole event loop, as a careless handler does."""
    mark(folder, "block")
    time.sleep(seconds)  # noqa: ASYNC251  that is the point
    return ctx.attempt


@app.mutation
def deposit_in_thread(ctx: BlockingMutationContext, folder: str, account: str, cents: int) -> int:
    """As `deposit`, slowly and in a thread."""
    balance = ctx.db.get(f"accounts:{account}")
    time.sleep(0.02)
    if balance is None:
        ctx.db.insert("accounts", {"cents": cents}, key=account)
    else:
        ctx.db.patch(f"accounts:{account}", {"cents": balance["cents"] + cents})
    ctx.scheduler.run_after(0, note, folder)
    return ctx.attempt


def hold_interpreter(seconds: float) -> None:
    """Nothing else of this process gets to run, as when an extension in C does not give the lock away."""
    ctypes.PyDLL(None).usleep(round(seconds * 1_000_000))


@app.mutation
async def block_all(ctx: MutationContext, folder: str, seconds: float, when_released: bool = False) -> int:
    if when_released:  # meanwhile its worker asks for more work
        mark(folder, "waiting")
        await until_released(folder)
    mark(folder, "block_all")
    hold_interpreter(seconds)
    mark(folder, "unblocked")
    return ctx.attempt


@app.mutation
def block_all_in_thread(ctx: BlockingMutationContext, folder: str, seconds: float) -> int:
    mark(folder, "block_all")
    hold_interpreter(seconds)
    return ctx.attempt


@app.action
async def block_all_in_action(ctx: ActionContext, folder: str, seconds: float) -> str:
    mark(folder, "block_all")
    hold_interpreter(seconds)
    return "done"


@app.mutation(timeout=1)
async def block_for_good(ctx: MutationContext, folder: str) -> int:
    """Its first start never ends."""
    mark(folder, "block_for_good")
    if ctx.attempt == 1:
        hold_interpreter(600)
    return ctx.attempt


async def main(url: str, *options: str) -> None:
    from tests.worker.processes import run_worker

    await run_worker(app, url, options)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

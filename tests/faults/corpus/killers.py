"""Handlers that take their worker down, each in a queue of its own; run by worker processes of the tests."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from scheduler import ActionContext, App, MutationContext
from tests.worker.processes import run_worker


def exit_at_once() -> None:
    os._exit(0)


def exit_with_code() -> None:
    os._exit(9)


def segfault() -> None:
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stop_the_loop() -> None:
    asyncio.get_running_loop().stop()


def cancel_everything() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


def close_every_file() -> None:
    os.closerange(3, 4_096)


async def _leave() -> None:
    sys.exit(5)


def exit_in_a_task() -> None:
    exit_in_a_task.task = asyncio.create_task(_leave())  # type: ignore[attr-defined]


KILLERS: Final[dict[str, Callable[[], None]]] = {
    one.__name__: one
    for one in (
        exit_at_once,
        exit_with_code,
        segfault,
        abort,
        kill_itself,
        stop_the_loop,
        cancel_everything,
        close_every_file,
        exit_in_a_task,
    )
}


def make_app(namespace: str) -> App:
    """Each killer as a mutation and as an action, each with a queue of its own."""
    app = App(namespace)
    for name, kill in KILLERS.items():
        _register(app, name, kill)

    @app.mutation(name="killers:probe")
    async def probe(ctx: MutationContext) -> str:
        return "alive"

    return app


def _register(app: App, name: str, kill: Callable[[], None]) -> None:
    @app.mutation(name=f"killers:{name}_mutation", queue=f"{name}-mutation")
    async def mutation(ctx: MutationContext) -> Any:
        kill()
        await asyncio.sleep(60)

    @app.action(name=f"killers:{name}_action", queue=f"{name}-action")
    async def action(ctx: ActionContext) -> Any:
        kill()
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(run_worker(make_app(os.environ["FAULTY_NAMESPACE"]), sys.argv[1], sys.argv[2:]))

"""An app whose functions run in processes of their own; cells import it anew."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from scheduler import (
    ActionContext,
    App,
    BlockingActionContext,
    BlockingMutationContext,
    BlockingQueryContext,
    MutationContext,
)
from scheduler.errors import Unavailable
from scheduler.settings import Limits

app = App(os.environ.get("ISOLATION_NAMESPACE", "isolation"), limits=Limits(result_bytes=100_000))

_log = logging.getLogger("tests.isolation.shop")


class Color(Enum):
    RED = "red"


@dataclass
class Account:
    owner: str
    cents: int
    id: str = ""


class Busy(Exception):
    """Declared transient."""


class Refused(Exception):
    """Not transient."""


accounts = app.table("accounts", schema=Account, indexes={"by_owner": ["owner", "cents"]})


def mark(folder: str, name: str) -> int:
    """One line for each start, with the process; returns how many there are."""
    file = Path(folder) / name
    with file.open("a") as out:
        out.write(f"{os.getpid()}\n")
    return len(file.read_text().split())


def segfault() -> None:
    ctypes.string_at(0)


def spin() -> None:
    """For ever in C, without letting go of the interpreter."""
    ctypes.PyDLL(None).pause()


@app.mutation(isolate=True)
def where(ctx: BlockingMutationContext) -> list[int]:
    return [os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0)]


@app.action(isolate=True)
def act(ctx: BlockingActionContext, /, color: Color, account: Account, *numbers: int, **names: str) -> dict[str, Any]:
    return {
        "color": color.name, "owner": account.owner, "numbers": list(numbers), "names": names, "pid": os.getpid(),
        "job": ctx.job_id, "attempt": ctx.attempt, "now": ctx.now,
    }  # fmt: skip


@app.internal_mutation(isolate=True)
async def on_a_loop(ctx: MutationContext) -> int:
    await asyncio.sleep(0)
    return os.getpid()


@app.internal_action(isolate=True)
async def act_on_a_loop(ctx: ActionContext) -> int:
    await asyncio.sleep(0)
    return os.getpid()


@app.mutation(isolate=True)
def deposit(ctx: BlockingMutationContext, owner: str, cents: int) -> int:
    """Reads its own writes."""
    found = ctx.db.query(accounts).index("by_owner", owner=owner).unique()
    if found is None:
        document = ctx.db.insert(accounts, Account(owner, 0))
        found = ctx.db.get(document, accounts)
        assert found is not None
    ctx.db.patch(found.id, {"cents": found.cents + cents})
    again = ctx.db.query(accounts).index("by_owner", owner=owner).unique()
    assert again is not None
    return again.cents


@app.query
def total(ctx: BlockingQueryContext) -> int:
    return sum(account.cents for account in ctx.db.query(accounts))


@app.mutation
def count_total(ctx: BlockingMutationContext) -> int:
    return ctx.run_query(total)


@app.mutation(isolate=True)
def increment(ctx: BlockingMutationContext, key: str) -> int:
    found = ctx.db.get(f"counters:{key}")
    time.sleep(0.001)  # so that others come in between
    if found is None:
        ctx.db.insert("counters", {"n": 1}, key=key)
        return 1
    ctx.db.patch(f"counters:{key}", {"n": found["n"] + 1})
    return int(found["n"]) + 1


@app.internal_action
async def note(ctx: ActionContext, folder: str) -> None:
    mark(folder, "note")


@app.mutation(isolate=True)
def schedule(ctx: BlockingMutationContext, folder: str, fail: bool = False) -> list[str]:
    """Schedules two, cancels one."""
    kept = ctx.scheduler.run_after(0, note, folder)
    dropped = ctx.scheduler.run_after(60_000, "shop:note", folder)
    outcome = ctx.scheduler.cancel(dropped)
    if fail:
        raise Refused("no")
    return [kept, dropped, outcome.value]


@app.mutation
def inner(ctx: BlockingMutationContext, key: str, fail: bool = False) -> int:
    ctx.db.insert("inner", {"pid": os.getpid()}, key=key)
    if fail:
        raise Refused("inner")
    return os.getpid()


@app.mutation
async def inner_on_a_loop(ctx: MutationContext, key: str) -> int:
    await asyncio.sleep(0)
    await ctx.db.insert("inner", {"pid": os.getpid()}, key=key)
    return os.getpid()


@app.action
def helper(ctx: BlockingActionContext) -> int:
    return os.getpid()


@app.mutation(isolate=True)
def nest(ctx: BlockingMutationContext) -> list[int]:
    pids = [ctx.run_mutation(inner, "a"), ctx.run_mutation(inner_on_a_loop, "b"), ctx.run_mutation(deposit, "ann", 5)]
    try:
        ctx.run_mutation(inner, "c", fail=True)
    except Refused:
        pids.append(os.getpid())
    return [*pids, ctx.run_query(total)]


@app.action(isolate=True)
def call_all(ctx: BlockingActionContext, folder: str) -> dict[str, Any]:
    scheduled = ctx.scheduler.run_after(0, note, folder)
    record = ctx.db.system.get(ctx.job_id)
    canceled = ctx.scheduler.cancel(ctx.scheduler.run_after(60_000, note, folder))
    try:
        ctx.run_mutation(inner, "x", fail=True)
    except Refused as refused:
        raised = str(refused)
    return {
        "pid": os.getpid(), "mutation": ctx.run_mutation(inner, "d"), "action": ctx.run_action(helper),
        "on a loop": ctx.run_mutation(inner_on_a_loop, "e"), "raised": raised, "scheduled": scheduled,
        "deposited": ctx.run_mutation(deposit, "bob", 7), "query": ctx.run_query(total),
        "state": record.state.value if record else None, "canceled": canceled.value,
    }  # fmt: skip


@app.action
def call_isolated(ctx: BlockingActionContext) -> int:
    return ctx.run_mutation(deposit, "eve", 1)


@app.mutation
async def call_isolated_mutation(ctx: MutationContext) -> int:
    return await ctx.run_mutation(deposit, "eve", 1)


def refuse() -> None:
    raise Refused("told")


@app.mutation(isolate=True)
def log(ctx: BlockingMutationContext) -> None:
    ctx.log.info("hello from %s", "inside")
    _log.warning("mine", extra={"color": Color.RED})
    try:
        refuse()
    except Refused:
        _log.exception("caught")
    _log.debug("not wanted")


@app.action(isolate=True)
def speak(ctx: BlockingActionContext, crash: bool = False) -> None:
    sys.stdout.write("on standard output\n")
    sys.stderr.write("on standard error\n")
    ctx.log.info("logged before the crash")
    if crash:
        segfault()


@app.mutation(isolate=True, transient=(Busy,))
def busy(ctx: BlockingMutationContext, folder: str) -> int:
    if mark(folder, "busy") < 3:
        raise Busy("again")
    return ctx.attempt


@app.mutation(isolate=True)
def fail(ctx: BlockingMutationContext, kind: str) -> Any:
    match kind:
        case "raise":
            raise Refused("with a reason")
        case "outage":
            raise Unavailable("Redis did not answer")
        case "exit":
            sys.exit(3)
        case "recursion":
            return fail(ctx, kind)
        case "memory":
            resource.setrlimit(resource.RLIMIT_AS, (2**30, resource.RLIM_INFINITY))
            return len(b"x" * 2**31)
        case "unstorable":
            return object()
        case "large":
            return b"x" * 100_001
    return None


@app.mutation(isolate=True)
def die(ctx: BlockingMutationContext, folder: str, kind: str, times: int = 1_000_000) -> int:
    """Takes its process down, the first so many times."""
    ctx.db.insert("deaths", {"kind": kind})
    if mark(folder, "die") <= times:
        take_down(kind)
    return ctx.attempt


@app.action(isolate=True)
def act_and_die(ctx: BlockingActionContext, folder: str, kind: str) -> None:
    mark(folder, "act_and_die")
    take_down(kind)


def take_down(kind: str) -> None:
    match kind:
        case "segfault":
            segfault()
        case "exit":
            os._exit(9)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "group":
            subprocess.Popen(["sleep", "600"])
            segfault()
        case "nonsense":
            os.write(int(sys.argv[1]), b"\0\0\0\4abcd")
            spin()


@app.mutation(isolate=True, timeout=0.5)
def hang(ctx: BlockingMutationContext, folder: str) -> None:
    mark(folder, "hang")
    spin()


@app.action(isolate=True, timeout=0.5)
def hang_with_a_child(ctx: BlockingActionContext, folder: str) -> None:
    child = subprocess.Popen(["sleep", "600"])
    (Path(folder) / "child").write_text(str(child.pid))
    mark(folder, "hang")
    spin()


@app.mutation(isolate=True)
def hold(ctx: BlockingMutationContext, folder: str) -> int:
    """Holds the interpreter at the first start."""
    if mark(folder, "hold") == 1:
        spin()
    return os.getpid()


@app.action(isolate=True)
def hold_in_action(ctx: BlockingActionContext, folder: str) -> None:
    mark(folder, "hold")
    spin()


@app.mutation(isolate=True)
def wait(ctx: BlockingMutationContext, folder: str) -> int:
    """The first start waits for the file `release`."""
    ctx.db.insert("waits", {"attempt": ctx.attempt})
    if mark(folder, "wait") == 1:
        while not (Path(folder) / "release").exists():
            time.sleep(0.01)
        (Path(folder) / "released").touch()
    return ctx.attempt


@app.action(isolate=True)
def leave_a_child(ctx: BlockingActionContext) -> int:
    return subprocess.Popen(["sleep", "600"]).pid


@app.action(isolate=True)
def leave_a_thread(ctx: BlockingActionContext) -> int:
    threading.Thread(target=time.sleep, args=(600,)).start()
    return os.getpid()


@app.action(isolate=True)
def fork(ctx: BlockingActionContext) -> int:
    """The fork logs, and lives for a while with all that it inherited."""
    child = os.fork()
    if child == 0:
        _log.warning("from the fork")
        time.sleep(600)
    return child


async def main(url: str, *options: str) -> None:
    from tests.worker.processes import run_worker

    await run_worker(app, url, options)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

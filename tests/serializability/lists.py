"""An app whose mutations do what a plan says to lists, and return what they saw; run by worker processes of the tests.

A plan is a list of steps: `["read", key]`, `["append", key, value]`, `["scan", epoch, keys]` (a query of an index that
finds all lists of an epoch: those of `keys` that are not there are empty), `["nested", raises, plan]`. What a handler
did is told in the same form, with what it saw: `["read", key, values]`, `["append", key, value]`, `["nested", undone,
told]`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import zlib
from collections.abc import Generator
from typing import Any

from scheduler import App, BlockingMutationContext, MutationContext
from tests.serializability.history import Append, Nested, Operation, Read

app = App(os.environ.get("FAULTY_NAMESPACE", "lists"))
lists = app.table("lists", indexes={"by_epoch": ["epoch"]})

Plan = list[list[Any]]
Told = list[list[Any]]
Walk = Generator[tuple[Any, ...], Any, None]
"""Yields the name of a method of the context or of its `db` with arguments, and is sent what it returned."""


class Refused(Exception):
    """A plan said to raise. The message is what was done until then, packed: Redis keeps 4,000 characters of it."""

    def __init__(self, told: Told) -> None:
        super().__init__(base64.b85encode(zlib.compress(json.dumps(told).encode(), 9)).decode())
        self.told = told


def unpack_refused(message: str) -> Told:
    """What the mutation did that failed with this message."""
    told: Told = json.loads(zlib.decompress(base64.b85decode(message)))
    return told


def operations_of(told: Told) -> tuple[Operation, ...]:
    """What a handler told, as the checker reads it."""
    operations: list[Operation] = []
    for entry in told:
        match entry:
            case ["read", key, values]:
                operations.append(Read(key, tuple(values)))
            case ["append", key, value]:
                operations.append(Append(key, value))
            case ["nested", undone, inner]:
                operations.append(Nested(operations_of(inner), undone))
            case _:
                raise ValueError(f"not told by a handler: {entry!r}")
    return tuple(operations)


def walk(plan: Plan, raises: bool, told: Told, nested: Any) -> Walk:
    """Do what a plan says; `nested` is the function that runs the nested ones."""
    for step in plan:
        match step:
            case ["read", key]:
                found = yield "get", f"lists:{key}"
                told.append(["read", key, found["values"] if found else []])
            case ["append", key, value]:
                yield from _append(key, value, told)
            case ["scan", epoch, keys]:
                found = yield "scan", epoch
                seen = {document.id.partition(":")[2]: document["values"] for document in found}
                told += [["read", key, seen.get(key, [])] for key in keys]
            case ["nested", inner_raises, inner]:
                try:
                    done = yield "run_mutation", nested, inner, inner_raises
                    told.append(["nested", False, done])
                except Refused as refused:
                    told.append(["nested", True, refused.told])
    if raises:
        raise Refused(told)


def _append(key: str, value: int, told: Told) -> Walk:
    found = yield "get", f"lists:{key}"
    values, epoch = found["values"] if found else [], epoch_of(key)
    told += [["read", key, values], ["append", key, value]]
    if found is None:
        yield "insert", "lists", {"values": [value], "epoch": epoch}, key
    elif value % 2:
        yield "patch", f"lists:{key}", {"values": [*values, value]}
    else:
        yield "replace", f"lists:{key}", {"values": [*values, value], "epoch": epoch}


def epoch_of(key: str) -> int:
    """Lists are called "<epoch>-<rank>"."""
    return int(key.partition("-")[0])


def _call(ctx: Any, name: str, args: tuple[Any, ...]) -> Any:
    if name == "insert":
        table, document, key = args
        return ctx.db.insert(table, document, key=key)
    if name == "scan":
        return ctx.db.query("lists").index("by_epoch", epoch=args[0]).collect()
    return getattr(ctx if name == "run_mutation" else ctx.db, name)(*args)


async def follow(ctx: MutationContext, plan: Plan, raises: bool, nested: Any) -> Told:
    """Do what a plan says, and tell what was seen; `nested` is the mutation that runs the nested parts."""
    told: Told = []
    steps = walk(plan, raises, told, nested)
    reply, refused = None, None
    while True:
        try:
            name, *args = steps.send(reply) if refused is None else steps.throw(refused)
        except StopIteration:
            return told
        reply, refused = None, None
        try:
            reply = await _call(ctx, name, tuple(args))
        except Refused as error:
            refused = error


def follow_blocking(ctx: BlockingMutationContext, plan: Plan, raises: bool, nested: Any) -> Told:
    """`follow` with blocking calls, as a plain handler has them."""
    told: Told = []
    steps = walk(plan, raises, told, nested)
    reply, refused = None, None
    while True:
        try:
            name, *args = steps.send(reply) if refused is None else steps.throw(refused)
        except StopIteration:
            return told
        reply, refused = None, None
        try:
            reply = _call(ctx, name, tuple(args))
        except Refused as error:
            refused = error


@app.mutation
async def transact(ctx: MutationContext, plan: Plan, raises: bool = False) -> Told:
    """Do what a plan says, and tell what was seen."""
    return await follow(ctx, plan, raises, transact)


@app.mutation
def transact_in_a_thread(ctx: BlockingMutationContext, plan: Plan, raises: bool = False) -> Told:
    """`transact` in a plain handler."""
    return follow_blocking(ctx, plan, raises, transact_in_a_thread)


async def main(url: str, *options: str) -> None:
    from tests.worker.processes import run_worker

    await run_worker(app, url, options)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

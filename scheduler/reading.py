"""Questions that a transaction asks of Redis, as data; and who carries them there, async or blocking.

A read is written once, as a generator that yields questions and is sent their answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from scheduler import versions
from scheduler.script_call import Transition
from scheduler.versions import Catalog, Checked, Scan, Snapshot

T = TypeVar("T")


class Read(NamedTuple):
    """What things and scans are now; the answer is a `Snapshot`."""

    things: Sequence[tuple[str, str]] = ()
    scans: Sequence[Scan] = ()


class Check(NamedTuple):
    """Whether these are still so; the answer is `Checked`."""

    reads: Sequence[tuple[str, str, str]]
    scans: Sequence[tuple[Scan, str]]


class Survey(NamedTuple):
    """Which indexes there are; the answer is a `Catalog`."""


Question = Read | Check | Survey
Reads = Generator[Question, Any, T]


class Reader(Protocol):
    """Runs reads of one transaction from async code."""

    async def __call__(self, reads: Reads[T], /) -> T: ...


class BlockingReader(Protocol):
    """Runs reads of one transaction from a thread."""

    def __call__(self, reads: Reads[T], /) -> T: ...


class SerialReader:
    """One read of a transaction at a time: what a handler reads in parallel must be one state too."""

    def __init__(self, ask: Callable[[Question], Awaitable[Snapshot | Checked | Catalog]]) -> None:
        self._ask = ask
        self._reading = asyncio.Lock()

    async def __call__(self, reads: Reads[T], /) -> T:
        async with self._reading:
            return await answer(reads, self._ask)


async def answer(reads: Reads[T], ask: Callable[[Question], Awaitable[Any]]) -> T:
    """Run reads from async code."""
    reply = None
    while True:
        try:
            question = reads.send(reply)
        except StopIteration as stop:
            return cast("T", stop.value)
        reply = await ask(question)


def answer_blocking(reads: Reads[T], run: Callable[[Transition[Any]], Any]) -> T:
    """Run reads from code without an event loop."""
    reply = None
    while True:
        try:
            question = reads.send(reply)
        except StopIteration as stop:
            return cast("T", stop.value)
        reply = run(transition_of(question))


def transition_of(question: Question) -> Transition[Any]:
    """The call that answers a question asked alone, outside of functions, where nothing is checked again."""
    match question:
        case Read(things, scans):
            return versions.read(things, scans)
        case Survey():
            return versions.declare()
        case Check():
            raise AssertionError("only a transaction of a function checks what it has read")

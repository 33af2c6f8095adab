"""What a worker and its cells say to each other, byte for byte."""

from __future__ import annotations

import asyncio
import io

import pytest

from scheduler.errors import InvalidValue
from scheduler.versions import Catalog
from worker import frames
from worker.errand import Errand
from worker.frames import Say


async def read(data: bytes) -> tuple[Say, list[object]]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await frames.read(reader)


async def test_a_frame_comes_as_it_went() -> None:
    data = frames.pack(Say.CALL, 1, "read", False, [b"\x00", "text", 5, None])
    assert await read(data) == (Say.CALL, [1, "read", False, [b"\x00", "text", 5, None]])
    assert frames.read_blocking(io.BytesIO(data)) == (Say.CALL, [1, "read", False, [b"\x00", "text", 5, None]])


@pytest.mark.parametrize("length", [0, 3, 4, 10])
async def test_the_end_of_the_line(length: int) -> None:
    data = frames.pack(Say.REPLY, 1, b"x" * 100)[:length]
    assert frames.read_blocking(io.BytesIO(data)) is None
    with pytest.raises(asyncio.IncompleteReadError):
        await read(data)


@pytest.mark.parametrize("payload", [b"\xc1", b"\x90", b"\x91\xa4what", b"\x01", b"\x91\x01"])
async def test_nonsense(payload: bytes) -> None:
    with pytest.raises((InvalidValue, ValueError, TypeError)):
        await read(len(payload).to_bytes(4, "big") + payload)


async def test_a_job() -> None:
    errand = Errand("shop:f", "JOB", 2, 1_800_000_000_000, b"args", b"kwargs", Catalog("3", {"t:f": None, "t:g": 7}))
    word, rest = await read(errand.frame())
    assert word is Say.JOB
    assert Errand.of(rest) == errand

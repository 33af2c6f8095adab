"""The commands of the scripts, read from their source: what cannot be read is an error, never left out."""

from __future__ import annotations

import pytest

from scheduler import scripts
from scheduler.commands import read_commands, used_by


@pytest.mark.parametrize(
    ("source", "commands"),
    [
        ("local a = 1", set()),
        ("redis.call('GET', KEYS[1])", {"GET"}),
        ("return redis.call('TIME')", {"TIME"}),
        ("redis.call('GET', 'KEY')", {"GET"}),
        ("redis.pcall('XPENDING', stream, GROUP, '-', '+', 1)", {"XPENDING"}),
        ("redis.call(\n  'HSET', a, b)", {"HSET"}),
        ("redis.call('XGROUP', 'CREATE', stream)", {"XGROUP|CREATE"}),
        ("redis.call('XINFO', 'GROUPS', stream) redis.call('DEL', a)", {"XINFO|GROUPS", "DEL"}),
        ("local entry = { 'XADD', stream, '*' }\nentry = redis.call(unpack(entry))", {"XADD"}),
        (
            "if redis.call('GET', a) == redis.call('LLEN', b) then redis.call('SET', a, 'DEL') end",
            {"GET", "LLEN", "SET"},
        ),
    ],
)
def test_what_is_called_is_found(source: str, commands: set[str]) -> None:
    assert read_commands(source) == commands


@pytest.mark.parametrize(
    "source",
    [
        "redis.call(name, key)",
        "redis.call(op == 'add' and 'ZADD' or 'ZREM', key)",
        "redis.call(unpack(unknown))",
        "local a = { 'GET' }\nlocal a = { 'SET' }\nredis.call(unpack(a))",
        "redis.call('XGROUP', verb, stream)",
    ],
)
def test_what_cannot_be_read_is_an_error(source: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_commands(source)


def test_every_script_can_be_read() -> None:
    assert all(used_by(name) for name in scripts.NAMES)


def test_commands_of_includes_count() -> None:
    assert {"HMGET", "XACK", "XDEL", "ZADD"} <= used_by("begin")
    assert "XGROUP|CREATE" in used_by("join")
    assert "XCLAIM" in used_by("renew")
    assert used_by("tally") == {"HGETALL", "TIME", "TYPE"}

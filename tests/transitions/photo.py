"""The whole data set of an app, taken in one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Dump = dict[bytes, object]

_TAKE = """
local readers = {
  string = function(key) return redis.call('GET', key) end,
  hash = function(key) return redis.call('HGETALL', key) end,
  zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
  set = function(key) return redis.call('SMEMBERS', key) end,
  list = function(key) return redis.call('LRANGE', key, 0, -1) end,
  stream = function(key)
    local held = {}
    for i, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
      held[i] = redis.call('XPENDING', key, group[2], '-', '+', 999)
    end
    return {redis.call('XRANGE', key, '-', '+'), held}
  end,
}
local taken = {}
for i, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind = redis.call('TYPE', key)['ok']
  taken[i] = {key, kind, redis.call('PTTL', key), readers[kind](key)}
end
return taken
"""


@dataclass(frozen=True, slots=True)
class Photo:
    """`dump` has every key with its value, and of streams what is pending in each group; `volatile` are the keys that
    end by themselves.
    """

    dump: Dump
    volatile: set[bytes]


def take_photo(execute: Callable[..., Any], prefix: str) -> Photo:
    """Of all keys with this prefix; `execute` runs a plain command."""
    pattern = prefix.replace("{", "[{]").replace("}", "[}]") + "*"
    taken = execute("EVAL", _TAKE, 0, pattern)
    return Photo(
        {key: _value(kind, value) for key, kind, _, value in taken},
        {key for key, _, ms, _ in taken if ms >= 0},
    )


def _value(kind: bytes, found: Any) -> object:
    match kind:
        case b"hash":
            return dict(zip(found[::2], found[1::2], strict=True))
        case b"set":
            return set(found)
        case b"stream":
            entries, held = found
            return entries, [_holders(rows) for rows in held]
        case _:
            return found


def _holders(rows: Sequence[Sequence[Any]]) -> list[tuple[bytes, bytes]]:
    return [(entry, owner) for entry, owner, *_ in rows]

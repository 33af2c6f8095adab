"""Bytes in Redis that nobody wrote: specs, statuses, stream entries, due members, keys of the wrong type (C6.3)."""

from __future__ import annotations

import pickle
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

GIB4: Final = b"\xff\xff\xff\xff"
NOW_MS: Final = 1_800_000_000_000
FIELDS: Final[tuple[Any, ...]] = ("2", str(NOW_MS), "0", "", "corpus:take", "m", "", "", [], {})
"""A spec as it should be (see `lua/include/spec.lua`)."""


def spec(**changed: Any) -> bytes:
    """A spec with some fields changed, by their place: `f3="x"`; packed by msgpack alone, which asks nobody."""
    fields = list(FIELDS)
    for place, value in changed.items():
        fields[int(place[1:])] = value
    packed: bytes = msgpack.packb(fields)
    return packed


def head(*fields: Any) -> bytes:
    """A spec that begins well, for what follows."""
    return b"\x9a" + b"".join(msgpack.packb(one) for one in fields)


def _random(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


SOUND: Final = spec()
EVIL_PICKLE: Final = pickle.dumps(ValueError("this was unpickled"))

SPECS: dict[str, bytes] = {
    **{
        f"{size} random bytes": _random(size, size)
        for size in (1, 2, 3, 7, 16, 33, 64, 255, 1_000, 4_096, 4_097, 70_000)
    },
    **{f"cut after {cut} bytes": SOUND[:cut] for cut in range(1, len(SOUND), 5)},
    "followed by a byte": SOUND + b"\0",
    "twice": SOUND + SOUND,
    "of zeros": bytes(100),
    "of ones": b"\xff" * 100,
    "never used byte": b"\xc1",
    "nil": b"\xc0",
    "an int": b"\x05",
    "a text": msgpack.packb("spec"),
    "a map": msgpack.packb({"1": 1}),
    "an empty array": b"\x90",
    "an array of 4 G": b"\xdd" + GIB4,
    "a map of 4 G": b"\xdf" + GIB4,
    "a text of 4 GB": b"\xdb" + GIB4,
    "bytes of 4 GB": b"\xc6" + GIB4,
    "an extension of 4 GB": b"\xc9" + GIB4 + b"\x01",
    "arguments of 4 G": head(*FIELDS[:8]) + b"\xdd" + GIB4,
    "keyword arguments of 4 G": head(*FIELDS[:9]) + b"\xdf" + GIB4,
    "an argument of 4 GB": head(*FIELDS[:8]) + b"\x91\xdb" + GIB4 + b"x" * 100 + b"\x80",
    "arrays of 4 G in each other": b"\xdd" + (GIB4 + b"\xdd") * 500,
    "maps of 64 k in each other": (b"\xde\xff\xff\xa1a") * 500,
    "100,000 levels": b"\x91" * 100_000 + b"\xc0",
    "100,000 levels of maps": b"\x81\xa1a" * 100_000 + b"\xc0",
    "arguments of 5,000 levels": head(*FIELDS[:8]) + b"\x91" * 5_000 + b"\xc0" + b"\x80",
    "tuples of 3,000 levels": head(*FIELDS[:8]) + b"\x91" + b"\x81\xc4\x00\x91" * 3_000 + b"\xc0" + b"\x80",
    "JSON": b'["2", "1800000000000", "0", "", "corpus:take", "m", "", "", [], {}]',
    "a pickle": EVIL_PICKLE,
    "compressed": zlib.compress(SOUND),
    "UTF-16": SOUND.decode("latin-1").encode("utf-16"),
    "a version of before": spec(f0="1"),
    "a later version": spec(f0="3"),
    "a version that is an int": spec(f0=1),
    "an empty version": spec(f0=""),
    "a version of nil": spec(f0=None),
    "nine fields": b"\x99" + b"".join(msgpack.packb(one) for one in FIELDS[:9]),
    "eleven fields": b"\x9b" + b"".join(msgpack.packb(one) for one in (*FIELDS, "more")),
    "an int as its time": spec(f1=NOW_MS),
    "a word as its time": spec(f1="soon"),
    "infinity as its time": spec(f2="inf"),
    "infinity as a float": spec(f2=float("inf")),
    "NaN as a float": spec(f1=float("nan")),
    "5,000 digits as its time": spec(f2="9" * 5_000),
    "other digits as its time": spec(f1="\u0661\u0662"),
    "no queue": spec(f3=""),
    "nil as its queue": spec(f3=None),
    "a list as its queue": spec(f3=["default"]),
    "an int as its function": spec(f4=5),
    "nil as its function": spec(f4=None),
    "no function": spec(f4=""),
    "an unknown function": spec(f4="no:such"),
    "an import as its function": spec(f4="__import__"),
    "10 kB as its function": spec(f4="x" * 10_000),
    "a function of bytes": spec(f4=b"corpus:take"),
    "invalid UTF-8 as its function": head(*FIELDS[:4]) + b"\xa2\xff\xfe" + b"".join(map(msgpack.packb, FIELDS[5:])),
    "an unknown kind": spec(f5="query"),
    "an int as its kind": spec(f5=5),
    "a list as its parent": spec(f6=["x"]),
    "a word as its parent": spec(f6="nobody"),
    "an int as its key": spec(f7=5),
    "a key that stands for another": spec(f7="somebody's"),
    "a map as its arguments": spec(f8={}),
    "a text as its arguments": spec(f8="ab"),
    "nil as its arguments": spec(f8=None),
    "three arguments": spec(f8=[1, 2, 3]),
    "an unexpected argument": spec(f9={"other": 1}),
    "the context as an argument": spec(f9={"ctx": 1}),
    "the same argument twice": spec(f8=[1], f9={"value": 2}),
    "a list as keyword arguments": spec(f9=[]),
    "int keys": spec(f9={1: 1}),
    "bytes keys": spec(f9={b"value": 1}),
    "a tuple as keyword arguments": spec(f9={b"": []}),
    "a half tuple": spec(f9={"value": {b"": [1], b"x": 2}}),
    "a tuple of no list": spec(f9={"value": {b"": 5}}),
    "an unknown extension": spec(f9={"value": msgpack.ExtType(42, b"x")}),
    "an int with needless bytes": spec(f9={"value": msgpack.ExtType(1, b"\0\0\0\x05")}),
    "an empty int": spec(f9={"value": msgpack.ExtType(1, b"")}),
    "a datetime of nonsense": spec(f9={"value": msgpack.ExtType(2, b"soon")}),
    "a naive datetime": spec(f9={"value": msgpack.ExtType(2, b"2030-01-01T00:00:00")}),
    "a datetime of a path": spec(f9={"value": msgpack.ExtType(2, b"2030-01-01T00:00:00+00:00[../../etc/passwd]")}),
    "the 30th of February": spec(f9={"value": msgpack.ExtType(3, b"2030-02-30")}),
    "a timedelta past all": spec(f9={"value": msgpack.ExtType(4, (2**100).to_bytes(13, "big"))}),
    "a UUID of 15 bytes": spec(f9={"value": msgpack.ExtType(5, b"x" * 15)}),
    "a Decimal of nonsense": spec(f9={"value": msgpack.ExtType(6, b"12..5")}),
    "a Decimal with a line": spec(f9={"value": msgpack.ExtType(6, b"1\n")}),
    "a Decimal of no ASCII": spec(f9={"value": msgpack.ExtType(6, b"\xd9\xa1")}),
    "a wrong number": spec(f4="corpus:typed", f9={"number": "many"}),
    "a number that is missing": spec(f4="corpus:typed"),
    "a number of 100 kB": spec(f4="corpus:typed", f9={"number": msgpack.ExtType(1, b"\x01" + bytes(100_000))}),
    "100,000 small things": head(*FIELDS[:8]) + b"\xdd\x00\x01\x86\xa0" + b"\xc0" * 100_000 + b"\x80",
    "8 MB of noise": _random(8, 8_000_000),
}
"""What the spec of a job becomes while it waits: the job ends, and says why."""

STATUSES: dict[str, Mapping[str, bytes]] = {
    "attempts of letters": {"attempts": b"many"},
    "attempts of nothing": {"attempts": b""},
    "attempts below zero": {"attempts": b"-5"},
    "attempts of 400 digits": {"attempts": b"9" * 400},
    "attempts of infinity": {"attempts": b"inf"},
    "attempts of NaN": {"attempts": b"nan"},
    "attempts of bytes": {"attempts": b"\xff\xfe"},
    "deaths of letters": {"deaths": b"many"},
    "a token of bytes": {"token": b"\xff\xfe"},
    "a token of 100 kB": {"token": b"x" * 100_000},
    "an entry that never was": {"entry": b"99999999999999-0"},
    "an entry of letters": {"entry": b"here"},
    "waiters of nonsense": {"waiters": b"\xff a  b\r\n"},
    "waiters of 1,000 mailboxes": {"waiters": b" ".join(b"m%d" % n for n in range(1_000))},
    "started of letters": {"started": b"soon"},
    "a worker of bytes": {"worker": b"\xff" * 100},
    "fields of nobody": {"frob": b"1", "\x00": b"2", "": b"3"},
    "a result before its time": {"result": b"\xc1"},
    "an error before its time": {"error": b"\xdd" + GIB4},
}
"""What is put into the status of a job while it waits: it runs all the same, or ends and says why."""

ENDED: dict[str, Mapping[str, bytes]] = {
    "a result of noise": {"result": _random(1, 50)},
    "a result of 4 GB": {"result": b"\xdb" + GIB4},
    "a result of 100,000 levels": {"result": b"\x91" * 100_000},
    "a result that is a pickle": {"result": EVIL_PICKLE},
    "a result of an unknown extension": {"result": msgpack.packb(msgpack.ExtType(99, b""))},
    "an error of noise": {"state": b"failed", "error": _random(2, 50)},
    "an error of four parts": {"state": b"failed", "error": msgpack.packb(["a", "b", "c", "d"])},
    "an error of ints": {"state": b"failed", "error": msgpack.packb([1, 2, 3])},
    "an error that is a text": {"state": b"failed", "error": msgpack.packb("abc")},
    "an error that is a map": {"state": b"failed", "error": msgpack.packb({"a": 1, "b": 2, "c": 3})},
    "an error of 4 G": {"state": b"failed", "error": b"\xdd" + GIB4},
    "no error": {"state": b"failed"},
    "an unknown state": {"state": b"gone"},
    "a state of bytes": {"state": b"\xff"},
    "an empty state": {"state": b""},
    "completed in letters": {"completed": b"soon"},
    "completed at infinity": {"completed": b"inf"},
    "completed in the year 30,000": {"completed": b"900000000000000"},
    "completed with 400 digits": {"completed": b"9" * 400},
    "started in letters": {"started": b"\xff"},
    "attempts in letters": {"attempts": b"1e3"},
}
"""What is put into the status of a job that has ended: it is shown as far as it can be, and hides no other."""


@dataclass(frozen=True)
class Entry:
    """A foreign entry of a ready stream."""

    fields: Mapping[bytes, bytes] = field(default_factory=dict)


ENTRIES: dict[str, Entry] = {
    "of somebody else": Entry({b"hello": b"world"}),
    "with an empty job": Entry({b"job": b""}),
    "of a job that never was": Entry({b"job": b"01JD6Q2M8XK0T9V4W5Y7Z3ABCD", b"token": b"t", b"attempt": b"1"}),
    "of a job of letters": Entry({b"job": b"nonsense"}),
    "of a job of bytes": Entry({b"job": b"\xff\xfe\x00", b"token": b"\xff", b"spec": b"\xff"}),
    "of a job with CRLF": Entry({b"job": b"a\r\nDEL x\r\n", b"token": b"t"}),
    "of a job of a path": Entry({b"job": b"../status:x", b"token": b"t"}),
    "of a job of 100 kB": Entry({b"job": b"x" * 100_000}),
    "with a spec alone": Entry({b"spec": SOUND}),
    "with a spec of noise": Entry({b"job": b"01JD6Q2M8XK0T9V4W5Y7Z3ABCE", b"spec": _random(3, 200)}),
    "with a spec of 1 MB": Entry({b"job": b"01JD6Q2M8XK0T9V4W5Y7Z3ABCF", b"spec": _random(4, 1_000_000)}),
    "with a good spec and no token": Entry({b"job": b"01JD6Q2M8XK0T9V4W5Y7Z3ABCG", b"spec": SOUND}),
    "with a spec of infinity": Entry({b"job": b"01JD6Q2M8XK0T9V4W5Y7Z3ABCH", b"spec": spec(f1=float("inf"))}),
    "of an action that never was": Entry(
        {b"job": b"01JD6Q2M8XK0T9V4W5Y7Z3ABCJ", b"token": b"t2", b"spec": spec(f4="corpus:probe_action")}
    ),
    **{
        f"with the attempt {attempt[:10]!r}": Entry(
            {b"job": b"01JD6Q2M8XK0T9V4W5Y7Z3ABC%d" % n, b"token": b"a%d" % n, b"attempt": attempt, b"spec": SOUND}
        )
        for n, attempt in enumerate((b"", b"many", b"-1", b"1.5", b"9" * 5_000, b"inf", b"\xb2", b"\xff"))
    },
    "with a poison of noise": Entry(
        {b"job": b"01JD6Q2M8XK0T9V4W5Y7Z3ABCK", b"token": b"t3", b"spec": SOUND, b"poison": _random(5, 30)}
    ),
    "of a thousand fields": Entry({b"f%d" % n: b"x" for n in range(1_000)}),
    "of binary names": Entry({b"\xff\x00": b"\x00", b"\r\n": b"\xff"}),
}
"""What is put into a ready stream: the worker passes over it, and the janitor takes it away."""

DUE: dict[str, tuple[bytes, str]] = {
    "of a job that never was": (b"01JD6Q2M8XK0T9V4W5Y7Z3ABCD", "0"),
    "of letters": (b"nonsense", "0"),
    "of bytes": (b"\xff\xfe\x00", "0"),
    "with CRLF": (b"a\r\nb", "0"),
    "of a path": (b"../job:x", "0"),
    "of 100 kB": (b"x" * 100_000, "0"),
    "of nothing": (b"", "0"),
    "at minus infinity": (b"minus infinity", "-inf"),
    "at minus 1e308": (b"minus 1e308", "-1e308"),
    "at half a millisecond": (b"half", "0.5"),
}
"""Members of a due set that are no jobs: they are dropped when their time has come."""

DOCUMENTS: dict[str, Mapping[str, bytes]] = {
    "data of noise": {"version": b"1-t", "created": b"1", "data": _random(6, 60)},
    "data of 4 GB": {"version": b"1-t", "created": b"1", "data": b"\xdf" + GIB4},
    "data of 100,000 levels": {"version": b"1-t", "created": b"1", "data": b"\x81\xa1a" * 100_000},
    "a list as data": {"version": b"1-t", "created": b"1", "data": msgpack.packb([1])},
    "nil as data": {"version": b"1-t", "created": b"1", "data": b"\xc0"},
    "a tuple as data": {"version": b"1-t", "created": b"1", "data": msgpack.packb({b"": [1]})},
    "a pickle as data": {"version": b"1-t", "created": b"1", "data": EVIL_PICKLE},
    "no data": {"version": b"1-t", "created": b"1"},
    "created in letters": {"version": b"1-t", "created": b"first", "data": b"\x80"},
    "created at infinity": {"version": b"1-t", "created": b"inf", "data": b"\x80"},
    "a version of bytes": {"version": b"\xff\xfe", "created": b"1", "data": b"\x80"},
}
"""What a document becomes: whoever reads it is told which one is damaged, and no other is."""

WRONG_TYPES: tuple[tuple[str, str], ...] = (
    ("due:default", "string"),
    ("due:default", "hash"),
    ("ready:default", "string"),
    ("ready:default", "list"),
    ("queues", "string"),
    ("running", "string"),
    ("done:success", "string"),
    ("done:failed", "list"),
    ("expiry", "string"),
    ("stats:corpus:take", "string"),
    ("settings", "string"),
    ("wake", "string"),
    ("promoter", "list"),
    ("succession", "string"),
    ("workers", "string"),
    ("functions", "string"),
    ("functions:seen", "string"),
    ("sequence", "list"),
    ("indexes", "string"),
    ("table:t", "string"),
    ("doc:t:one", "string"),
)
"""A key of the app, and the type that it is given."""

GARBAGE: dict[str, tuple[str, Callable[[str], tuple[Any, ...]]]] = {
    "settings of nonsense": ("settings", lambda key: ("HSET", key, "keep_ms", "soon", "keep_count", "many")),
    "settings of bytes": ("settings", lambda key: ("HSET", key, b"\xff", b"\xff", "keep_ms:corpus:take", b"\xff")),
    "a sequence of letters": ("sequence", lambda key: ("SET", key, "first")),
    "an index of nonsense": ("indexes", lambda key: ("HSET", key, b"\xff", b"\xff", "t:a", "soon", "", "")),
    "a queue of bytes": ("queues", lambda key: ("SADD", key, b"\xff\xfe", b"", b"a:b", b"x" * 10_000)),
    "functions of nonsense": (
        "functions",
        lambda key: ("HSET", key, b"\xff", b"\xff", "a", "{", "b", "[]", "c", "5", "d", '{"kind": 5}', "e", ""),
    ),
    "functions seen by nobody": ("functions:seen", lambda key: ("ZADD", key, "inf", b"\xff", "1e308", "f")),
    "stats of letters": ("stats:corpus:take", lambda key: ("HSET", key, "success", "many", b"\xff", b"\xff")),
    "a worker of nonsense": (
        "worker:nobody",
        lambda key: ("HSET", key, "pid", "x", "seen", "soon", "lease_ms", "inf", "reader", "first", b"\xff", b"\xff"),
    ),
    "a worker of the wrong type": ("worker:nobody", lambda key: ("SET", key, "noise")),
    "workers of nonsense": ("workers", lambda key: ("ZADD", key, "inf", b"\xff", "0.5", "nobody", "-inf", "somebody")),
    "wakes of nonsense": ("wake", lambda key: ("RPUSH", key, b"\xff", "", "x" * 10_000)),
    "running nobody": (
        "running",
        lambda key: ("ZADD", key, "0", b"\xff", "-inf", "nobody", "0.5", "01JD6Q2M8XK0T9V4W5Y7Z3ABCD"),
    ),
    "done that never was": (
        "done:success",
        lambda key: ("ZADD", key, "inf", b"\xff", "0", "nobody", "-inf", "x" * 10_000),
    ),
    "expiry of nobody": ("expiry", lambda key: ("ZADD", key, "-inf", b"\xff", "0.5", "nobody")),
    "a table of nobody": ("table:t", lambda key: ("ZADD", key, "inf", b"\xff", "0.5", "t:nobody", "1", "nonsense")),
    "a promoter of bytes": ("promoter", lambda key: ("SET", key, b"\xff" * 100, "PX", 500)),
}
"""Contents of the right type that nobody wrote: a command that plants them in a key."""

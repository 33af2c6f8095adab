"""Where jobs are: walks sets, streams and keys in bounded steps, and has each thing judged at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from scheduler.doctor.calls import Row, Surveyed, Verdict, examine, survey
from scheduler.doctor.findings import Finding, counted
from scheduler.job import FINAL
from scheduler.keys import Keys, kind_of
from scheduler.operations import Steps

PAGE: Final = 200
"""Things a call: a millisecond of the server."""

SCAN_COUNT: Final = 1_000
MOST: Final = 20_000
"""Members of a set or a stream that are looked at without --deep."""

MOST_KEYS: Final = 200_000
"""Keys of the server that are looked at without --deep."""

CODES: Final = {
    ("job", Verdict.SPEC): "spec-damaged",
    ("job", Verdict.STATUS): "status-damaged",
    ("job", Verdict.LOST): "job-lost",
    ("job", Verdict.UNWATCHED): "action-unwatched",
    ("job", Verdict.UNLISTED): "record-unlisted",
    ("job", Verdict.DANGLING): "member-dangling",
    ("job", Verdict.ORPHAN): "status-orphan",
    ("entry", Verdict.FOREIGN): "entry-foreign",
    ("entry", Verdict.STALE): "entry-stale",
    ("entry", Verdict.STRANDED): "entry-stranded",
    ("key", Verdict.ORPHAN): "key-orphan",
    ("queue", Verdict.GROUPLESS): "group-missing",
    ("member", Verdict.DANGLING): "member-dangling",
}
"""What a verdict is called."""

_SAID: Final[dict[str, tuple[str, ...]]] = {
    "spec-damaged": ("spec that cannot be read", "specs that cannot be read"),
    "status-damaged": ("status of another type", "statuses of another type"),
    "job-lost": ("job",),
    "action-unwatched": ("action",),
    "record-unlisted": ("record",),
    "member-dangling": ("member of a set", "members of sets"),
    "status-orphan": ("status", "statuses"),
    "entry-foreign": ("entry", "entries"),
    "entry-stale": ("entry", "entries"),
    "entry-stranded": ("entry", "entries"),
    "key-orphan": ("idempotency key",),
    "group-missing": ("queue",),
}


@dataclass
class Places:
    """What a walk has seen so far.

    Attributes:
        deep: Look at everything, however much there is.
        advance: Told how many more things were looked at.
        waiting: Functions that jobs wait for, and how many jobs.
        documents: Ids of documents that were seen among the keys.
        collections: Tables and indexes that were.
        told: Keys, named after the prefix, whose damage has been told already.
    """

    keys: Keys
    deep: bool = False
    advance: Callable[[int], None] = lambda _: None
    waiting: Counter[str] = field(default_factory=Counter)
    documents: list[str] = field(default_factory=list)
    collections: list[str] = field(default_factory=list)
    told: frozenset[str] = frozenset()
    unseen: list[str] = field(default_factory=list)
    found: dict[str, dict[Row, None]] = field(default_factory=dict)
    named: dict[str, dict[str, None]] = field(default_factory=dict)

    def findings(self) -> Iterator[Finding]:
        """All that was out of place."""
        for code, rows in self.found.items():
            names = tuple(dict.fromkeys(_name(row, code) for row in rows))
            yield Finding(code, counted(len(names), *_SAID[code]), names, tuple(rows))
        for code, keys in self.named.items():
            if keys:
                yield Finding(code, counted(len(keys), "key"), tuple(keys))
        if self.unseen:
            yield Finding("not-all-seen", "too much to look at all of it", tuple(self.unseen))

    def walk(self, queues: Sequence[str]) -> Steps[None]:
        """Sets and streams, then the keys, and then the tables and indexes among them."""
        for queue in queues:
            yield from self._walk_set(f"due:{queue}", counts=True)
            yield from self._walk_stream(queue)
        for name in ("running", "expiry", *(f"done:{state}" for state in FINAL)):
            yield from self._walk_set(name)
        yield from self._walk_keys()
        for name in dict.fromkeys(self.collections):
            yield from self._walk_set(name, "member")

    def examine(self, rows: Sequence[Row], *, counts: bool = False) -> Steps[None]:
        """Judge rows; `counts`: the functions of those that wait are counted."""
        for start in range(0, len(rows), PAGE):
            some = rows[start : start + PAGE]
            for row, one in zip(some, (yield examine(some)), strict=True):
                if one.verdict is not Verdict.OK:
                    self.found.setdefault(CODES[row.kind, one.verdict], {})[row] = None
                elif counts and one.function:
                    self.waiting[one.function] += 1
            self.advance(len(some))

    def _walk_set(self, name: str, kind: Literal["job", "member"] = "job", *, counts: bool = False) -> Steps[None]:
        cursor, seen = b"0", 0
        while True:
            cursor, flat = yield ("ZSCAN", self.keys.prefix + name, cursor, "COUNT", PAGE)
            members = [member.decode(errors="replace") if kind == "job" else member for member in flat[::2]]
            rows = [Row(kind, member, name) for member in members]
            yield from self.examine(rows, counts=counts)
            seen += len(rows)
            if cursor == b"0":
                return
            if seen >= MOST and not self.deep:
                self.unseen.append(name)
                return

    def _walk_stream(self, queue: str) -> Steps[None]:
        start, seen = "-", 0
        while True:
            entries = yield ("XRANGE", self.keys.ready(queue), start, "+", "COUNT", PAGE)
            yield from self.examine([Row("entry", queue, entry.decode()) for entry, _ in entries])
            fields = [dict(zip(flat[::2], flat[1::2], strict=True)) for _, flat in entries]
            jobs = [one[b"job"].decode(errors="replace") for one in fields if b"job" in one]
            yield from self.examine([Row("job", job_id) for job_id in jobs], counts=True)
            seen += len(entries)
            if len(entries) < PAGE:
                return
            if seen >= MOST and not self.deep:
                self.unseen.append(f"ready:{queue}")
                return
            start = f"({entries[-1][0].decode()}"

    def _walk_keys(self) -> Steps[None]:
        cursor, seen = b"0", 0
        pattern = self.keys.prefix.replace("[", r"\[") + "*"
        while True:
            cursor, found = yield ("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
            names = [key.decode(errors="replace").removeprefix(self.keys.prefix) for key in found]
            foreign = [name for name in names if "\N{REPLACEMENT CHARACTER}" in name]  # not even text
            self.named.setdefault("key-foreign", {}).update(dict.fromkeys(foreign))
            for start in range(0, len(names), PAGE):
                yield from self._judge_keys(names[start : start + PAGE])
            seen += SCAN_COUNT
            if cursor == b"0":
                return
            if seen >= MOST_KEYS and not self.deep:
                self.unseen.append("keys")
                return

    def _judge_keys(self, names: Sequence[str]) -> Steps[None]:
        types: dict[str, str] = {}
        for name, surveyed in zip(names, (yield survey(names)), strict=True):
            self._judge_kind(name, surveyed)
            types[name] = surveyed.type
        rows = []
        for name in names:
            head, _, rest = name.partition(":")
            if head in ("job", "status"):
                rows.append(Row("job", rest))
            elif head == "key":
                rows.append(Row("key", rest))
            elif head == "doc":
                self.documents.append(rest)
            elif head in ("table", "index") and types[name] == "zset":
                self.collections.append(name)
        yield from self.examine(rows)

    def _judge_kind(self, name: str, surveyed: Surveyed) -> None:
        """What the judges of jobs cannot see: names that nobody writes, wrong types, lives without an end."""
        kind = kind_of(name)
        if surveyed.type == "none":
            return
        if kind is None:
            code = "key-foreign"
        elif surveyed.type != kind.type:
            code = "" if name.startswith(("job:", "status:")) or name in self.told else "key-damaged"
        else:
            code = "key-endless" if kind.ends and surveyed.life_ms == -1 else ""
        if code:
            self.named.setdefault(code, {})[name] = None


def _name(row: Row, code: str) -> str:
    """What a person calls it; a job is one thing in however many places it was met, but for what only stands there."""
    if row.kind == "job":
        return f"{row.shown} in {row.at}" if row.at and code == "member-dangling" else row.shown
    if row.kind == "member":
        return f"{row.shown} in {row.at}"
    return f"{row.at} in {row.shown}" if row.at else row.shown

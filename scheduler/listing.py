"""Listing jobs: pages over the keys that hold them, filtered, in bounded steps (C5.4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from scheduler import due, transitions
from scheduler.errors import InvalidOption
from scheduler.job import FINAL, CancelOutcome, Job, JobState
from scheduler.keyring import Keyring
from scheduler.keys import Keys
from scheduler.operations import Steps
from scheduler.settings import check_name, check_queue

_STREAM_PLACE = re.compile(r"(?:[0-9]{1,20}-[0-9]{1,20})?")
_SET_PLACE = re.compile(r"(?:(-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf))~([0-9]{1,9})~(.*))?", re.DOTALL)

_CURSOR = re.compile(r"([0-9]{1,16})@([^/]*)/(.*)", re.DOTALL)

SCAN = 200
MOST_SCANNED = 2_000
MOST_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are meant; None means any.

    `before` and `after` bound the time a state is listed by: the requested time of pending jobs and of those in
    progress,
    the completion time of the others. Epoch ms, `after` inclusive, `before` exclusive.
    """

    state: JobState | None = None
    function: str | None = None
    queue: str | None = None
    before: int | None = None
    after: int | None = None

    @classmethod
    def of(
        cls,
        state: JobState | str | None = None,
        function: object = None,
        queue: str | None = None,
        before: due.Timestamp | None = None,
        after: due.Timestamp | None = None,
    ) -> JobFilter:
        """Check what a caller gave.

        Raises:
            InvalidOption, InvalidTimestamp: Naming what is wrong.
        """
        try:
            chosen = None if state is None else JobState(state)
        except ValueError:
            raise InvalidOption(f"state: expected one of {', '.join(JobState)}, got {state!r}") from None
        name = getattr(function, "name", function)
        return cls(
            chosen,
            None if name is None else check_name(name),
            None if queue is None else check_queue(queue),
            None if before is None else int(due.check_timestamp(before)),
            None if after is None else int(due.check_timestamp(after)),
        )

    @property
    def only_state(self) -> bool:
        """Whether the keys alone can count it."""
        return self.function is None and self.queue is None and self.before is None and self.after is None

    def matches(self, job: Job) -> bool:
        if self.state is not None and job.state is not self.state:
            return False
        if self.function is not None and job.name != self.function:
            return False
        if self.queue is not None and job.queue != self.queue:
            return False
        time_ms = job.completed_time if job.completed_time is not None else job.scheduled_time
        return (self.before is None or time_ms < self.before) and (self.after is None or time_ms >= self.after)


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, and where to go on (None: that was all). A page can be empty and yet not the last.

    Pages that go on from one another hold no job twice: what moves on meanwhile (a pending job ends, say) is not listed
    again where it has come to, also if it had not been listed where it was.
    """

    jobs: list[Job]
    cursor: str | None


class _Moved(Enum):
    """What tells when a job came to a key: the entry's id, the time of its retry, of its start, of its end."""

    ENTRY = auto()
    RETRIED = auto()
    STARTED = auto()
    COMPLETED = auto()


@dataclass(frozen=True, slots=True)
class _Source:
    """One key that holds ids: a sorted set read by score, or a stream. `moved` is what tells when a job came to it."""

    key: str
    moved: _Moved
    newest_first: bool = False

    @property
    def stream(self) -> bool:
        return self.moved is _Moved.ENTRY


@dataclass(frozen=True, slots=True)
class _Cursor:
    """When the walk began, in ms of Redis time, the number of the source and the place in it."""

    since_ms: int
    at: int
    place: str


def list_jobs(
    keys: Keys, wanted: JobFilter, limit: int = 100, cursor: str | None = None, keyring: Keyring | None = None
) -> Steps[JobPage]:
    """One page: pending jobs first (ready, then by due time), then those in progress, then ended ones, newest first.

    Raises:
        InvalidOption: `limit` is not 1 to 1,000, or `cursor` is not one that a page returned.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_LIMIT:
        raise InvalidOption(f"limit: expected 1 to {MOST_LIMIT}, got {limit!r}")
    sources = yield from _sources(keys, wanted)
    names = [source.key.removeprefix(keys.prefix) for source in sources]
    start = (yield from _first()) if cursor is None else _read_cursor(cursor, names)
    at, place = start.at, start.place
    jobs: list[Job] = []
    scanned = 0
    while at < len(sources) and scanned < MOST_SCANNED and len(jobs) < limit:
        ids, places, more = yield from _scan(sources[at], place)
        found = yield transitions.show(ids, keyring)
        scanned += max(1, len(ids))
        for job, next_place in zip(found, places, strict=True):
            place = next_place
            if job is None or not wanted.matches(job):
                continue
            if not (yield from _has_moved(keys, sources[at], job, place, start.since_ms)):
                jobs.append(job)
                if len(jobs) == limit:
                    break
        else:
            if not more:
                at, place = at + 1, ""
    return JobPage(jobs, f"{start.since_ms}@{names[at]}/{place}" if at < len(sources) else None)


def _first() -> Steps[_Cursor]:
    """The beginning of a walk."""
    seconds, micros = yield ("TIME",)
    return _Cursor(int(seconds) * 1000 + int(micros) // 1000, 0, "")


def _has_moved(keys: Keys, source: _Source, job: Job, place: str, since_ms: int) -> Steps[bool]:
    """Whether a job came to where it was found after the walk began: it may have been listed where it was before."""
    match source.moved:
        case _Moved.ENTRY:
            moved_ms: int | None = int(place.partition("-")[0])
        case _Moved.RETRIED if job.attempts == 0:
            moved_ms = None
        case _Moved.RETRIED:
            found = yield ("HGET", keys.status(job.id), "retried")
            moved_ms = int(found) if found is not None and found.isdigit() else None
        case _Moved.STARTED:
            moved_ms = job.started_time
        case _Moved.COMPLETED:
            moved_ms = job.completed_time
    # Equal is before: the first look may come within the ms in which a job ended.
    return moved_ms is not None and moved_ms > since_ms


def count_jobs(keys: Keys, wanted: JobFilter) -> Steps[int]:
    """How many jobs match: from the sizes of the keys where only a state is asked for, else by walking the pages."""
    if wanted.only_state:
        counts: dict[JobState, int] = yield transitions.count()
        return sum(counts.values()) if wanted.state is None else counts[wanted.state]
    total = 0
    cursor: str | None = None
    while True:
        page = yield from list_jobs(keys, wanted, MOST_LIMIT, cursor)
        total += len(page.jobs)
        cursor = page.cursor
        if cursor is None:
            return total


def cancel_all(keys: Keys, wanted: JobFilter) -> Steps[int]:
    """Cancel all that match and have not ended, a page at a time, until a whole walk finds none (C4.4)."""
    canceled = 0
    for state in (JobState.PENDING, JobState.IN_PROGRESS):
        chosen = JobFilter(state, wanted.function, wanted.queue, wanted.before, wanted.after)
        found = True
        while found:
            found = False
            cursor: str | None = None
            more = True
            while more:
                page = yield from list_jobs(keys, chosen, SCAN, cursor)
                cursor = page.cursor
                more = cursor is not None
                if page.jobs:
                    outcomes = yield transitions.cancel([job.id for job in page.jobs])
                    hits = sum(outcome in (CancelOutcome.CANCELED, CancelOutcome.RUNNING) for outcome in outcomes)
                    canceled += hits
                    found = found or hits > 0
    return canceled


def _sources(keys: Keys, wanted: JobFilter) -> Steps[list[_Source]]:
    names = sorted(name.decode(errors="replace") for name in (yield ("SMEMBERS", keys.queues)))
    queues = [name for name in names if wanted.queue in (None, name)]
    states = list(JobState) if wanted.state is None else [wanted.state]
    sources: list[_Source] = []
    if JobState.PENDING in states:
        sources += [_Source(keys.ready(queue), _Moved.ENTRY) for queue in queues]
        sources += [_Source(keys.due(queue), _Moved.RETRIED) for queue in queues]
    if JobState.IN_PROGRESS in states:
        sources.append(_Source(keys.running, _Moved.STARTED))
    ended = [state for state in FINAL if state in states]
    return sources + [_Source(keys.done(state), _Moved.COMPLETED, newest_first=True) for state in ended]


def _scan(source: _Source, place: str) -> Steps[tuple[list[str], list[str], bool]]:
    """The next ids of a source, for each the place behind it, and whether there may be more."""
    form = _STREAM_PLACE if source.stream else _SET_PLACE
    parts = form.fullmatch(place)
    if parts is None:
        raise InvalidOption(f"cursor: not one that this list returned: {place[:60]!r}")
    if source.stream:
        reply = yield ("XRANGE", source.key, f"({place}" if place else "-", "+", "COUNT", SCAN)
        fields = [dict(zip(entry[1][::2], entry[1][1::2], strict=True)) for entry in reply]
        ids = [f.get(b"job", b"").decode(errors="replace") for f in fields]
        return ids, [entry[0].decode() for entry in reply], len(reply) == SCAN
    # A place is the last job seen, its score, and how many of that score came before it or are it. Jobs come and go
    # between two pages: where that job is not found again, its equals are walked from the first.
    score, seen, last = (parts[1], int(parts[2]), parts[3]) if place else ("", 0, "")
    offset = max(0, seen - 1)
    rows = yield from _rows(source, score, offset)
    if offset > 0 and rows[:1] != [(last, score)]:
        offset, rows = 0, (yield from _rows(source, score, 0))
    while True:
        places = _places(rows, score, offset)
        new = [at for at, row in enumerate(rows) if row[1] != score or _is_behind(row[0], last, source.newest_first)]
        if new or len(rows) < SCAN:
            return [rows[at][0] for at in new], [places[at] for at in new], len(rows) == SCAN
        offset += SCAN
        rows = yield from _rows(source, score, offset)


def _is_behind(job_id: str, last: str, newest_first: bool) -> bool:
    return job_id < last if newest_first else job_id > last


def _rows(source: _Source, score: str, offset: int) -> Steps[list[tuple[str, str]]]:
    """(id, score) from the `offset`-th of a score on ('': from the first of all)."""
    order = (score or "+inf", "-inf", "BYSCORE", "REV") if source.newest_first else (score or "-inf", "+inf", "BYSCORE")
    reply = yield ("ZRANGE", source.key, *order, "LIMIT", offset, SCAN, "WITHSCORES")
    # RESP2 is flat and has scores as text, RESP3 has pairs and numbers.
    pairs = reply if reply and isinstance(reply[0], list | tuple) else zip(reply[::2], reply[1::2], strict=True)
    return [(job_id.decode(errors="replace"), f"{float(found):.17g}") for job_id, found in pairs]


def _places(rows: Sequence[tuple[str, str]], last: str, seen: int) -> list[str]:
    places = []
    for job_id, score in rows:
        seen = seen + 1 if score == last else 1
        last = score
        places.append(f"{score}~{seen}~{job_id}")
    return places


def _read_cursor(cursor: str, sources: Sequence[str]) -> _Cursor:
    """The cursor names the key: queues may have come since."""
    parts = _CURSOR.fullmatch(str(cursor))
    if parts is None or parts[2] not in sources:
        raise InvalidOption(f"cursor: not one that this list returned: {str(cursor)[:60]!r}")
    return _Cursor(int(parts[1]), sources.index(parts[2]), parts[3])

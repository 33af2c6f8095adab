"""What the product does, in plain Python: the specification of every transition that changes a job.

Each job of a call is taken after the other, and each transition says what the script answers. Times are epoch ms.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from scheduler import transitions
from scheduler.call import Request
from scheduler.job import CancelOutcome
from scheduler.script_call import Word
from scheduler.transitions import Commit, Expired, Finish, Lead, Redelivered, Retry, Seal
from scheduler.versions import Document
from tests.properties.data import Data

WEEK_MS = 7 * 24 * 3600 * 1000
TOMBSTONE_MS = 10 * 60 * 1000
MOST_AT_ONCE, MOST_STRAIGHT = 100, 500
FINAL = ("success", "failed", "canceled")

Due = tuple[str, int]
"""A queue, and when a job of it is due."""


@dataclass(eq=False)
class Entry:
    """One delivery in a ready stream. Its id and token are made elsewhere and learnt from the data set.

    `poison` is the error of a sealed job past the cap of deaths.
    """

    job: Job
    attempt: int
    poison: bytes = b""
    holder: str = ""
    lost: bool = False
    id: str = ""
    token: str = ""


@dataclass(eq=False)
class Job:
    """`state` is None while it is pending, `entry` the delivery that counts (its token stays to the end)."""

    asked: Request
    created: int
    scheduled: int
    state: str | None = None
    due: int | None = None
    entry: Entry | None = None
    has_record: bool = True
    expires: int | None = None
    fields: dict[str, int | str | bytes] = field(default_factory=dict)
    waiters: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.asked.id


def dues_of(job: Job) -> list[Due]:
    """When a new job waits for, if it does."""
    return [] if job.due is None else [(job.asked.queue, job.due)]


@dataclass
class Model:
    """One app."""

    queues: Sequence[str]
    settings: dict[str, int]
    jobs: dict[str, Job] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    streams: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    running: dict[str, int] = field(default_factory=dict)
    data: Data = field(default_factory=Data)
    applied: set[str] = field(default_factory=set)
    stats: Counter[tuple[str, str]] = field(default_factory=Counter)
    mail: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    workers: dict[str, dict[str, int | str]] = field(default_factory=dict)
    promoter: str = ""
    wake: bool = False
    successions: int = 0

    # How jobs come, wait, are delivered and end

    def due(self, queue: str) -> list[tuple[int, str]]:
        """What waits, in order: by due time, ties in order of scheduling (C3.7)."""
        waiting = [job for job in self.jobs.values() if job.due is not None and job.asked.queue == queue]
        return sorted((job.due or 0, job.id) for job in waiting)

    def heads(self) -> dict[str, int]:
        return {queue: self.due(queue)[0][0] for queue in self.queues if self.due(queue)}

    def create(self, asked: Request, now: int) -> Job:
        job = Job(asked, now, now + asked.ms if asked.mode == "after" else asked.ms)
        parent = self.jobs.get(asked.parent)
        self.jobs[job.id] = job
        if asked.key:
            self.keys[asked.key] = job.id
        if asked.born or (parent and parent.state == "canceled"):
            self.end(job, "canceled", now)  # C4.2
        else:
            job.due = max(job.scheduled, now)  # C2.4: it does not jump ahead
        return job

    def promote_queue(self, queue: str, limit: int) -> None:
        for _, job_id in self.due(queue)[:limit]:
            job = self.jobs[job_id]
            self.deliver(job, int(job.fields.get("attempts", 0)) + 1)

    def settle(self, added: Iterable[Due], heads: dict[str, int], now: int) -> None:
        """What is due goes on at once (C2.2), and a new earliest job wakes the promoter (C7.3)."""
        dues = list(added)
        for queue in self.queues:
            soon = sum(1 for of, due in dues if of == queue and due <= now)
            later = [due for of, due in dues if of == queue and due > now]
            most = MOST_AT_ONCE if heads.get(queue, now + 1) <= now else MOST_STRAIGHT
            self.promote_queue(queue, len([due for due, _ in self.due(queue)[: min(soon, most)] if due <= now]))
            self.wake |= soon > most or (bool(later) and min(later) < heads.get(queue, min(later) + 1))

    def deliver(self, job: Job, attempt: int, poison: bytes = b"") -> None:
        job.due, job.entry = None, Entry(job, attempt, poison)
        self.streams[job.asked.queue].append(job.entry)

    def drop(self, job: Job) -> None:
        """Its entry leaves the stream, whoever holds it."""
        stream = self.streams[job.asked.queue]
        if job.entry in stream:
            stream.remove(job.entry)

    def end(self, job: Job, state: str, now: int, **fields: int | str | bytes) -> None:
        """The one way into a final state (C5.1)."""
        self.drop(job)
        self.running.pop(job.id, None)
        job.state, job.due = state, None
        job.fields |= {"completed": now, **fields}
        own = self.settings.get(f"keep_ms:{job.asked.name}")
        if (self.settings.get("keep_ms", WEEK_MS) if own is None else own) > 0:
            job.expires = None if own is None else now + own
        else:  # only a tombstone (C5.3)
            job.has_record = False
            job.fields = {name: value for name, value in job.fields.items() if name not in ("result", "error")}
            self.keys.pop(job.asked.key, None)
        self.stats[job.asked.name, state] += 1
        for mailbox in job.waiters:
            self.mail[mailbox].append(job.id)
        job.waiters = []

    def holder_of(self, delivery: transitions.Delivery) -> Job | None:
        """The job, if this delivery is the one that counts: the fence."""
        job = self.jobs.get(delivery.job_id)
        return job if job and job.entry and job.entry.token == delivery.token else None

    # The transitions

    def schedule(self, requests: Sequence[Request], now: int) -> list[tuple[Word, str]]:
        words: list[tuple[Word, str]] = []
        heads, added, taken = self.heads(), list[Due](), dict[str, str]()
        for asked in requests:
            holder = taken.get(asked.key) or self.keys.get(asked.key)
            if asked.id in self.jobs:
                words.append((Word.EXISTS, asked.id))
            elif asked.key and holder:
                words.append((Word.KEY, holder))
            else:
                added += dues_of(self.create(asked, now))
                words.append((Word.OK, asked.id))
                taken[asked.key] = asked.id
        self.settle(added, heads, now)
        return words

    def promote(self, name: str, limit: int, now: int) -> Lead | None:
        """None: another one leads."""
        if self.promoter not in ("", name):
            return None
        self.promoter = name
        moved, share = 0, max(1, limit // len(self.queues))
        for queue in self.queues:
            count = len([due for due, _ in self.due(queue)[:share] if due <= now])
            self.promote_queue(queue, count)
            moved += count
        return Lead(True, moved, min(self.heads().values(), default=None), now)

    def claim(self, queue: str, worker: str, count: int) -> list[Entry]:
        fresh = [entry for entry in self.streams[queue] if not entry.holder][:count]
        for entry in fresh:
            entry.holder = worker
        return fresh

    def begin(self, deliveries: Sequence[transitions.Delivery], worker: str, lease_ms: int, now: int) -> list[Word]:
        return [self._begin(delivery, worker, lease_ms, now) for delivery in deliveries]

    def _begin(self, delivery: transitions.Delivery, worker: str, lease_ms: int, now: int) -> Word:
        job = self.holder_of(delivery)
        if job and job.state == "inProgress" and job.fields["worker"] == worker:
            return Word.ALREADY
        if not job or job.state or "sealed" in job.fields:
            return Word.LOST
        self.drop(job)
        job.state = "inProgress"
        job.fields |= {"started": now, "worker": worker, "attempts": delivery.attempt}
        self.running[job.id] = now + lease_ms
        return Word.OK

    def revert(self, deliveries: Sequence[transitions.Delivery], worker: str, delay_ms: int, now: int) -> list[Word]:
        heads, added, words = self.heads(), list[Due](), list[Word]()
        for delivery in deliveries:
            job = self.holder_of(delivery)
            if not job or job.state not in (None, "inProgress") or (job.state and job.fields["worker"] != worker):
                words.append(Word.LOST)
                continue
            words.append(Word.OK)
            self.drop(job)
            self.running.pop(job.id, None)
            kept = {name: value for name, value in job.fields.items() if name not in ("started", "worker", "deaths")}
            job.fields = kept | {"attempts": delivery.attempt - 1, "retried": now}  # it was not started
            job.state, job.entry, job.due = None, None, now + delay_ms
            added += dues_of(job)
        self.settle(added, heads, now)
        return words

    def finish(self, finishes: Sequence[Finish], now: int) -> list[Word]:
        return [self._finish(one, now) for one in finishes]

    def _finish(self, one: Finish, now: int) -> Word:
        job = self.holder_of(one.delivery)
        if not job:
            return Word.LOST
        if job.state != "inProgress":
            return Word.ALREADY
        self.end(job, one.state, now, **_outcome(one.state, one.value))
        return Word.OK

    def commit(self, commits: Sequence[Commit], worker: str, now: int) -> list[Word]:
        heads, added = self.heads(), list[Due]()
        words = [self._commit(one, worker, now, added) for one in commits]
        self.settle(added, heads, now)
        return words

    def _commit(self, one: Commit, worker: str, now: int, added: list[Due]) -> Word:
        word, job = self._check(one), self.holder_of(one.delivery)
        if word is not Word.OK:
            return word
        self.data.write(one)
        targets = [job_id for job_id in one.cancels if job_id in self.jobs and job_id != one.delivery.job_id]
        for child in one.children:
            added += dues_of(self.create(child, now))
        for target in targets:
            self._cancel(target, now)
        if job:
            job.fields |= {"started": now - one.elapsed_ms, "worker": worker, "attempts": one.delivery.attempt}
            job.fields.pop("sealed", None)
            self.end(job, one.state, now, **_outcome(one.state, one.value))
            self.stats[one.name, "conflicts"] += one.conflicts
        else:
            self.applied.add(one.delivery.token)
        return Word.OK

    def _check(self, one: Commit) -> Word:
        job = self.holder_of(one.delivery)
        at_once = one.delivery.job_id == ""
        if not job and not at_once:
            return Word.LOST
        if (job and job.state) or (at_once and one.delivery.token in self.applied):
            return Word.ALREADY
        if job and job.fields.get("sealed", one.delivery.token) != one.delivery.token:
            return Word.SEALED  # C6.4: only who has asked SQL may end it
        if not self.holds(one.reads) or not self.data.holds(one.scans):
            return Word.CONFLICT
        return Word.STALE if one.writes and one.catalog != self.data.catalog else Word.OK

    def look_at(self, kind: str, key: str) -> Document:
        """What a mutation reads; its version is '' where it is absent (C6.2)."""
        if kind == "doc":
            return self.data.get(key)
        return Document(key, self._version(kind, key), 0, b"")

    def holds(self, reads: Iterable[tuple[str, str, str]]) -> bool:
        return all(self.look_at(kind, key).version == seen for kind, key, seen in reads)

    def _version(self, kind: str, key: str) -> str:
        if kind == "key":
            return self.keys.get(key, "")
        job = self.jobs.get(key)
        return "" if not job else job.state or ("sealed" if "sealed" in job.fields else "pending")

    def seal(self, seals: Sequence[Seal]) -> list[Word]:
        """All are looked at first, but a job that this call seals is no longer what was read of it."""
        words, sealing = list[Word](), set[str]()
        for one in seals:
            job, token = self.holder_of(one.delivery), one.delivery.token
            held = self.holds(one.reads) and not any(kind == "job" and key in sealing for kind, key, _ in one.reads)
            if not job or job.state:
                words.append(Word.LOST)
            elif job.fields.get("sealed") == token:
                words.append(Word.ALREADY)
            else:
                words.append(Word.OK if held else Word.CONFLICT)
                sealing |= {job.id} if held else set()
        for one in seals:
            if one.delivery.job_id in sealing:
                self.jobs[one.delivery.job_id].fields["sealed"] = one.delivery.token
        return words

    def cancel(self, job_ids: Sequence[str], nonce: str, now: int) -> list[CancelOutcome]:
        """The same call again says the same, a job that it names twice has ended the second time (C4.1)."""
        return [
            CancelOutcome.FINISHED if at != job_ids.index(job_id) and job_id in self.jobs else
            self._said(job_id, nonce) or self._cancel(job_id, now, withdrawn=nonce)
            for at, job_id in enumerate(job_ids)
        ]  # fmt: skip

    def _said(self, job_id: str, nonce: str) -> CancelOutcome | None:
        job = self.jobs.get(job_id)
        if not job or job.fields.get("withdrawn") != nonce:
            return None
        return CancelOutcome.RUNNING if "started" in job.fields else CancelOutcome.CANCELED

    def _cancel(self, job_id: str, now: int, **fields: str) -> CancelOutcome:
        job = self.jobs.get(job_id)
        if not job:
            return CancelOutcome.UNKNOWN
        if job.state in FINAL or "sealed" in job.fields:
            return CancelOutcome.FINISHED  # C4: sealed, its SQL may have committed
        outcome = CancelOutcome.RUNNING if job.state else CancelOutcome.CANCELED
        self.end(job, "canceled", now, **fields)
        job.entry = None  # whoever holds it has lost it
        return outcome

    def retry(self, retries: Sequence[Retry], worker: str, cap: int, now: int) -> list[Word]:
        heads, added, words = self.heads(), list[Due](), list[Word]()
        for one in retries:
            job = self.holder_of(one.delivery)
            if not job or job.state:
                words.append(Word.LOST)
                continue
            self.drop(job)
            job.fields["attempts"] = one.attempts
            deaths = int(job.fields.pop("deaths", 0)) + 1 if one.death else 0
            fails = bool(one.death) and deaths >= cap and "sealed" not in job.fields  # C3.4
            words.append(Word.FAILED if fails else Word.OK)
            if one.death:
                job.fields |= {"deaths": deaths, "died": _died(job, now, worker)}
            else:
                job.fields.pop("deaths", None)  # its worker lived to tell
            self.stats[one.name, "conflicts"] += one.conflicts
            if one.unseal:
                job.fields.pop("sealed", None)
            delay_ms = one.delay_ms
            if one.share is not None:  # C3.3: later each time that it has not passed
                job.fields["passes"] = int(job.fields.get("passes", 0)) + 1
                delay_ms = max(1, min(500 << int(job.fields["passes"]) - 1, 7_200_000) * one.share // 1_000_000)
            if fails:
                self.end(job, "failed", now, error=one.death)
                job.entry = None
            elif delay_ms:
                job.entry, job.due = None, now + delay_ms
                job.fields["retried"] = now
                added += dues_of(job)
            else:
                self.deliver(job, one.attempts + 1)
        self.settle(added, heads, now)
        return words

    def redeliver(self, cap: int, limit: int, error: bytes, now: int) -> Redelivered:
        redelivered = failed = 0
        heads, added = self.heads(), list[Due]()
        found = {q: [entry for entry in self.streams[q] if entry.lost][:limit] for q in self.queues}
        for entry in (entry for queue in self.queues for entry in found[queue]):
            job = entry.job
            self.drop(job)
            deaths = int(job.fields.get("deaths", 0)) + 1
            job.fields |= {"attempts": entry.attempt, "deaths": deaths, "died": _died(job, now, entry.holder)}
            if deaths >= cap and "sealed" not in job.fields:  # C3.4
                self.end(job, "failed", now, error=error)
                job.entry = None
                failed += 1
            elif 1 < deaths < cap:
                job.entry, job.due = None, now + _pause_ms(job.id, deaths)
                job.fields["retried"] = now
                added += dues_of(job)
                redelivered += 1
            else:
                self.deliver(job, entry.attempt + 1, error if deaths >= cap else b"")
                redelivered += 1
        self.settle(added, heads, now)
        held = sum(1 for stream in self.streams.values() for entry in stream if entry.holder)
        return Redelivered(redelivered, failed, held, any(len(some) == limit for some in found.values()))

    def expire(self, limit: int, error: bytes, now: int) -> Expired:
        """An action whose lease has ended is failed, and never run again (C3.5)."""
        ended = sorted((end, job_id) for job_id, end in self.running.items() if end <= now)[:limit]
        for _, job_id in ended:
            job = self.jobs[job_id]
            self.end(job, "failed", now, error=error, died=_died(job, now, str(job.fields["worker"])))
            job.entry = None
        left = min(self.running.values(), default=None)
        return Expired(len(ended), None if left is None else max(0, left - now))

    def prune(self, limit: int, now: int) -> tuple[int, bool]:
        """By age, then the oldest past the most (C5.3); a tombstone stays for the rest of ten minutes (C2.10)."""
        done = [job for job in self.jobs.values() if job.state in FINAL and job.has_record]
        apart = [(job.expires, job.id, job) for job in done if job.expires is not None and job.expires <= now]
        gone = [job for _, _, job in sorted(apart)][:limit]
        till = now - self.settings.get("keep_ms", WEEK_MS)
        old = [job for job in done if job.expires is None and int(job.fields["completed"]) <= till]
        gone += sorted(old, key=lambda job: (FINAL.index(job.state or ""), *_by_age(job)))[: limit - len(gone)]
        excess = max(0, len(done) - len(gone) - self.settings.get("keep_count", 100_000))
        rest = sorted((job for job in done if job not in gone), key=_by_age)
        gone += rest[: min(excess, limit - len(gone))]
        for job in gone:
            if self.keys.get(job.asked.key) == job.id:
                del self.keys[job.asked.key]
            if now - int(job.fields["completed"]) < TOMBSTONE_MS:
                job.has_record, job.expires, job.fields, job.entry = False, None, {}, None
            else:
                del self.jobs[job.id]
        return len(gone), len(gone) == limit

    def renew(
        self, worker: str, lease_ms: int, actions: dict[str, str], entries: dict[str, list[str]], now: int
    ) -> transitions.Renewed:
        lost, canceled = list[str](), list[str]()
        for job_id, token in actions.items():
            job = self.jobs.get(job_id)
            if job and job.state == "inProgress" and job.entry and job.entry.token == token:
                self.running[job_id] = now + lease_ms
            else:
                (canceled if job and job.state == "canceled" else lost).append(job_id)
        held = dict[str, set[str]]()
        for queue, ids in entries.items():
            still = [entry for entry in self.streams[queue] if entry.id in ids]
            held[queue] = {entry.id for entry in still}
            for entry in still:
                entry.lost = False
        self.workers[worker] = {**self.workers.get(worker, {}), "seen": now, "running": len(actions), "reader": "17"}
        return transitions.Renewed(now, lost, canceled, held)

    def sustain(self, worker: str, lease_ms: int, age_ms: int, seen: dict[str, str], now: int) -> tuple[int, int]:
        """What the worker had in hand, up to the last entry that it has seen."""
        if worker not in self.workers:
            return 0, 0
        self.workers[worker]["seen"] = now
        actions = [job_id for job_id, end in self.running.items() if end <= now + lease_ms - age_ms]
        mine = [job_id for job_id in actions if self.jobs[job_id].fields["worker"] == worker]
        self.running |= dict.fromkeys(mine, now + lease_ms)
        entries = [e for q in seen for e in self.streams[q] if e.holder == worker and e.lost and _not_after(e, seen[q])]
        for entry in entries:
            entry.lost = False
        return len(entries), len(mine)

    def join(self, worker: str, fields: dict[str, int | str], now: int) -> int:
        self.workers[worker] = {**self.workers.get(worker, {}), "seen": now, **fields}
        return now

    def leave(self, worker: str, promoter: str) -> int:
        """What it holds is given back at once; that is neither a start nor a death."""
        held = [entry for queue in self.queues for entry in self.streams[queue] if entry.holder == worker]
        for entry in held:
            self.drop(entry.job)
            self.deliver(entry.job, entry.attempt, entry.poison)
        self.workers.pop(worker, None)
        if self.promoter == promoter:
            self.promoter = ""
            self.successions += 1
        return len(held)

    def sweep(self, silent_ms: int, limit: int, now: int) -> int:
        silent = sorted((int(fields["seen"]), name) for name, fields in self.workers.items())
        gone = [name for seen, name in silent if seen <= now - silent_ms][:limit]
        holders = {entry.holder for stream in self.streams.values() for entry in stream}
        for name in gone:
            if name not in holders:
                del self.workers[name]
        return len([name for name in gone if name not in holders])

    def watch(self, job_id: str, mailbox: str) -> Word:
        job = self.jobs.get(job_id)
        if not job:
            return Word.UNKNOWN
        if job.state in FINAL:
            return Word.FINISHED
        if mailbox not in job.waiters:
            job.waiters.append(mailbox)
        return Word.WATCHING

    def unwatch(self, job_id: str, mailbox: str) -> bool:
        job = self.jobs.get(job_id)
        self.mail.pop(mailbox, None)
        found = job is not None and mailbox in job.waiters
        if job and found:
            job.waiters.remove(mailbox)
        return found


def _outcome(state: str, value: bytes) -> dict[str, bytes]:
    return {"result" if state == "success" else "error": value}


def _not_after(entry: Entry, last: str) -> bool:
    return [int(part) for part in entry.id.split("-")] <= [int(part) for part in last.split("-")]


def _pause_ms(job_id: str, deaths: int) -> int:
    """How long a job waits that has been lost before: a part of a time that doubles, by its id."""
    longest = min(500 << deaths - 2, 60_000)
    return math.ceil(longest * (int(job_id[-4:], 36) * 40503 % 65536 + 1) / 65536)


def _died(job: Job, now: int, worker: str) -> str:
    """The last ten deaths, the newest last (C3.4)."""
    before = str(job.fields.get("died", "")).splitlines()
    return "\n".join([*before, f"{now} {worker}"][-10:])


def _by_age(job: Job) -> tuple[int, int, str]:
    return int(job.fields["completed"]), FINAL.index(job.state or ""), job.id

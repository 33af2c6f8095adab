"""Every call of a script about jobs and workers, as data: which script, its arguments, how to read the reply.

Those about documents are in `versions.py`; nothing here talks to Redis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from scheduler import scripts
from scheduler.call import Request
from scheduler.description import read_description
from scheduler.digits import count_of
from scheduler.job import CancelOutcome, Job, JobError, JobState
from scheduler.keyring import Keyring
from scheduler.leases import DEFAULT_MAX_DELIVERIES
from scheduler.script_call import Argument, Transition, Word, clock_of, nonce, word_of, words_of
from scheduler.versions import Scan


class Delivery(NamedTuple):
    """What a worker holds of a job: the entry, and the token by which every script knows whether it still counts."""

    job_id: str
    queue: str
    entry: str
    token: str
    attempt: int

    @property
    def entry_ms(self) -> int:
        """Redis time when the entry was made, in epoch ms: the job was due by then."""
        return int(self.entry.partition("-")[0])


class Commit(NamedTuple):
    """The end of one mutation (see `lua/commit.lua`). `settled`: it stands in SQL already, so it is this or nothing.

    `elapsed_ms` is from its start to `written_ms`, Redis time (None: when the script runs). What comes between, while
    Redis is away, is the script's to add.
    """

    delivery: Delivery
    name: str
    key: str
    elapsed_ms: int
    state: str
    value: bytes
    reads: Sequence[tuple[str, str, str]] = ()
    scans: Sequence[tuple[Scan, str]] = ()
    writes: Sequence[tuple[str, str, bytes]] = ()
    entries: Sequence[tuple[str, str, str, bytes]] = ()
    children: Sequence[Request] = ()
    cancels: Sequence[str] = ()
    conflicts: int = 0
    catalog: str = "0"
    settled: bool = False
    written_ms: int | None = None

    @property
    def has_effects(self) -> bool:
        return bool(self.writes or self.children or self.cancels)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but the end of the job."""
        return not (self.reads or self.scans or self.has_effects or self.key or self.conflicts)

    def argv(self) -> list[Argument]:
        delivery = self.delivery
        argv: list[Argument] = [
            delivery.job_id, self.name, delivery.queue, delivery.entry, delivery.token, delivery.attempt,
            self.elapsed_ms, clock_of(self.written_ms), self.state, self.value,
        ]  # fmt: skip
        if self.is_plain:
            argv.append("")
            return argv
        lists: tuple[Sequence[Sequence[Argument]], ...] = (
            self.reads, [(*scan, found) for scan, found in self.scans], self.writes, self.entries, self.children,
            [(job_id,) for job_id in self.cancels],
        )  # fmt: skip
        argv += (" ".join([str(len(rows)) for rows in lists]), self.key, self.conflicts, self.catalog)
        for rows in lists:
            for row in rows:
                argv.extend(row)
        return argv


class Finish(NamedTuple):
    """The end of one action."""

    delivery: Delivery
    name: str
    key: str
    state: str
    value: bytes


class Retry(NamedTuple):
    """A delivery given back: `attempts` starts were made, `conflicts` of them in vain; the next comes in `delay_ms`.

    `unseal` takes the job's seal off: the caller had the job's row in SQL, and knows that it has rolled back.
    `death` is the error of a delivery whose own process died, b'' of any other: it counts as a death of its worker, and
    past the cap the job fails with it (C3.4).
    `share` is for what passes with time: the job waits that part, in millionths, of a pause that doubles with each
    time, and `delay_ms` is not asked.
    """

    delivery: Delivery
    attempts: int
    delay_ms: int
    name: str = ""
    conflicts: int = 0
    unseal: bool = False
    key: str = ""
    death: bytes = b""
    share: int | None = None


class Seal(NamedTuple):
    """The point of no return of a mutation whose effects are in SQL (see `lua/seal.lua`)."""

    delivery: Delivery
    reads: Sequence[tuple[str, str, str]] = ()


class Lead(NamedTuple):
    """What a promote returned: `next_due_ms` where this process leads, else `lease_left_ms`.

    `micros` have passed since `now_ms`, which is rounded down.
    """

    leads: bool
    moved: int = 0
    next_due_ms: int | None = None
    now_ms: int = 0
    lease_left_ms: int = 0
    damaged: tuple[str, ...] = ()
    micros: int = 0

    @property
    def next_due_s(self) -> float | None:
        """Seconds from the call until the next job is due."""
        if self.next_due_ms is None:
            return None
        return (self.next_due_ms - self.now_ms) / 1_000 - self.micros / 1_000_000


class Redelivered(NamedTuple):
    """What a redeliver did, and how many entries workers still hold."""

    redelivered: int
    failed: int
    held: int
    more: bool


class Expired(NamedTuple):
    """How many actions were failed, and the ms until the next lease in `running` ends (None: nothing runs)."""

    failed: int
    next_ms: int | None


class Renewed(NamedTuple):
    """What a renewal found lost. `held` has, for each queue, the entries that are still this worker's."""

    now_ms: int
    lost: list[str]
    canceled: list[str]
    held: dict[str, set[str]]


def schedule(requests: Sequence[Request], clock_ms: int | None = None) -> Transition[list[tuple[Word, str]]]:
    """Schedule jobs, all or none. Reads (OK | EXISTS | KEY, job id) for each."""
    argv: list[Argument] = [clock_of(clock_ms), nonce(), len(requests)]
    for request in requests:
        argv.extend(request)

    def read(reply: Any) -> list[tuple[Word, str]]:
        words = iter(reply)
        return [(word_of(word), job_id.decode()) for word, job_id in zip(words, words, strict=True)]

    return Transition(scripts.load("schedule"), argv, read)


def promote(name: str, lease_ms: int, limit: int, clock_ms: int | None = None) -> Transition[Lead]:
    """Take or renew the promoter's lease and move at most `limit` due jobs."""

    def read(reply: Any) -> Lead:
        if reply[0] == b"FOLLOW":
            return Lead(leads=False, lease_left_ms=int(reply[1]), now_ms=int(reply[2]))
        damaged = tuple(queue.decode(errors="replace") for queue in reply[4])
        next_due_ms = int(reply[2]) if reply[2].isdigit() else None  # 'inf': no duestream wrote that
        return Lead(True, int(reply[1]), next_due_ms, int(reply[3]), damaged=damaged, micros=int(reply[5]))

    return Transition(scripts.load("promote"), [clock_of(clock_ms), nonce(), name, lease_ms, limit], read)


def begin(
    deliveries: Sequence[Delivery], worker: str, lease_ms: int, clock_ms: int | None = None
) -> Transition[list[Word]]:
    """Ack actions and record them as in progress. Reads OK | ALREADY | LOST for each."""
    argv: list[Argument] = [clock_of(clock_ms), worker, lease_ms, len(deliveries)]
    for delivery in deliveries:
        argv.extend(delivery)
    return Transition(scripts.load("begin"), argv, words_of)


def revert(
    deliveries: Sequence[Delivery], worker: str, delay_ms: int, clock_ms: int | None = None
) -> Transition[list[Word]]:
    """Take back what `worker` has begun and not started; it comes again in `delay_ms`. Reads OK | LOST for each."""
    argv: list[Argument] = [clock_of(clock_ms), nonce(), worker, delay_ms, len(deliveries)]
    for delivery in deliveries:
        argv.extend(delivery)
    return Transition(scripts.load("revert"), argv, words_of)


def commit(commits: Sequence[Commit], worker: str, clock_ms: int | None = None) -> Transition[list[Word]]:
    """End mutations. Reads OK | ALREADY | LOST | CONFLICT | SEALED for each."""
    argv: list[Argument] = [clock_of(clock_ms), nonce(), worker, len(commits)]
    for one in commits:
        argv.extend(one.argv())
    frees = not any(one.has_effects for one in commits)
    return Transition(scripts.load("commit", allow_oom=frees), argv, words_of)


def finish(finishes: Sequence[Finish], clock_ms: int | None = None) -> Transition[list[Word]]:
    """Record how actions ended. Reads OK | ALREADY | LOST for each."""
    argv: list[Argument] = [clock_of(clock_ms), len(finishes)]
    for one in finishes:
        argv.extend((one.delivery.job_id, one.name, one.key, one.delivery.token, one.state, one.value))
    return Transition(scripts.load("finish"), argv, words_of)


def retry(
    retries: Sequence[Retry],
    clock_ms: int | None = None,
    *,
    worker: str = "",
    max_deliveries: int = DEFAULT_MAX_DELIVERIES,
) -> Transition[list[Word]]:
    """Give deliveries back. Reads OK | FAILED, for a death past `max_deliveries` | LOST for each."""
    argv: list[Argument] = [clock_of(clock_ms), nonce(), worker, max_deliveries, len(retries)]
    for one in retries:
        held = one.delivery
        argv.extend((held.job_id, held.queue, held.entry, held.token, one.attempts, one.delay_ms))
        argv.extend((one.name, one.conflicts, "1" if one.unseal else "", one.key, one.death))
        argv.append("" if one.share is None else one.share)
    return Transition(scripts.load("retry"), argv, words_of)


def seal(seals: Sequence[Seal], clock_ms: int | None = None) -> Transition[list[Word]]:
    """Seal mutations, right before their SQL commits. Reads OK | ALREADY | LOST | CONFLICT for each."""
    argv: list[Argument] = [clock_of(clock_ms), len(seals)]
    for one in seals:
        argv.extend((one.delivery.job_id, one.delivery.token, len(one.reads)))
        for row in one.reads:
            argv.extend(row)
    return Transition(scripts.load("seal"), argv, words_of)


def redeliver(
    idle_ms: int, max_deliveries: int, limit: int, error: bytes, clock_ms: int | None = None
) -> Transition[Redelivered]:
    """Take back what dead workers hold; past `max_deliveries` deaths a job fails with `error`."""
    argv = [clock_of(clock_ms), nonce(), idle_ms, max_deliveries, limit, error]
    return Transition(
        scripts.load("redeliver"), argv, lambda r: Redelivered(int(r[0]), int(r[1]), int(r[2]), int(r[3]) > 0)
    )


def expire(limit: int, error: bytes, clock_ms: int | None = None) -> Transition[Expired]:
    """Fail the actions whose lease has ended, with `error`."""
    argv = [clock_of(clock_ms), limit, error]
    return Transition(scripts.load("expire"), argv, lambda r: Expired(int(r[0]), int(r[1]) if r[1] else None))


def cancel(job_ids: Sequence[str], clock_ms: int | None = None) -> Transition[list[CancelOutcome]]:
    """Cancel jobs. Reads the outcome for each, the same each time that this call is sent."""
    return Transition(
        scripts.load("cancel"),
        [clock_of(clock_ms), nonce(), *job_ids],
        lambda reply: [CancelOutcome(word.decode().lower()) for word in reply],
    )


class Pruned(NamedTuple):
    """How many records went, whether there may be more, and the time that the next call is to be told."""

    removed: int
    more: bool
    passed_ms: int


def prune(limit: int, clock_ms: int | None = None, passed_ms: int | None = None) -> Transition[Pruned]:
    """Remove at most `limit` records; `passed_ms` as the call before has told it, None to begin with the first."""
    argv = [clock_of(clock_ms), limit, "" if passed_ms is None else passed_ms]
    return Transition(scripts.load("prune"), argv, lambda r: Pruned(int(r[0]), bool(r[1]), int(r[2])))


def renew(
    worker: str,
    lease_ms: int,
    beat_ms: int,
    running: int,
    reader: str,
    actions: Mapping[str, str],
    entries: Mapping[str, Sequence[str]],
    clock_ms: int | None = None,
) -> Transition[Renewed]:
    """Renew the leases of `actions` (job id: token) and `entries` (queue: entry ids), and the worker's heartbeat.

    `reader` is the connection id of its blocking reader, '' where unknown.
    """
    argv: list[Argument] = [clock_of(clock_ms), worker, lease_ms, beat_ms, running, reader, len(actions)]
    for job_id, token in actions.items():
        argv.extend((job_id, token))
    for queue, held in entries.items():
        argv.extend((queue, len(held), *held))

    def read(reply: Any) -> Renewed:
        held = {queue: {entry.decode() for entry in reply[3 + i]} for i, queue in enumerate(entries)}
        return Renewed(int(reply[0]), [i.decode() for i in reply[1]], [i.decode() for i in reply[2]], held)

    return Transition(scripts.load("renew"), argv, read)


def sustain(
    worker: str,
    lease_ms: int,
    beat_ms: int,
    age_ms: int,
    limit: int,
    seen: Mapping[str, str],
    clock_ms: int | None = None,
) -> Transition[tuple[int, int]]:
    """Renew what a worker had in hand, by its name. Reads how many entries and how many actions were.

    `seen` has, for each queue, the id of the last entry that the worker has taken notice of.
    """
    argv: list[Argument] = [clock_of(clock_ms), worker, lease_ms, beat_ms, age_ms, limit]
    for queue, entry in seen.items():
        argv.extend((queue, entry))
    return Transition(scripts.load("sustain"), argv, lambda reply: (int(reply[0]), int(reply[1])))


def join(
    worker: str,
    beat_ms: int,
    fields: Mapping[str, Argument],
    settings: Mapping[str, Argument],
    functions: Mapping[str, str],
    queues: Sequence[str],
    clock_ms: int | None = None,
) -> Transition[int]:
    """Announce a worker, its functions (name: JSON) and settings; make its queues' groups. Reads now in ms."""
    argv: list[Argument] = [clock_of(clock_ms), worker, beat_ms]
    for pairs in (fields, settings, functions):
        argv.append(len(pairs))
        for name, value in pairs.items():
            argv.extend((name, value))
    return Transition(scripts.load("join"), [*argv, *queues], int)


def leave(worker: str, promoter: str, queues: Sequence[str], clock_ms: int | None = None) -> Transition[int]:
    """Take a worker away. Reads how many deliveries it gave back unseen."""
    return Transition(scripts.load("leave"), [clock_of(clock_ms), nonce(), worker, promoter, *queues], int)


def sweep(silent_ms: int, limit: int, clock_ms: int | None = None) -> Transition[int]:
    """Forget workers without a heartbeat for `silent_ms`. Reads how many."""
    return Transition(scripts.load("sweep"), [clock_of(clock_ms), silent_ms, limit], int)


def watch(job_id: str, mailbox: str) -> Transition[Word]:
    """Ask for a job's end to be posted. Reads WATCHING | FINISHED | UNKNOWN."""
    return Transition(scripts.load("watch"), ["", job_id, mailbox], lambda reply: Word(reply.decode()))


def unwatch(job_id: str, mailbox: str) -> Transition[bool]:
    """Take a watch back. Reads whether it was there."""
    return Transition(scripts.load("unwatch"), ["", job_id, mailbox], bool)


def permit(commands: Sequence[str]) -> Transition[list[str]]:
    """Which of these commands, with arguments, this client may not send."""
    return Transition(scripts.load("permit"), ["", *commands], lambda reply: [one.decode() for one in reply])


def show(job_ids: Sequence[str], keyring: Keyring | None = None) -> Transition[list[Job | None]]:
    """Read the records of jobs, None for an id that has none; what is encrypted, as far as there is a key for it."""

    def parse_one(job_id: str, spec: bytes | int, pairs: Any) -> Job | None:
        if spec == b"":
            return None
        if pairs == 0:
            job = Job.read(job_id, b"" if isinstance(spec, int) else spec, {}, keyring)
            return replace(job, error=JobError("DamagedJob", "the key of its status is of another type"))
        status = dict(zip(pairs[::2], pairs[1::2], strict=True))
        return Job.read(job_id, b"" if isinstance(spec, int) else spec, status, keyring)

    def parse(reply: Any) -> list[Job | None]:
        return [parse_one(job_id, spec, status) for job_id, (spec, status) in zip(job_ids, reply, strict=True)]

    return Transition(scripts.load("show"), ["", *job_ids], parse)


def count() -> Transition[dict[JobState, int]]:
    """Count the jobs of each state."""
    return Transition(scripts.load("count"), [""], lambda reply: dict(zip(JobState, map(int, reply), strict=True)))


def describe(names: Sequence[str]) -> Transition[list[dict[str, Any] | None]]:
    """What live deployments registered under these names, None where nothing, DAMAGED where it cannot be read."""
    return Transition(
        scripts.load("describe"),
        ["", *names],
        lambda reply: [read_description(text) if text else None for text in reply],
    )


def tally(names: Sequence[str]) -> Transition[list[dict[str, int]]]:
    """What has become of the jobs of functions: how many ended in each state, and under 'conflicts' those met."""

    def parse_one(pairs: Any) -> dict[str, int]:
        words = (word.decode(errors="replace") for word in pairs[::2])
        return {word: count_of(number) for word, number in zip(words, pairs[1::2], strict=True)}

    return Transition(scripts.load("tally"), ["", *names], lambda reply: list(map(parse_one, reply)))

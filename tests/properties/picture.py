"""The whole data set that a model stands for: each key with its value, as `World.dump` reads it (see `keys.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scheduler.keys import Keys
from tests.properties.data import table_of
from tests.properties.model import FINAL, Entry, Job, Model
from tests.transitions.conftest import strings
from tests.transitions.photo import Dump

Plain = int | str | bytes


def encode(value: Plain) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@dataclass
class Picture:
    """`volatile` are the keys with a life of their own; all others stay until a script removes them."""

    keys: Keys
    dump: Dump = field(default_factory=dict)
    volatile: set[bytes] = field(default_factory=set)

    def put(self, name: str, value: object, *, volatile: bool = False) -> None:
        """A key; an empty one is none."""
        key = (self.keys.prefix + name).encode()
        if value:
            self.dump[key] = value
            self.volatile |= {key} if volatile else set()

    def put_scores(self, name: str, scores: Iterable[tuple[int, str]]) -> None:
        self.put(name, [encode(part) for score, member in sorted(scores) for part in (member, score)])

    def put_hash(self, name: str, fields: Mapping[str, Plain], *, volatile: bool = False) -> None:
        self.put(name, {encode(key): encode(value) for key, value in fields.items()}, volatile=volatile)

    def put_list(self, name: str, items: Iterable[Plain], *, volatile: bool = False) -> None:
        self.put(name, [encode(item) for item in items], volatile=volatile)


def spec_of(job: Job) -> bytes:
    return b"\x9a" + strings("2", str(job.created), str(job.scheduled - job.created)) + job.asked.tail


def draw(model: Model, keys: Keys) -> Picture:
    picture = Picture(keys)
    for job in model.jobs.values():
        _draw_job(picture, job)
    for queue in model.queues:
        picture.put_scores(f"due:{queue}", model.due(queue))
        picture.put(f"ready:{queue}", _stream(model.streams[queue]))
    for state in FINAL:
        kept = [job for job in model.jobs.values() if job.state == state and job.has_record]
        picture.put_scores(f"done:{state}", [(int(job.fields["completed"]), job.id) for job in kept])
    ended = [(job.expires, job.id) for job in model.jobs.values() if job.expires is not None]
    picture.put_scores("expiry", ended)
    picture.put_scores("running", [(end, job_id) for job_id, end in model.running.items()])
    for key, job_id in model.keys.items():
        picture.put(f"key:{key}", encode(job_id))
    for name in {name for name, _ in model.stats}:
        picture.put_hash(f"stats:{name}", {state: n for (of, state), n in model.stats.items() if of == name and n})
    _draw_documents(picture, model)
    _draw_presence(picture, model)
    return picture


def _draw_job(picture: Picture, job: Job) -> None:
    status = dict(job.fields)
    if job.state:
        status["state"] = job.state
    if job.entry:
        status["token"] = job.entry.token
        if not job.state:
            status["entry"] = job.entry.id
    if job.waiters:
        status["waiters"] = " ".join(job.waiters)
    picture.put_hash(f"status:{job.id}", status, volatile=not job.has_record)
    if job.has_record:
        picture.put(f"job:{job.id}", spec_of(job))


def _stream(entries: list[Entry]) -> object:
    rows = []
    for entry in entries:
        spec = spec_of(entry.job)
        inline: list[Plain] = ["spec", spec] if len(spec) <= 4096 else []
        poison: list[Plain] = ["poison", entry.poison] if entry.poison else []
        flat: list[Plain] = ["job", entry.job.id, "token", entry.token, "attempt", entry.attempt, *inline, *poison]
        rows.append([entry.id.encode(), [encode(part) for part in flat]])
    held = [(entry.id.encode(), entry.holder.encode()) for entry in entries if entry.holder]
    return rows, [held]


def _draw_documents(picture: Picture, model: Model) -> None:
    data = model.data
    for one in data.documents.values():
        picture.put_hash(f"doc:{one.id}", {"version": one.version, "created": one.created, "data": one.data})
    for table in {table_of(document_id) for document_id in data.documents}:
        picture.put_scores(f"table:{table}", [(one.created, one.id) for one in data.table(table)])
    picture.put("sequence", data.sequence and encode(data.sequence))
    built: dict[str, Plain] = {index: "ready" if to is None else to for index, to in data.indexes.items()}
    picture.put_hash("indexes", {**built, "version": data.catalog} if data.catalog != "0" else {})
    for index, entries in data.entries.items():
        picture.put(f"index:{index}", [part for entry in sorted(entries) for part in (entry, b"0")])
    for token in model.applied:
        picture.put(f"applied:{token}", b"1", volatile=True)


def _draw_presence(picture: Picture, model: Model) -> None:
    picture.put("queues", {queue.encode() for queue in model.queues})
    picture.put_hash("settings", model.settings)
    picture.put_scores("workers", [(int(fields["seen"]), name) for name, fields in model.workers.items()])
    for name, fields in model.workers.items():
        picture.put_hash(f"worker:{name}", fields, volatile=True)
    for mailbox, job_ids in model.mail.items():
        picture.put_list(f"mail:{mailbox}", job_ids, volatile=True)
    picture.put("promoter", model.promoter.encode(), volatile=True)
    picture.put_list("wake", ["1"] if model.wake else [])
    picture.put_list("succession", ["1"] * model.successions, volatile=True)

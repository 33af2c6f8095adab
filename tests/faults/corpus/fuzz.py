"""Fuzzed payloads: `make fuzz N=2000000 SEED=7`, or `python -m tests.faults.corpus.fuzz --count 2000000 --seed 7`.

Each payload is read by whatever reads such bytes: it gives a value or a typed error, in bounded time and memory. A part
of them goes through Redis and a living worker: each job ends.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from scheduler import DuestreamError, values
from scheduler.cli.feed import Defaults, read_call
from scheduler.cli.signature import Signature
from scheduler.description import read_description
from scheduler.inspector import FunctionView
from scheduler.job import Job, JobError
from scheduler.keys import GROUP
from scheduler.parameters import parse_text_by_schema
from scheduler.spec import Spec
from tests.faults.corpus.app import make_app
from tests.faults.corpus.mutate import Mutator
from tests.faults.corpus.raw import spec
from tests.faults.corpus.stage import Stage, raised
from tests.leaks import Account

SHARE: Final = 10
"""Of so many payloads one more goes through Redis and the worker too."""

MOST_S: Final = 1.0
MOST_MB: Final = 100
_BATCH: Final = 500
_SAMPLE_VALUES: Final[tuple[Any, ...]] = (
    {"value": 1},
    {"number": 5, "tags": ["a", "b"]},
    [1, 2.5, "three", b"four", None, True],
    {
        "a": [{"b": (1, (2,))}],
        "when": datetime(2030, 1, 1, tzinfo=UTC),
        "price": Decimal("1.50"),
        "id": UUID(int=7),
        "big": 10**30,
    },
)


@dataclass
class Tally:
    """What became of the payloads."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: bytes = b""

    def count(self, name: str, outcome: str, taken_s: float, payload: bytes) -> None:
        self.outcomes[f"{name}: {outcome}"] += 1
        if taken_s > self.slowest_s:
            self.slowest_s, self.slowest = taken_s, payload


def samples() -> list[bytes]:
    """Valid bytes of each kind."""
    packed = [values.pack(value, "value") for value in _SAMPLE_VALUES]
    specs = [
        spec(),
        spec(f8=[1], f9={}),
        spec(f4="corpus:typed", f9={"number": 5, "tags": ["a"]}),
        spec(f6="p", f7="k"),
    ]
    return [*packed, *specs, JobError("ValueError", "it broke", "Traceback").pack(), values.pack("done", "result")]


def texts() -> list[bytes]:
    """Valid JSON of each kind."""
    app = make_app({}, {})
    described = [json.dumps(one.describe()).encode() for one in app.functions.values()]
    line = {"function": "corpus:typed", "args": {"number": 5, "tags": ["a"]}, "after": "5s", "queue": "q", "key": "k"}
    return [*described, json.dumps(line).encode(), b'{"function": "corpus:take", "args": [1], "at": 1800000000000}']


def readers() -> dict[str, Callable[[bytes], object]]:
    """All that reads packed bytes from Redis."""
    bind = make_app({}, {}).functions["corpus:typed"].parameters.bind

    def bound(data: bytes) -> object:
        asked = Spec.unpack(data)
        return bind(tuple(asked.args), asked.kwargs)

    return {
        "values.unpack": values.unpack,
        "Spec.unpack": Spec.unpack,
        "JobError.unpack": JobError.unpack,
        "bind": bound,
        "Job.read": lambda data: Job.read(
            "01JD6Q2M8XK0T9V4W5Y7Z3ABCD", data, {b"result": data, b"error": data, b"state": data[:7]}
        ),
    }


def text_readers() -> dict[str, Callable[[bytes], object]]:
    """All that reads JSON: descriptions of functions, lines of NDJSON, words of a command line."""
    take = make_app({}, {}).functions["corpus:typed"]
    signature = Signature(
        take.name, take.name, take.parameters.describe(), lambda _, text: parse_text_by_schema({}, text)
    )

    class Known:
        def find(self, name: str) -> Signature:
            return signature

    return {
        "description": lambda data: FunctionView.of("f", read_description(data)),
        "NDJSON": lambda data: read_call(data, Defaults(), Known()),  # type: ignore[arg-type]
        "KEY=VALUE": lambda data: signature.parse_pairs(["tags=" + data.decode("latin-1"), "number=5"]),
    }


def read_all(count: int, seed: int, tally: Tally) -> None:
    """Give `count` payloads to their readers."""
    makers = ((Mutator(seed, samples()), readers()), (Mutator(seed + 1, texts(), json.loads, _as_json), text_readers()))
    for number in range(count):
        mutator, reading = makers[number % 4 == 3]
        payload = mutator.make()
        for name, read in reading.items():
            began = time.perf_counter()
            try:
                read(payload)
                outcome = "read"
            except DuestreamError as error:
                outcome = type(error).__name__ if str(error) else "an error that says nothing"
            tally.count(name, outcome, time.perf_counter() - began, payload)


def run_all(count: int, seed: int, stage: Stage, tally: Tally) -> None:
    """Put `count` payloads into Redis as specs of jobs, and wait until each has ended."""
    mutator = Mutator(seed + 2, [spec(), spec(f8=[1], f9={}), spec(f4="corpus:typed", f9={"number": 5}), *samples()])
    for start in range(0, count, _BATCH):
        payloads = [mutator.make() for _ in range(min(_BATCH, count - start))]
        take = stage.app.functions["corpus:take"]
        ids = stage.blocking.schedule_many(take.after(3_600_000) for _ in payloads)
        for job_id, payload in zip(ids, payloads, strict=True):
            stage.store.execute("SET", stage.keys.job(job_id), payload or b"\0")
        stage.store.execute("ZADD", stage.keys.due("default"), *(part for job_id in ids for part in (0, job_id)))
        stage.store.execute("RPUSH", stage.keys.wake, "1")
        _await_all(stage, ids, payloads, tally)


def _await_all(stage: Stage, ids: list[Any], payloads: list[bytes], tally: Tally) -> None:
    deadline = time.monotonic() + 60
    left = dict(zip(ids, payloads, strict=True))
    while left:
        assert time.monotonic() < deadline, f"stuck: {next(iter(left.values()))!r}"
        assert stage.worker.alive
        for job_id in list(left):
            state = stage.store.execute("HGET", stage.keys.status(job_id), "state")
            if state not in (b"success", b"failed"):
                break
            tally.count("worker", state.decode(), 0.0, b"")
            del left[job_id]
    jobs = stage.blocking.list(limit=1_000).jobs
    assert {job.id for job in jobs} & set(ids)
    for job_id in ids:
        stage.store.execute("DEL", stage.keys.job(job_id), stage.keys.status(job_id))
    stage.store.execute("DEL", *(stage.keys.prefix + name for name in ("done:success", "done:failed", "expiry")))
    assert stage.store.execute("XPENDING", stage.keys.ready("default"), GROUP)[0] == 0


def check(count: int, seed: int, folder: Path) -> Tally:
    """The whole run."""
    tally = Tally()
    before_mb = _peak_mb()
    read_all(count, seed, tally)
    grown_mb = _peak_mb() - before_mb
    assert not [outcome for outcome in tally.outcomes if outcome.endswith("says nothing")]
    assert tally.slowest_s < MOST_S, f"{tally.slowest_s:.2f} s for {tally.slowest!r}"
    assert grown_mb < MOST_MB, f"{grown_mb} MB more at the peak"
    with raised(make_app({}, {}), folder, Account()) as stage:
        run_all(count // SHARE, seed, stage, tally)
        stage.check_alive()
        stage.check_idle()
    return tally


def _as_json(value: Any) -> bytes:
    return json.dumps(value, default=str, skipkeys=True).encode()


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.corpus.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    began = time.monotonic()
    logging.getLogger("duestream").setLevel(logging.CRITICAL)  # each failed job would be a line
    with tempfile.TemporaryDirectory() as folder:
        tally = check(chosen.count, chosen.seed, Path(folder))
    for outcome, number in sorted(tally.outcomes.items()):
        print(f"{number:>10,}  {outcome}")  # noqa: T201  its output
    print(  # noqa: T201
        f"{chosen.count:,} payloads, seed {chosen.seed}, {time.monotonic() - began:.0f} s; the slowest took "
        f"{tally.slowest_s * 1000:.1f} ms"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

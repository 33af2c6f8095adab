"""How many cases there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.faults.corpus import arguments, names, options, raw, times, words
from tests.faults.corpus.test_handlers import CASES

KINDS: dict[str, Sequence[Any]] = {
    "delays and timestamps": [*times.DELAYS, *times.TIMESTAMPS, *times.DELAYS_TAKEN],
    "arguments, results, documents": [*arguments.UNSTORABLE, *arguments.TAKEN],
    "names": [*names.FUNCTIONS, *names.QUEUES, *names.KEYS, *names.JOB_IDS, *names.NAMESPACES, *names.CURSORS],
    "options": [*options.DECORATORS, *options.APPS, *options.WORKERS, *options.CLIENTS],
    "command lines": [*words.OPTIONS, *words.REFUSALS, *words.WORKER_OPTIONS, *words.LINES, *words.RAW_LINES],
    "bytes in Redis": [
        *raw.SPECS, *raw.STATUSES, *raw.ENDED, *raw.ENTRIES, *raw.DUE, *raw.DOCUMENTS, *raw.WRONG_TYPES, *raw.GARBAGE,
    ],
    "handlers": CASES,
}  # fmt: skip


def test_there_are_enough_cases_and_no_two_are_the_same() -> None:
    counts = {kind: len(cases) for kind, cases in KINDS.items()}
    print(", ".join(f"{kind} {count}" for kind, count in counts.items()), "together", sum(counts.values()))  # noqa: T201
    assert sum(counts.values()) >= 300
    assert min(counts.values()) >= 30
    for kind in ("delays and timestamps", "arguments, results, documents", "names", "options"):
        ids = Counter(case.id for case in KINDS[kind])
        assert [name for name, count in ids.items() if count > 1] == [], kind

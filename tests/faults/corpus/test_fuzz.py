"""200,000 fuzzed payloads: a value or a typed error each, in bounded time and memory, no dead worker, no stuck job."""

from __future__ import annotations

import logging
import os

import pytest

from tests.faults.corpus.fuzz import SHARE, Tally, check
from tests.faults.corpus.mutate import Mutator

COUNT = int(os.environ.get("FUZZ_COUNT", "200000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.fixture(scope="module")
def tally(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    quiet = logging.getLogger("duestream")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        return check(COUNT, SEED, tmp_path_factory.mktemp("fuzz"))
    finally:
        quiet.setLevel(level)


def test_each_payload_has_an_outcome(tally: Tally) -> None:
    # C1.4, C1.5, C2.6, C3.2
    total = sum(number for outcome, number in tally.outcomes.items() if outcome.startswith("values.unpack"))
    total += sum(number for outcome, number in tally.outcomes.items() if outcome.startswith("description"))
    print(f"{total:,} payloads, seed {SEED}, the slowest took {tally.slowest_s * 1000:.1f} ms")  # noqa: T201
    assert total == COUNT


def test_a_part_of_them_went_through_redis_and_a_worker(tally: Tally) -> None:
    ended = sum(number for outcome, number in tally.outcomes.items() if outcome.startswith("worker"))
    assert ended == COUNT // SHARE
    assert tally.outcomes["worker: failed"] > ended // 2
    assert tally.outcomes["worker: success"] > 0


def test_both_ways_of_each_reader_were_gone(tally: Tally) -> None:
    """A fuzzer whose payloads are all refused at the first byte, or all taken, finds nothing."""
    for name in ("values.unpack", "Spec.unpack", "JobError.unpack", "bind", "NDJSON"):
        read = tally.outcomes[f"{name}: read"]
        all_of_it = sum(number for outcome, number in tally.outcomes.items() if outcome.startswith(f"{name}:"))
        assert 0 < read < all_of_it, (name, read, all_of_it)


def test_the_same_seed_makes_the_same_payloads() -> None:
    first, again, other = (Mutator(seed, [b"\x93\x01\x02\x03", b"\x81\xa1a\x01"]) for seed in (5, 5, 6))
    made = [first.make() for _ in range(200)]
    assert made == [again.make() for _ in range(200)]
    assert made != [other.make() for _ in range(200)]

"""No handler ever sees half of another's commit, not even in an attempt that is started over (C6.2)."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from scheduler import App, Call, JobState, SyncScheduler
from tests.serializability import pairs
from tests.serializability.conftest import StartWorkers, Tell
from tests.serializability.jobs import borrow, conflicts, ended, wait_for_all

PAIRS, LOOKS, MOVES = 5, 1_500, 3_000
TIMEOUT_S = 120


def test_a_sum_read_in_two_steps_is_never_broken(
    app: App, url: str, start_workers: StartWorkers, seed: int, tell: Tell, tmp_path: Path
) -> None:
    borrow(app, pairs.app)
    calls, expected = _calls(app, random.Random(seed), str(tmp_path))
    with SyncScheduler(app, url=url) as scheduler:
        start_workers("tests.serializability.pairs", concurrency=12)
        scheduler.result(scheduler.run_after(0, pairs.open_pairs.name, PAIRS), timeout=10)
        ids = scheduler.schedule_many(calls)
        took_s = wait_for_all(scheduler, TIMEOUT_S)
        jobs = ended(scheduler)
        left = [scheduler.result(scheduler.run_after(0, pairs.side.name, n, "x"), timeout=10) for n in range(PAIRS)]
    by_looks, by_moves = (_numbers(tmp_path / f"sums-{seen_by}") for seen_by in ("look", "move"))
    started_over = _numbers(tmp_path / "halves").total() - by_looks.total()
    tell(
        f"read skew: {by_looks.total() + by_moves.total():,} sums seen by {len(ids):,} mutations in {took_s:.1f} s"
        f" (seed {seed}), {started_over:,} handlers started over between two reads,"
        f" {conflicts(jobs.values()):,} conflicts in the records"
    )
    assert set(by_looks | by_moves) == {pairs.TOTAL}, f"seed {seed}: {by_looks} {by_moves}"
    assert [jobs[job_id].error for job_id in ids if jobs[job_id].state is not JobState.SUCCESS] == [], f"seed {seed}"
    assert left == expected, f"seed {seed}"
    # Writers did come between the two reads: else this proves nothing.
    assert started_over > LOOKS // 10, f"seed {seed}: {started_over}"


def _calls(app: App, chance: random.Random, folder: str) -> tuple[list[Call], list[int]]:
    """Looks and moves, mixed, and what is to be left at the x side of each pair."""
    left = [pairs.TOTAL] * PAIRS
    calls = []
    for n in range(LOOKS):
        sides = chance.sample(["x", "y"], 2)
        look = app.functions[pairs.LOOKS[n % len(pairs.LOOKS)].name]
        calls.append(look.after(0, folder, chance.randrange(PAIRS), *sides))
    for _ in range(MOVES):
        pair, amount = chance.randrange(PAIRS), chance.randint(-50, 50)
        left[pair] -= amount
        calls.append(app.functions[pairs.move.name].after(0, folder, pair, amount))
    chance.shuffle(calls)
    return calls, left


def _numbers(file: Path) -> Counter[int]:
    return Counter(map(int, file.read_text().split()))

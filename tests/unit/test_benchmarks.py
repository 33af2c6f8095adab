"""The benchmarks' own arithmetic: records, medians, targets, and the tables of the guide."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks import records
from benchmarks.medians import medians
from benchmarks.records import END, START, Record, execution
from benchmarks.report import DOCUMENT, UnknownTable, all_plots, all_tables, fill, loaded
from benchmarks.runs import Runs, best
from benchmarks.targets import LOOP, THREADED, at_least, at_most, judge


def test_records_are_read_as_they_were_written_and_a_torn_one_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records"
    monkeypatch.setenv(records.VARIABLE, str(path))
    records._file.cache_clear()
    assert records.read(path) == []
    records.start(7)
    records.end(7)
    with path.open("ab") as file:
        file.write(b"torn")
    assert [(one.kind, one.number) for one in records.read(path)] == [(START, 7), (END, 7)]
    assert records.count(path) == 2
    os.close(records._file())
    records._file.cache_clear()


def _starts(pid: int, first_at: float, numbers: range) -> list[Record]:
    return [Record(START, number, first_at + place, pid) for place, number in enumerate(numbers)]


def test_an_execution_counts_what_is_missing_and_double() -> None:
    found = execution([*_starts(1, 0.0, range(5)), Record(START, 4, 9.0, 1), Record(START, 99, 9.0, 1)], range(6))
    assert found is not None
    assert (found.executed, found.missing, found.double, found.seconds) == (6, 1, 1, 9.0)
    assert execution([Record(END, 1, 0.0, 1)], range(6)) is None


def test_the_rate_counts_from_the_moment_at_which_all_processes_run() -> None:
    late = [Record(START, number, 4.0 + number / 10, 2) for number in range(10, 40)]
    found = execution([*_starts(1, 0.0, range(10)), *late], range(40))
    assert found is not None
    assert found.rate == pytest.approx(33 / 4.0, rel=0.2)  # not 40 / 9.0
    assert found.processes == 2


def _drain(system: str, rate: float, procs: int = 1) -> dict[str, Any]:
    return {"system": system, "case": "drain", "procs": procs, "rate": rate}


def test_a_figure_is_the_median_of_the_runs_that_went_well() -> None:
    failed = {"system": "raw:lua", "case": "drain", "procs": 1, "error": "no job ran", "rate": 1.0}
    runs = Runs(runs=[_drain("raw:lua", 10), _drain("raw:lua", 30), failed, _drain("raw:lua", 99, procs=2)])
    assert runs.figure("raw:lua", "drain", "rate") == 20
    assert runs.figure("raw:lua", "drain", "rate", 2) == 99
    assert runs.figure("raw:lua", "drain", "lag_ms.p50") is None
    assert runs.figure("raw:lua", "latency", "rate") is None


def test_medians_merge_rounds_and_keep_an_error_only_where_nothing_went_well() -> None:
    error = {"system": "a", "case": "drain", "procs": 1, "error": "no"}
    # Whole numbers stay whole, where their median is.
    merged, failed = medians([
        {**_drain("a", 10), "round": 1, "lag": {"p50": 1.0}},
        {**error, "round": 2},
        {**_drain("a", 14), "round": 3, "lag": {"p50": 3.0}},
        {**error, "system": "b"},
    ])  # fmt: skip
    assert merged == {**_drain("a", 12), "lag": {"p50": 2.0}, "rounds": 2, "rates": [10, 14]}
    assert failed["error"] == "no"


def test_results_come_back_as_they_were_kept_without_paths_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "results" / "bench.json"
    Runs({"date": "2026-11-25"}, [_drain("a", 1), {**_drain("b", 2), "error": f"{tmp_path}/x is not here"}]).save(path)
    found = Runs.load(path)
    assert found.figure("a", "drain", "rate") == 1
    assert str(tmp_path) not in found.runs[1]["error"]
    assert found.runs[1]["error"].endswith("/x is not here")


@pytest.mark.parametrize(
    ("value", "target", "reached", "measured"),
    [
        (50.0, 0.5, True, "50.0 %"),
        (49.96, 0.5, False, "50.0 %"),
        (1200.0, 12, True, "12.00 times"),
        (None, 0.5, None, ""),
    ],
)
def test_a_ratio_is_held_against_its_target(
    value: float | None, target: float, reached: bool | None, measured: str
) -> None:
    row = at_least("a drain", target, value, 100.0, of="the loop", unit="jobs/s")
    assert (row.reached, row.measured) == (reached, measured)


@pytest.mark.parametrize(("value", "reached"), [(2.0, True), (2.01, False), (None, None)])
def test_a_bound_is_reached_by_itself(value: float | None, reached: bool | None) -> None:
    assert at_most("lateness", 2.0, value, unit="ms").reached is reached


def test_a_peer_is_compared_by_its_share_of_the_loop_that_ran_with_it() -> None:
    peers = Runs(runs=[_drain(LOOP, 1_000), _drain("dramatiq:gevent", 40), _drain("huey", 30), _drain("sketch", 900)])
    assert best(peers, LOOP, ("dramatiq:gevent", "huey")) == ("dramatiq:gevent", 0.04)
    assert best(peers, LOOP, THREADED) == ("huey", 0.03)
    ours = Runs(runs=[_drain(LOOP, 2_000), _drain("duestream", 1_000), _drain("duestream:plain", 300)])
    rows = {row.target.partition(" (")[0]: row for row in judge(ours, peers)}
    assert rows["at least 12 times the best peer"].reached  # 1,000 against 12 x 4 % of 2,000
    assert rows["at least 6 times the best threaded peer"].reached is False  # 300 against 6 x 3 % of 2,000
    assert rows["at least 50 % of raw:lua"].measured == "50.0 %"


def test_every_row_says_when_it_was_not_measured() -> None:
    assert {row.reached for row in judge(Runs(), Runs())} == {None}


def test_the_guide_asks_only_for_tables_that_are_made_and_keeps_its_words() -> None:
    made = dict.fromkeys(all_tables(Runs(), Runs(), Runs()) | all_plots(()), lambda: "a table or a plot")
    text = fill(DOCUMENT.read_text(encoding="utf-8"), made)
    assert text.count("\na table or a plot\n") == text.count("<!-- end -->") > 20
    assert fill(text, made) == text
    with pytest.raises(UnknownTable, match="nothing is called 'table: weather'"):
        fill("<!-- table: weather -->\n<!-- end -->", made)


def test_the_committed_peers_have_what_the_targets_need() -> None:
    peers = loaded("peers")
    assert best(peers, LOOP, THREADED) is not None
    assert peers.about["versions"]["celery"]

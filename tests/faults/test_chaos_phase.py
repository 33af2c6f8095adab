"""One short phase of the chaos, with a server, workers and producers: that the machinery does what it says."""

from __future__ import annotations

from pathlib import Path

from tests import servers
from tests.faults.chaos import columns
from tests.faults.chaos.phase import Place, run
from tests.faults.chaos.timetable import Phase, Timed


def test_a_phase_with_one_fault_of_each_hand(tmp_path: Path) -> None:
    faults = (
        Timed(0.2, columns.STORM, 0.0, 0.1),
        Timed(0.3, columns.KILL, 0.0, 0.5),
        Timed(0.4, columns.STOP, 0.4, 0.7),
        Timed(0.5, columns.CUT, 0.0, 0.25),
        Timed(0.8, columns.POWER, 0.1, 0.5),
        Timed(1.2, columns.ROLL, 0.0, 0.3),
    )
    told: list[str] = []
    phase = Phase(columns.POWER_CUT, 5, 2.0, 100, faults)
    outcome = run(
        phase, Place(servers.program("valkey-9"), servers.faketime(), tmp_path / "phase", rewrites=False), told.append
    )
    assert [violation for one in outcome.findings for violation in one.violations] == []
    assert outcome.injected == {one.kind: 1 for one in faults}
    assert {one.number for one in outcome.findings if one.looked_at} == {1, 2, 3, 4, 5, 6, 7, 8}
    assert outcome.details["workers"] >= 9
    assert told[-1].startswith("power: drained after ")

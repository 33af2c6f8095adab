"""docs/doctor.md and the doctor's findings: the same codes, in the same order, as bad, and mended alike."""

from __future__ import annotations

import re
from pathlib import Path

from scheduler.cli.doctor import FAILED, WARNED
from scheduler.doctor.findings import RULES
from scheduler.doctor.places import MOST, MOST_KEYS

TEXT = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
ROWS = [row.split(" | ") for row in re.findall(r"^\| (`[a-z]+-[a-z-]+` \| .*) \|$", TEXT, re.MULTILINE)]


def test_every_finding_has_its_row() -> None:
    assert [(row[0].strip("`"), row[1]) for row in ROWS] == [(code, rule.severity) for code, rule in RULES.items()]


def test_what_is_mended_is_said() -> None:
    mends = {code for code, rule in RULES.items() if rule.fixable}
    assert {row[0].strip("`") for row in ROWS if row[3].startswith(("`--fix`", "Stop whoever"))} == mends
    assert all("--fix" in RULES[code].advice for code in mends)


def test_figures() -> None:
    assert f"at {MOST:,} members of each set and stream and at {MOST_KEYS:,} keys" in " ".join(TEXT.split())
    assert f"| {WARNED} | warnings |" in TEXT
    assert f"| {FAILED} | errors |" in TEXT

"""Bad command lines: one line that names the flag, the right exit code, JSON for those who asked for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from scheduler.cli import cli
from tests.faults.corpus.case import Words
from tests.faults.corpus.stage import Stage
from tests.faults.corpus.words import LINES, OPTIONS, RAW_LINES, REFUSALS, WORKER_OPTIONS
from worker.cli import COMMANDS


@pytest.mark.parametrize("case", [*OPTIONS, *REFUSALS], ids=lambda case: case.id)
def test_a_bad_command_line(untouched: Stage, case: Words) -> None:
    # C2.12
    result = untouched.cli(*case.words, stdin=case.stdin)
    assert result.exit_code == case.code, result.output[:1_000]
    assert case.culprit in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(result.stderr) < 2_000


JSON = [case for case in REFUSALS if case.words[:2] not in {("db", "drop-index")}]


@pytest.mark.parametrize("case", JSON, ids=lambda case: case.id)
def test_a_failure_is_json_too(untouched: Stage, case: Words) -> None:
    result = untouched.cli(*case.words, "--json", stdin=case.stdin)
    assert result.exit_code == case.code
    error = json.loads(result.stdout)["error"]
    assert error["type"]
    assert case.culprit in error["message"]


def test_wrong_usage_is_json_too(untouched: Stage) -> None:
    result = untouched.cli("job", "list", "--limit", "0", "--json")
    assert result.exit_code == 2
    assert "--limit" in json.loads(result.stdout)["error"]["message"]


def test_one_json_document_is_printed_however_it_ends(stage: Stage) -> None:
    """What a command printed before it failed stays the only document on its output."""
    result = stage.cli("enqueue", "--from", "-", "--json", stdin="nonsense\n")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"scheduled": 0, "duplicates": 0, "refused": 1}


@pytest.mark.parametrize("line", [*(line.encode() for line in LINES), *RAW_LINES], ids=lambda line: repr(line[:40]))
def test_a_bad_line_is_named_and_the_others_taken(stage: Stage, line: bytes) -> None:
    given = b'{"function": "corpus:probe"}\n' + line + b'\n{"function": "corpus:probe"}\n'
    result = stage.cli("enqueue", "--from", "-", stdin=given)
    assert result.exit_code == 1, result.output[:500]
    assert result.stdout == "scheduled 2, duplicates 0, refused 1\n"
    assert result.stderr.startswith("line 2: ")
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 400


@pytest.mark.parametrize("case", WORKER_OPTIONS, ids=lambda case: case.id)
def test_a_worker_that_is_told_nonsense_ends_before_it_begins(
    stage: Stage, case: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "corpus_of_options"
    (tmp_path / f"{module}.py").write_text("from scheduler import App\n\napp = App('options')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, module, raising=False)
    for command in COMMANDS:
        cli.add_command(command)
    words = [word.format(module=module) for word in case.words]
    result = CliRunner().invoke(
        cli, words, env={"REDIS_URL": stage.url, "DUESTREAM_NAMESPACE": None}, prog_name="duestream"
    )
    assert result.exit_code == case.code, result.output
    assert case.culprit in result.stderr
    assert "Traceback" not in result.stderr

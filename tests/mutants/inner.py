"""A run of pytest within a test, against the scripts as they are or sabotaged."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import pytest

from scheduler import scripts
from tests.mutants.catalogue import Mutant


@contextlib.contextmanager
def sabotage(mutant: Mutant) -> Iterator[None]:
    """The scripts are read with this change, until the block ends."""
    original = scripts._read
    text = original(mutant.file)
    assert text.count(mutant.old) == 1, f"{mutant.file}: {mutant.old!r} occurs {text.count(mutant.old)} times, not once"
    changed = text.replace(mutant.old, mutant.new)

    def read(name: str) -> str:
        return changed if name == mutant.file else original(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts, "_read", read)
        scripts.load.cache_clear()
        try:
            yield
        finally:
            scripts.load.cache_clear()


class Verdict:
    """What failed in an inner run."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed: list[str] = []
        self.text = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
            self.text += report.longreprtext
        self.passed += report.passed and report.when == "call"


def run(*paths: str) -> Verdict:
    """Run tests until one fails, on the real server only: fakeredis is slow, and proves no more here."""
    verdict = Verdict()
    arguments = [*paths, "-x", "-q", "-k", "not fake", "--capture=no", "-p", "no:cacheprovider"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main(arguments, plugins=[verdict])
    # Anything but tests that failed (a file that is not found, an error of pytest's own) is an error of this test.
    assert code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), said.getvalue()
    assert (code == pytest.ExitCode.OK) == (not verdict.failed), said.getvalue()
    return verdict

"""One event is one line, as text and as JSON."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from scheduler.context import job_log
from scheduler.job import JobError
from scheduler.script_call import Word
from scheduler.spec import Spec
from scheduler.transitions import Delivery
from worker import logs
from worker.delivery import Held
from worker.joblog import log_answer


@pytest.fixture(autouse=True)
def given_back() -> Iterator[None]:
    """Leave the loggers as they were."""
    root, own = logging.getLogger(), logging.getLogger("duestream")
    before = (root.handlers[:], root.level, own.level)
    root.handlers[:] = []
    yield
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    own.setLevel(before[2])


def test_a_line_has_time_level_logger_message_and_the_jobs_fields() -> None:
    out = io.StringIO()
    logs.configure(stream=out)
    job_log("J1", "shop:place", 2).info("sent %d", 5)
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} INFO    duestream\.job sent 5 job_id=J1 function=shop:place attempt=2\n", out.getvalue()
    )


def test_a_message_cannot_write_a_second_line_or_color_the_terminal() -> None:
    out = io.StringIO()
    logs.configure(stream=out)
    logging.getLogger("duestream.job").warning("a\nfalse\x1b[31m line")
    assert out.getvalue().count("\n") == 1
    assert r"a\nfalse\x1b[31m line" in out.getvalue()


def test_a_traceback_follows_its_line() -> None:
    out = io.StringIO()
    logs.configure(stream=out)
    try:
        int("x")
    except ValueError:
        logging.getLogger("duestream.worker").exception("failed")
    first, second, *_ = out.getvalue().splitlines()
    assert first.endswith("duestream.worker failed")
    assert second.startswith("Traceback")


def test_a_json_line_has_all_fields_and_is_one_line() -> None:
    out = io.StringIO()
    logs.configure(as_json=True, stream=out)
    try:
        int("x")
    except ValueError:
        job_log("J1", "shop:place", 2).exception("a\nb")
    assert out.getvalue().count("\n") == 1
    event = json.loads(out.getvalue())
    assert event["message"] == "a\nb"
    assert event["logger"] == "duestream.job"
    assert (event["job_id"], event["function"], event["attempt"]) == ("J1", "shop:place", 2)
    assert "ValueError" in event["traceback"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", event["time"])


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_color_is_for_terminals_alone() -> None:
    out = _Terminal()
    logs.configure(stream=out)
    logging.getLogger("duestream.job").error("x")
    assert "\x1b[31mERROR  \x1b[0m" in out.getvalue()


@pytest.mark.parametrize(
    ("verbosity", "shown"), [(-1, {"WARNING"}), (0, {"INFO", "WARNING"}), (1, {"DEBUG", "INFO", "WARNING"})]
)
def test_verbosity_decides_what_is_shown(verbosity: int, shown: set[str]) -> None:
    out = io.StringIO()
    logs.configure(verbosity, stream=out)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logging.getLogger("duestream.job").log(level, "x")
    assert {line.split()[1] for line in out.getvalue().splitlines()} == shown


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("duestream.job").warning("hello")
    assert "hello" in capsys.readouterr().err
    assert sys.stderr is not None


def failed(function: str, error: str) -> None:
    held = Held(Delivery("J1", "default", "1-0", "t", 1), Spec(0, 0, "default", function, "mutation", "", "", [], {}))
    held.failure = JobError(error, "100 % gone")
    log_answer(held, Word.OK)


def test_failures_that_are_alike_are_told_of_once_a_minute_where_it_is_to_be_quiet() -> None:
    """Each overdraft of a bank was a line, even with --quiet."""
    out, now = io.StringIO(), [0.0]
    logs.configure(-1, stream=out)
    handler = logging.getLogger().handlers[0]
    handler.filters[:] = [logs.FewFailures(lambda: now[0])]
    for _ in range(42):
        failed("bank:pay", "Overdraft")
    failed("bank:pay", "KeyError")
    failed("bank:give", "Overdraft")
    logging.getLogger("duestream.worker").warning("something else")
    now[0] = 61
    failed("bank:pay", "Overdraft")
    messages = [line.split(" duestream.", 1)[1].partition(" job_id=")[0] for line in out.getvalue().splitlines()]
    assert messages == [
        "job failed: Overdraft: 100 % gone",
        "job failed: KeyError: 100 % gone",
        "job failed: Overdraft: 100 % gone",
        "worker something else",
        "job failed: Overdraft: 100 % gone (and 41 more like it)",
    ]


def test_who_is_not_asked_to_be_quiet_tells_of_each_failure() -> None:
    out = io.StringIO()
    logs.configure(stream=out)
    for _ in range(3):
        failed("bank:pay", "Overdraft")
    assert out.getvalue().count("failed: Overdraft: 100 % gone") == 3

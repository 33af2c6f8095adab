"""Logs of the processes: one line an event on standard error, as text or as JSON."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

FIELDS = ("job_id", "function", "attempt")
"""What a record of `duestream.job` carries besides its message."""

FAILURE = "failure"
"""What a record of a failed job carries besides: the type of its error."""

_QUIET_S = 60.0
_MOST_TOLD = 1_000
_COLORS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_CONTROL = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160)) if chr(code) != "\t"}


class LineFormatter(logging.Formatter):
    """`HH:MM:SS.mmm LEVEL logger message key=value`; a traceback follows on lines of its own.

    Args:
        color: Color the level, for a terminal.
    """

    def __init__(self, *, color: bool) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone()
        level = f"{record.levelname:<7}"
        if self._color:
            level = f"\x1b[{_COLORS.get(record.levelname, '0')}m{level}\x1b[0m"
        # One event is one line, whatever a handler logs: nobody can write a false line into the log.
        message = record.getMessage().translate(_CONTROL)
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{time:%H:%M:%S}.{int(record.msecs):03d} {level} {record.name} {message}{fields}"
        trace = _trace(record, self)
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, message, the job's fields, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        event = {"time": time, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        event |= _fields(record)
        if trace := _trace(record, self):
            event["traceback"] = trace
        return json.dumps(event, default=str)


class FewFailures(logging.Filter):
    """For `--quiet`: of the jobs of a function that fail with the same error one a minute is told of, and how many more
    did. Some fail as they are meant to (an overdraft), a thousand times an hour; the records have all of them.

    Args:
        now: Monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._told: dict[tuple[object, object], float] = {}
        self._untold: Counter[tuple[object, object]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        failure = getattr(record, FAILURE, None)
        if failure is None:
            return True
        which, now = (getattr(record, "function", ""), failure), self._now()
        if now - self._told.get(which, float("-inf")) < _QUIET_S:
            self._untold[which] += 1
            return False
        if len(self._told) > _MOST_TOLD:
            self._told.clear()
            self._untold.clear()
        self._told[which] = now
        if more := self._untold.pop(which, 0):
            record.msg, record.args = f"{record.getMessage()} (and {more:,} more like it)", ()
        return True


def configure(verbosity: int = 0, *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (standard error), instead of where they went before.

    Args:
        verbosity: -1 only warnings, and of failed jobs that are alike one a minute; 0 what happens; 1 every step of
            duestream too.
        as_json: JSON lines.
        stream: Where to; colored if it is a terminal.
    """
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter(color=out.isatty()))
    if verbosity < 0:
        handler.addFilter(FewFailures())
    level = logging.WARNING if verbosity < 0 else logging.INFO
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("duestream").setLevel(logging.DEBUG if verbosity > 0 else level)


def _fields(record: logging.LogRecord) -> dict[str, str]:
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}


def _trace(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
    if not parts and record.exc_text:  # of a record that comes from another process
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)

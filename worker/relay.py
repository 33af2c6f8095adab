"""Log records of a cell, which the worker logs as its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_KEPT = ("name", "levelno", "levelname", "created", "msecs", "pathname", "filename", "module", "lineno", "funcName",
         "threadName", "process", "exc_text", "stack_info")  # fmt: skip
_PLAIN = (str, int, float, bool, type(None))


class Relay(logging.Handler):
    """Hands records to the worker, each before the call that logged it returns: a crash after it loses nothing.

    Args:
        say: Sends one record.
    """

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._say = say
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._say(self._plain(record))
        except Exception:  # noqa: BLE001  as every handler of logging does: a log line must not fail a job
            self.handleError(record)

    def _plain(self, record: logging.LogRecord) -> dict[str, Any]:
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        fields = {name: _storable(getattr(record, name, None)) for name in _KEPT}
        extra = {name: _storable(value) for name, value in vars(record).items() if name not in _STANDARD}
        return {**extra, **fields, "msg": _storable(record.getMessage())}


def relay(record: Mapping[str, Any]) -> None:
    """Log a record of a cell."""
    logger = logging.getLogger(record["name"])
    if logger.isEnabledFor(record["levelno"]):
        logger.handle(logging.makeLogRecord(record))


def levels() -> dict[str, int]:
    """The level of each logger that has one of its own; the root's is ''."""
    found = {"": logging.getLogger().level}
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and logger.level:
            found[name] = logger.level
    return found


def install(handler: Relay, wanted: Mapping[str, int]) -> None:
    """Send all logs of this process to the worker, from the levels it logs at."""
    logging.basicConfig(level=wanted[""], handlers=[handler], force=True)
    for name, level in wanted.items():
        logging.getLogger(name).setLevel(level)


def _storable(value: Any) -> Any:
    plain = value if type(value) in _PLAIN else _shown(value)
    return plain.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(plain, str) else plain


def _shown(value: Any) -> str:
    return value.__str__() if isinstance(value, str) else repr(value)

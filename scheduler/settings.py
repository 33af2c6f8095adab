"""What can be set, with its defaults. A flag goes before the environment, the environment before code."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from scheduler.errors import InvalidOption

DEFAULT_QUEUE = "default"
URL_VARIABLE = "REDIS_URL"
KEEP_S = 7 * 24 * 3600
KEEP_COUNT = 100_000

_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_QUEUE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")
_KEY_BYTES = 200
_MOST_TAKEN = 10_000
_MOST = 10**12
_SHOWN_BITS = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call and one mutation may hold at most.

    Attributes:
        args_bytes: The arguments of one job, packed.
        jobs: Jobs scheduled in one mutation, nested calls included (C2.9).
        jobs_bytes: Their arguments together, packed.
        result_bytes: One job's result, packed.
        document_bytes: One document, packed.
        documents_read: Documents read in one mutation. Its queries may find twice as many, counted each time, and each
            query as one too.
        documents_written: Documents written in one mutation.
        written_bytes: Those documents together, packed: a commit is one step of the server, which serves nobody else
            meanwhile.

    Raises:
        InvalidOption: Naming the limit that is no whole number of at least 1.
    """

    args_bytes: int = 8 * 1024 * 1024
    jobs: int = 1_000
    jobs_bytes: int = 16 * 1024 * 1024
    result_bytes: int = 8 * 1024 * 1024
    document_bytes: int = 1024 * 1024
    documents_read: int = 16_000
    documents_written: int = 8_000
    written_bytes: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
                raise InvalidOption(
                    f"limits: {one.name}: expected a whole number from 1 to {_MOST:,}, got {_show(value)}"
                )


def url_from(environment: Mapping[str, str] = os.environ) -> str | None:
    """The server's url from `REDIS_URL`, None where it is not set or empty."""
    return environment.get(URL_VARIABLE) or None


def check_namespace(namespace: object) -> str:
    """Check an app's namespace: it becomes the hash tag of every key."""
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise InvalidOption(f"namespace: expected 1 to 64 letters, digits, '_', '.' or '-', got {_show(namespace)}")
    return str.__str__(namespace)  # of an enum's member its value: scripts and keys must see the same


def check_queue(queue: object) -> str:
    """Check a queue's name."""
    if not isinstance(queue, str) or not _QUEUE.fullmatch(queue):
        raise InvalidOption(f"queue: expected 1 to 64 letters, digits, '_', '.' or '-', got {_show(queue)}")
    return str.__str__(queue)


def check_name(name: object) -> str:
    """Check a function's name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidOption(
            f"function: expected a name like 'shop:place_order' (1 to 200 characters), got {_show(name)}"
        )
    return str.__str__(name)


def check_key(key: object) -> str:
    """Check an idempotency key: any text without control characters, 1 to 200 bytes in UTF-8."""
    if not isinstance(key, str) or not key.isprintable() or not 1 <= _bytes(key) <= _KEY_BYTES:
        raise InvalidOption(f"idempotency_key: expected 1 to {_KEY_BYTES} bytes of printable text, got {_show(key)}")
    return str.__str__(key)


def at_least_zero(name: str, value: object) -> float:
    """Check a number that may be 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise InvalidOption(f"{name}: expected a number of at least 0, got {_show(value)}")
    if value > _MOST:
        raise InvalidOption(f"{name}: expected at most {_MOST:,}, got {_show(value)}")
    return value


def check_patience(timeout: object) -> float | None:
    """Check how many seconds somebody waits, None for ever."""
    return None if timeout is None else at_least_zero("timeout", timeout)


def check_whole(name: str, value: object) -> int:
    """Check a whole number that may be 0."""
    if not isinstance(value, int):
        raise InvalidOption(f"{name}: expected a whole number of at least 0, got {_show(value)}")
    return int(at_least_zero(name, value))


def check_flag(name: str, value: object) -> bool:
    """Check a yes or no: a text that says "no" would count as yes."""
    if not isinstance(value, bool):
        raise InvalidOption(f"{name}: expected True or False, got {_show(value)}")
    return value


def check_url(url: object) -> str | None:
    """Check the url of a server, '' and None where there is none; what it says is seen when it is used."""
    if url is not None and not isinstance(url, str):
        raise InvalidOption(f"url: expected a text like 'redis://host:6379/0', got {_show(url)}")
    return url or None


def check_limits(limits: object) -> Limits:
    """Check the limits of an app, the default ones where they are None."""
    if limits is not None and not isinstance(limits, Limits):
        raise InvalidOption(f"limits: expected Limits(...), got {_show(limits)}")
    return limits or Limits()


def check_timeout(value: object) -> float:
    """Check the seconds that a client's call may take."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST:
        raise InvalidOption(f"timeout: expected a number of seconds above 0, got {_show(value)}")
    return float(value)


def check_count(name: str, value: object) -> int:
    """Check a number of things to read at once."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_TAKEN:
        raise InvalidOption(f"{name}: expected a whole number from 1 to {_MOST_TAKEN:,}, got {_show(value)}")
    return value


def check_exceptions(value: object) -> tuple[type[Exception], ...]:
    """Check a tuple of exception classes."""
    if not isinstance(value, tuple) or not all(isinstance(t, type) and issubclass(t, Exception) for t in value):
        raise InvalidOption(f"transient: expected a tuple of exception classes, got {value!r}")
    return value


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _show(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"an int of {value.bit_length()} bits"
    text = repr(value) if isinstance(value, str | bytes | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."

"""Names of functions, job ids, queues, idempotency keys, namespaces, cursors (C2.6, C4)."""

from __future__ import annotations

from enum import Enum
from typing import Any

from scheduler import DuestreamError, InvalidCall, InvalidJobId, InvalidOption, UnknownFunction
from tests.faults.corpus.case import Bad


class Word(Enum):
    ONE = "one"


def bad(
    what: str,
    id: str,  # noqa: A002
    value: Any,
    error: type[DuestreamError],
    culprit: str,
    *,
    text: bool = True,
) -> Bad:
    written = value if isinstance(value, str) and text and "\0" not in value and value.isascii() else None
    return Bad(f"{what} {id}", lambda: value, error, culprit, written)


_MALFORMED: tuple[tuple[str, Any], ...] = (
    ("empty", ""),
    ("a space", " "),
    ("with a space", "a b"),
    ("with a trailing newline", "name\n"),
    ("with CRLF", "a\r\nSET x y\r\n"),
    ("with a NUL", "a\0b"),
    ("of braces", "{x}"),
    ("of a glob", "*"),
    ("of quotes", "'; DROP TABLE jobs; --"),
    ("of another alphabet", "имя"),
    ("of 10 kB", "x" * 10_000),
    ("a lone surrogate", "\ud800"),
)

_OF_OTHER_TYPES: tuple[tuple[str, Any], ...] = (
    ("an int", 5),
    ("bytes", b"name"),
    ("a list", ["name"]),
    ("an object", object()),
    ("an enum of a str", Word.ONE),
)

FUNCTIONS = (
    *(bad("function", name, value, InvalidOption, "function") for name, value in _MALFORMED),
    *(bad("function", name, value, InvalidCall, "function") for name, value in _OF_OTHER_TYPES),
    bad("function", "None", None, InvalidCall, "function"),
    bad("function", "a plain function", len, InvalidCall, "function"),
    *(
        bad("function", f"unknown {name}", name, UnknownFunction, name)
        for name in (
            "no:such",
            "__import__",
            "os:system",
            "builtins:eval",
            "../../etc/passwd",
            "corpus:take/..",
            "Corpus:take",
        )
    ),
)

QUEUES = (
    *(bad("queue", name, value, InvalidOption, "queue") for name, value in (*_MALFORMED, *_OF_OTHER_TYPES)),
    bad("queue", "a path", "../due", InvalidOption, "queue"),
    bad("queue", "a key", "a:b", InvalidOption, "queue"),
    bad("queue", "65 characters", "q" * 65, InvalidOption, "queue"),
)

KEYS = (
    *(
        bad("key", name, value, InvalidOption, "idempotency_key")
        for name, value in (
            ("empty", ""),
            ("with a newline", "a\n"),
            ("with CRLF", "a\r\nb"),
            ("with a NUL", "a\0b"),
            ("of 201 bytes", "k" * 201),
            ("of 10 kB", "k" * 10_000),
            ("of 67 times three bytes", "€" * 67),
            ("a lone surrogate", "\ud800"),
            ("right to left", "a\u202eb"),
            ("an escape", "\x1b[31m"),
        )
    ),
    *(bad("key", name, value, InvalidOption, "idempotency_key") for name, value in _OF_OTHER_TYPES),
)

JOB_IDS = tuple(
    bad("job id", name, value, InvalidJobId, "job id")
    for name, value in (
        *_MALFORMED,
        *_OF_OTHER_TYPES,
        ("None", None),
        ("a path", "../" + "0" * 23),
        ("lower case", "01jd6q2m8xk0t9v4w5y7z3abcd"),
        ("27 characters", "01JD6Q2M8XK0T9V4W5Y7Z3ABCDE"),
        ("25 characters", "01JD6Q2M8XK0T9V4W5Y7Z3ABC"),
        ("too late", "8" + "Z" * 25),
        ("letters that are none", "01JD6Q2M8XK0T9V4W5Y7Z3ABIL"),
        ("a trailing newline", "01JD6Q2M8XK0T9V4W5Y7Z3ABCD\n"),
        ("other digits", "\u0660" * 26),
    )
)

NAMESPACES = (
    *(bad("namespace", name, value, InvalidOption, "namespace") for name, value in (*_MALFORMED, *_OF_OTHER_TYPES)),
    bad("namespace", "None", None, InvalidOption, "namespace"),
    bad("namespace", "a path", "../x", InvalidOption, "namespace"),
    bad("namespace", "65 characters", "n" * 65, InvalidOption, "namespace"),
    bad("namespace", "that closes the tag", "a}:x{", InvalidOption, "namespace"),
)

CURSORS = tuple(
    bad("cursor", name, value, InvalidOption, "cursor")
    for name, value in (
        ("empty", ""),
        ("a word", "next"),
        ("CRLF", "a\r\nb"),
        ("of another key", "spec:x/1"),
        ("10 kB", "x" * 10_000),
        ("an int", 5),
        ("bytes", b"due:default/1"),
        ("an injection", "due:corpus/(1~1~x"),
        ("NaN", "due:corpus/nan~1~A"),
    )
)

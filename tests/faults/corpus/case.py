"""What a case of the corpus is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scheduler import DuestreamError


@dataclass(frozen=True)
class Bad:
    """A value that is refused, wherever it comes from.

    Attributes:
        id: Its name among the tests.
        make: Makes it anew, for it may be large or change.
        error: The error of the tree that refuses it.
        culprit: What the message has to name.
        text: How it is written as the value of an option of the command line, None where it cannot be.
        json: How it is written in NDJSON or `--args`, None where it cannot be.
    """

    id: str
    make: Callable[[], Any]
    error: type[DuestreamError]
    culprit: str
    text: str | None = None
    json: str | None = None


@dataclass(frozen=True)
class Good:
    """A value that looks bad and has to be taken: it comes back as it was.

    Attributes:
        id: Its name among the tests.
        make: Makes it anew.
        json: How it is written in `--args`, None where it cannot be.
    """

    id: str
    make: Callable[[], Any]
    json: str | None = None


@dataclass(frozen=True)
class Refusal:
    """A call, a declaration or a setting that is refused.

    Attributes:
        id: Its name among the tests.
        do: Does it; never awaits.
        error: What it raises.
        culprit: What the message has to name.
    """

    id: str
    do: Callable[[], Any]
    error: type[Exception]
    culprit: str


@dataclass(frozen=True)
class Words:
    """A command line that is refused.

    Attributes:
        id: Its name among the tests.
        words: The words after `duestream`; `{…}` are filled in by the stage.
        code: The exit code: 2 for wrong usage, 1 for what is refused for other reasons.
        culprit: What the message has to name.
        stdin: Standard input.
    """

    id: str
    words: tuple[str, ...]
    code: int
    culprit: str
    stdin: str | bytes = ""

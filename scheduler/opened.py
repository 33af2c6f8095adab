"""What a client and its twins with other options share: whether it is open, and on what."""

from __future__ import annotations

import os
import warnings
from typing import Generic, TypeVar

from scheduler.errors import NotOpen

S = TypeVar("S")


class Opened(Generic[S]):
    """Holds what is open, for one client and all that its `options` returned.

    One that is collected while it owns something open says so with a ResourceWarning.

    Args:
        name: The client in messages: "Scheduler of app 'shop'".
        usage: How it is opened.
    """

    def __init__(self, name: str, usage: str) -> None:
        self._name = name
        self._usage = usage
        self._held: S | None = None
        self._owned = False
        self._closed = False
        self._pid = 0

    def __bool__(self) -> bool:
        return self._held is not None

    def put(self, held: S, *, owned: bool) -> None:
        """Open; `owned` where it is the client that has to close it."""
        self._held, self._owned, self._closed, self._pid = held, owned, False, os.getpid()

    def get(self) -> S:
        """What is open.

        Raises:
            NotOpen: Nothing is, not yet or not any more; or it was opened before this process was forked: parent and
                child would read each other's replies.
        """
        if self._held is None:
            state = "closed" if self._closed else "not open"
            raise NotOpen(f"the {self._name} is {state}: use `{self._usage}`")
        if self._pid != os.getpid():
            raise NotOpen(
                f"the {self._name} was opened by process {self._pid}, before the fork: open one in this process"
            )
        return self._held

    def take(self) -> S | None:
        """Close: what was open, None where nothing is."""
        held, self._held = self._held, None
        self._closed = self._closed or held is not None
        return held

    def __del__(self) -> None:
        if self._held is not None and self._owned and self._pid == os.getpid():
            warnings.warn(f"unclosed {self._name}: use `{self._usage}`", ResourceWarning, stacklevel=2, source=self)

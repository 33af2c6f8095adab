"""The process that a client belongs to: connections and ids do not survive a fork."""

from __future__ import annotations

import os


class Home:
    """Remembers the process in which a client was opened.

    Args:
        owner: What the client is called in errors.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._pid: int | None = None

    def settle(self) -> None:
        """It is this process."""
        self._pid = os.getpid()

    def check(self) -> None:
        """Refuse another process: parent and child would read each other's replies.

        Raises:
            RuntimeError: This is not the process in which it was opened.
        """
        if os.getpid() != self._pid:
            raise RuntimeError(
                f"this {self._owner} was opened by process {self._pid}, and this is its child {os.getpid()}: "
                "open one after the fork"
            )

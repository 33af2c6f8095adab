"""A Redis server of our own, for the terminal and for tests: one per data directory, shared by whoever needs it.

The first user starts it, the last one shuts it down. `home` is the directory and its locks, `process` the server's
start and end.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Self

from scheduler.embedded.home import Home, Server, usable
from scheduler.embedded.process import directives, end, find_server, join, launch
from scheduler.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["EmbeddedServer", "discover", "find_server"]


def discover(directory: Path | str = ".duestream") -> str | None:
    """The url of the live server of `directory`, None if there is none. It does not count as a user.

    Raises:
        ConfigurationError: the directory cannot be used, or somebody else can write in it.
    """
    path = Path(directory)
    with usable(path):
        home = Home.find(path)
        if home is None:
            return None
        with contextlib.closing(home):
            server = home.server()
    return server.url if server else None


class EmbeddedServer:
    """A use of the server of one data directory; the first use starts it, the end of the last shuts it down.

    Args:
        directory: Where data, log and locks live; made with mode 0700 and kept out of git.
        persistent: Append-only file, synced every second; if False no data is written to disk or read from it.
        config: Further directives of the server's configuration file.
        program: The server program to start, that of a Redis 7.0 or newer or of a Valkey; None: see `find_server`.

    What is asked for matters to the use that starts the server; a server that runs already is shared as it is.

    A process that ends without `stop`, by a signal for instance, leaves the server to the other users or, as an
    orphan, to the next one.

    Raises:
        ConfigurationError: a directive in `config` is one that the launcher sets, or does not fit on a line.
    """

    def __init__(
        self,
        directory: Path | str = ".duestream",
        *,
        persistent: bool = True,
        config: Mapping[str, str] | None = None,
        program: Path | str | None = None,
    ) -> None:
        self._path = Path(directory)
        self._program = None if program is None else Path(program).absolute()
        self._directives = directives(persistent=persistent, config=config or {})
        self._home: Home | None = None
        self._server: Server | None = None

    def start(self) -> str:
        """Start the server, or join the one that runs; returns its url when it answers. Twice is once.

        Raises:
            ConfigurationError: no server program, an unusable directory or directive, or a server that does not
                answer in time; then the message ends with the last lines of its log.
        """
        if self._home is None:
            with usable(self._path), contextlib.ExitStack() as undo:
                home = Home.make(self._path)
                undo.callback(home.close)
                with home.turn():
                    server = join(home) or launch(home, self._directives, self._program)
                    home.enter()
                self._home, self._server = home, server
                undo.pop_all()
        return self.url

    def stop(self) -> None:
        """Leave the server; the last user shuts it down and waits for its end. Twice is once.

        Raises:
            ConfigurationError: the server did not end, not even by SIGKILL.
        """
        home, server = self._home, self._server
        self._home = self._server = None
        if home is None or server is None:
            return
        with contextlib.closing(home), home.turn():
            if home.leave():
                end(home, server.pid)

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:PORT/0`, the same after a restart if the port is still free."""
        return self._started().url

    @property
    def pid(self) -> int:
        """The server's process id, as it was at `start`."""
        return self._started().pid

    def _started(self) -> Server:
        if self._server is None:
            raise ConfigurationError(f"the server of {self._path} is not in use: call start() first")
        return self._server

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

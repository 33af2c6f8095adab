"""The servers of the matrix: each is the one it is called, and tests run on the one they are told."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import redis

from scheduler import EmbeddedServer
from tests import servers
from tests.servers import NoServer, faketime, program


def version(url: str) -> str:
    """As `valkey-9` or `redis-7.0`."""
    with redis.Redis.from_url(url) as client:
        info = client.info("server")
    if "valkey_version" in info:
        return f"valkey-{str(info['valkey_version']).split('.')[0]}"
    major, minor, _ = str(info["redis_version"]).split(".")
    return f"redis-{major}.{minor}"


@pytest.mark.parametrize("name", ["valkey-9", "redis-7.0"])
def test_a_server_is_the_one_it_is_called(tmp_path: Path, name: str) -> None:
    with EmbeddedServer(tmp_path, persistent=False, program=program(name)) as server:
        assert version(server.url) == name


def test_tests_run_on_the_server_they_are_told(url: str) -> None:
    assert version(url).startswith(os.environ.get(servers.VARIABLE) or "valkey-9")


def test_faketime_gives_a_server_another_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", str(faketime()))
    monkeypatch.setenv("FAKETIME", "+3600s")
    with EmbeddedServer(tmp_path, persistent=False, program=program("valkey-9")) as server:
        monkeypatch.undo()
        with redis.Redis.from_url(server.url) as client:
            assert client.time()[0] - time.time() == pytest.approx(3600, abs=60)


def test_a_server_that_is_not_here_is_an_error_that_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "ROOT", tmp_path)
    monkeypatch.setattr(servers, "_redis_7", lambda: None)
    with pytest.raises(NoServer, match=r"redis-server is not here: run `make servers`$"):
        program("redis-7.0")
    with pytest.raises(NoServer, match=r"libfaketime.so.1 is not here: run `make servers`$"):
        faketime()
    with pytest.raises(NoServer, match=r"valkey-server is not here: run `make servers-all`$"):
        program("valkey-8")
    with pytest.raises(NoServer, match="no server of the matrix is called 'redis-1'"):
        program("redis-1")
    assert servers.installed() == ["valkey-9"]


def test_redis_7_on_path_is_taken_and_another_version_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = program("redis-7.0")
    there = tmp_path / "redis-server"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    there.write_text("#!/bin/sh\necho Redis server v=7.0.15 sha=00000000:0\n")
    there.chmod(0o755)
    assert program("redis-7.0") == there
    there.write_text("#!/bin/sh\necho Redis server v=8.0.2 sha=00000000:0\n")
    assert program("redis-7.0") == ours


def test_a_package_that_cannot_be_fetched_is_an_error_with_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho no network >&2\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(servers, "ROOT", tmp_path / "servers")
    with pytest.raises(NoServer, match=r"(?s)apt-get .*update.*no network"):
        servers.fetch(everything=False)


def test_what_is_here_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoServer, match="no apt-get"):
        servers.fetch(everything=False)
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian" / "complete").touch()
    servers.fetch(everything=False)

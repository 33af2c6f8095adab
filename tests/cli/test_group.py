"""The group: its errors, for commands of others too; and the console script as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from scheduler import Unavailable
from scheduler.cli import cli
from scheduler.cli.group import Cli, Noun
from tests.cli.conftest import Room

# Whoever runs tests in the background may have them ignore Ctrl-C, and children inherit that.
HEEDED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
SCRIPT = [sys.executable, "-c", f"{HEEDED}; from scheduler.cli import cli; cli(prog_name='duestream')"]


def raising(error: BaseException) -> Result:
    """What becomes of an error in a command that somebody else added."""

    @click.command()
    def act() -> None:
        raise error

    group = Cli("duestream")
    group.add_command(act)
    return CliRunner().invoke(group, ["act"])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Unavailable("Redis did not answer:\n no\x1b[0m route"), "error: Redis did not answer: no [0m route\n"),
        (KeyboardInterrupt(), "error: interrupted\n"),
        (BrokenPipeError(32, "Broken pipe"), "error: nobody reads the output any more\n"),
    ],
)
def test_an_error_is_one_line(error: BaseException, line: str) -> None:
    result = raising(error)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line)


def test_an_error_of_the_client_library_is_one_line() -> None:
    from redis.exceptions import ResponseError

    assert raising(ResponseError("WRONGTYPE of key")).stderr == "error: Redis: WRONGTYPE of key\n"


def test_a_bug_keeps_its_traceback() -> None:
    assert isinstance(raising(ZeroDivisionError("ours")).exception, ZeroDivisionError)


def test_a_command_with_the_name_of_a_noun_is_what_the_noun_does() -> None:
    @click.command()
    @click.argument("target")
    @click.option("--count", type=int, default=1, help="How many.")
    def worker(target: str, count: int) -> None:
        """Run jobs."""
        click.echo(f"{target} x{count}")

    group, noun = Cli("duestream"), Noun("worker")
    noun.add_command(click.Command("list", callback=lambda: click.echo("listed")))
    group.add_command(noun)
    group.add_command(worker)

    def said(*words: str) -> str:
        return CliRunner().invoke(group, list(words)).output

    assert said("worker", "shop:app") == "shop:app x1\n"
    assert said("worker", "--count", "3", "shop:app") == "shop:app x3\n"
    assert said("worker", "list") == "listed\n"
    assert "How many." in said("worker", "--help")
    assert re.search(r"Commands:\n  list", said("worker", "--help"))
    assert "Run jobs." in said("--help")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_everywhere(flag: str) -> None:
    names = [[], *([name] for name in cli.commands), ["job", "show"], ["queue", "list"]]
    for words in names:
        result = CliRunner().invoke(cli, [*words, flag])
        assert result.exit_code == 0, words
        assert result.stdout.startswith("Usage: "), words


def test_version() -> None:
    assert re.fullmatch(r"duestream, version \d+\.\d+\.\d+\n", CliRunner().invoke(cli, ["--version"]).stdout)


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from scheduler.cli import cli; cli(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"rich", "scheduler.cli.feed", "difflib"} & set(done.stdout.split())


def test_a_real_process_prints_only_the_id(room: Room) -> None:
    done = subprocess.run(
        [*SCRIPT, "enqueue", "shop:order", "item=42"],
        env={**os.environ, **room.environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    job = room.scheduler.get(done.stdout.strip())
    assert job is not None
    assert job.kwargs == {"item": 42}


def test_a_reader_that_goes_away_costs_no_traceback(room: Room) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*SCRIPT, "queue", "list"],
        env={**os.environ, **room.environment}, stdout=write, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "error: nobody reads the output any more\n")


def test_ctrl_c_is_one_line(room: Room) -> None:
    room.ok("enqueue", "shop:order", "item=1", "--key", "k")
    process = subprocess.Popen(
        [*SCRIPT, "enqueue", "shop:order", "--key", "k", "item=1", "--wait"],
        env={**os.environ, **room.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    job_id = room.scheduler.list().jobs[0].id
    while not room.store.command("HEXISTS", room.keys.status(job_id), "waiters"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (1, "", f"waiting for {job_id}\nerror: interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_runs_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    process = subprocess.Popen(
        [*SCRIPT, "server", "--dir", "data"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    look = [*SCRIPT, "info", "-n", "x", "--url", url]
    assert subprocess.run(look, env=environment, capture_output=True, check=False).returncode == 0
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert subprocess.run(look, env=environment, capture_output=True, check=False).returncode == 1


def test_a_server_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*SCRIPT, "server", "--dir", "data", "--json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    text = "".join(iter(process.stdout.readline, "}\n")) + "}"
    os.kill(json.loads(text)["pid"], signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (1, "error: the server has ended, not by this command\n")

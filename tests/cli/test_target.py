"""Which app and which server: flags, environment, and the only app on a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler import inspector
from scheduler.clients import blocking_client
from scheduler.keys import Keys
from scheduler.store import BlockingStore
from tests.cli.conftest import Room


@pytest.fixture
def other(empty: Room) -> Iterator[BlockingStore]:
    """A database of its own, empty before and after."""
    store = BlockingStore(Keys("unused"), blocking_client(empty.url.removesuffix("/0") + "/9"))
    yield store
    store.command("FLUSHDB")
    store.close()


def run(room: Room, *words: str) -> tuple[int, str]:
    url = room.url.removesuffix("/0") + "/9"
    result = room.run("info", "--json", *words, "--url", url, DUESTREAM_NAMESPACE=None)
    return result.exit_code, result.stderr or result.stdout


def test_the_only_app_on_the_server_is_meant(empty: Room, other: BlockingStore) -> None:
    other.command("SADD", "{only}:queues", "default")
    other.command("HSET", "{only}:functions", "a", "{}")
    other.command("SET", "{only}:doc:a:queues", "no app of its own")
    code, text = run(empty)
    assert code == 0
    assert '"namespace": "only"' in text


def test_several_apps_are_listed(empty: Room, other: BlockingStore) -> None:
    other.command("SADD", "{one}:queues", "default")
    other.command("HSET", "{two}:functions", "a", "{}")
    assert run(empty) == (1, "error: several apps use this server: pass --namespace with one of one, two\n")
    assert run(empty, "-n", "two")[0] == 0


def test_a_server_without_apps(empty: Room, other: BlockingStore) -> None:
    other.command("SET", "something", "else")
    code, text = run(empty)
    assert (code, text.startswith("error: no app has used this server yet: pass --app or --namespace")) == (1, True)


def test_the_search_is_bounded(empty: Room, other: BlockingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "MOST_SCANS", 1)
    monkeypatch.setattr(inspector, "SCAN_COUNT", 10)
    other.command("MSET", *(word for number in range(200) for word in (f"key:{number}", "1")))
    code, text = run(empty)
    assert (code, "too many keys to look for its app: pass --namespace" in text) == (1, True)


def test_a_flag_goes_before_the_environment(room: Room) -> None:
    result = room.run("info", "--json", "-a", f"{room.module}:app", DUESTREAM_NAMESPACE="elsewhere")
    assert f'"namespace": "{room.app.namespace}"' in result.stdout
    result = room.run("info", "--json", "-n", "flag")
    assert '"namespace": "flag"' in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-a", "nowhere"], "expected MODULE:APP"),
        (["-a", "nowhere:app"], "cannot import nowhere: there is no module"),
        (["-a", "json:dumps"], "expected an App, got a function"),
        (["-n", "a b"], "--namespace: expected 1 to 64 letters"),
        (["-u", "nonsense"], "--url: "),
        (
            ["-u", "redis://127.0.0.1:1/0", "--redis-timeout", "200ms"],
            "Redis at 127.0.0.1:1 did not answer within 0.2 s: ",
        ),
        (["-u", "redis://127.0.0.1:1/0", "-n", "x", "--redis-timeout", "200ms"], "did not answer within 0.2 s"),
    ],
)
def test_what_cannot_be_used_is_one_line(empty: Room, words: list[str], message: str) -> None:
    result = empty.run("queue", "list", *words, DUESTREAM_NAMESPACE=None)
    wrong_usage = message.startswith(("--", "expected MODULE"))
    assert (result.exit_code, result.stdout) == (2 if wrong_usage else 1, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_module_that_fails_says_where(empty: Room) -> None:
    with open("broken_app.py", "w") as file:  # noqa: PTH123 - the working directory is the test's
        file.write("\n1 / 0\n")
    result = empty.run("function", "list", "-a", "broken_app:app")
    assert result.stderr == "error: cannot import broken_app: broken_app.py:2: ZeroDivisionError: division by zero\n"


def test_no_server_at_all(empty: Room) -> None:
    result = empty.run("queue", "list", REDIS_URL=None)
    assert result.exit_code == 1
    assert "no Redis server: pass --url or set REDIS_URL" in result.stderr


def test_refused_credentials(empty: Room) -> None:
    url = empty.url.replace("redis://", "redis://nobody:wrong@")
    result = empty.run("queue", "list", REDIS_URL=url)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: Redis refused the credentials")
    assert "wrong@" not in result.stderr


def test_a_user_that_may_not_do_it(empty: Room) -> None:
    empty.store.command("ACL", "SETUSER", "guest", "on", "nopass", "+time", "~*")
    try:
        result = empty.run("queue", "list", REDIS_URL=empty.url.replace("redis://", "redis://guest:x@"))
        assert result.exit_code == 1
        assert result.stderr.startswith("error: Redis refused the credentials or lacks a permission")
    finally:
        empty.store.command("ACL", "DELUSER", "guest")

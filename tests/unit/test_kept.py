"""Blocking connections at hand, and commands sent ahead of their replies."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from scheduler import Unavailable
from scheduler.clients import blocking_client
from scheduler.keys import Keys
from scheduler.role import Role
from scheduler.script_call import Transition
from scheduler.scripts import Script
from scheduler.store import BlockingStore
from tests.acl import administer, as_role
from tests.conftest import DEADLINE_S, until

ECHO = Script("echo", "return ARGV[1]", "e" * 40, "return ARGV[1]")
REFUSE = Script("refuse", "return redis.error_reply('WRONGTYPE no')", "f" * 40, "")


@pytest.fixture
def store(url: str) -> Iterator[BlockingStore]:
    store = BlockingStore(Keys("_"), blocking_client(as_role(url, Role.PRODUCER)), timeout_s=2.0)
    yield store
    store.close()


def echo(text: str) -> Transition[bytes]:
    return Transition(ECHO, [text], bytes)


def clients(url: str) -> int:
    return len(administer(url, "CLIENT", "LIST", "TYPE", "normal").splitlines())


def test_one_connection_serves_one_command_after_the_other(store: BlockingStore, url: str) -> None:
    assert store.command("PING") == b"PONG"
    before = clients(url)
    for _ in range(20):
        assert store.command("PING") == b"PONG"
    assert clients(url) == before


def test_threads_do_not_share_a_connection(store: BlockingStore) -> None:
    wrong: list[bytes] = []

    def ask(number: int) -> None:
        for place in range(50):
            text = f"{number}-{place}"
            if (found := store.run(echo(text))) != text.encode():
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_connection_that_was_closed_meanwhile_is_not_used(store: BlockingStore, url: str) -> None:
    assert store.command("PING") == b"PONG"
    administer(url, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert store.command("PING") == b"PONG"


def test_replies_come_in_order(store: BlockingStore) -> None:
    texts = [str(number) for number in range(20)]
    assert list(store.run_all(echo(text) for text in texts)) == [text.encode() for text in texts]
    assert list(store.run_all(iter(()))) == []
    assert store.command("PING") == b"PONG"


def test_what_was_on_the_wire_when_it_was_cut_is_sent_again(store: BlockingStore, url: str) -> None:
    # C2.10
    def coming() -> Iterator[Transition[bytes]]:
        for number in range(20):
            if number % 5 == 4:
                administer(url, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            yield echo(str(number))

    assert list(store.run_all(coming())) == [str(number).encode() for number in range(20)]


def test_a_refusal_is_raised_for_the_first_that_was_refused(store: BlockingStore) -> None:
    coming = iter([echo("0"), Transition(REFUSE, [], bytes), echo("2")])
    done: list[bytes] = []
    with pytest.raises(Exception, match="WRONGTYPE no"):
        done.extend(store.run_all(coming))
    assert store.run(echo("next")) == b"next"


def test_what_comes_before_a_wrong_one_is_answered_first(store: BlockingStore) -> None:
    # C2.11
    read: list[bytes] = []

    def coming() -> Iterator[Transition[None]]:
        for number in range(2):
            yield Transition(ECHO, [str(number)], read.append)
        raise KeyError("wrong")

    with pytest.raises(KeyError):
        list(store.run_all(coming()))
    assert read == [b"0", b"1"]
    assert store.run(echo("next")) == b"next"


def test_a_server_that_is_away_is_told_within_the_time() -> None:
    store = BlockingStore(Keys("_"), blocking_client("redis://127.0.0.1:1/0"), timeout_s=0.2)
    try:
        with pytest.raises(Unavailable):
            list(store.run_all(iter([echo("a"), echo("b")])))
    finally:
        store.close()


FORK = """
import os, sys
from scheduler.clients import blocking_client
from scheduler.keys import Keys
from scheduler.store import BlockingStore

store = BlockingStore(Keys("_"), blocking_client(sys.argv[1]), timeout_s=5)
store.command("PING")
told, tells = os.pipe()
child = os.fork()
if not child:
    assert store.command("ECHO", "child") == b"child"
    store.close()
    os.write(tells, b".")
    os._exit(0)
os.close(tells)
assert os.read(told, 1) == b"."
assert store._kept._idle[0].can_read(0) is False
assert store.command("ECHO", "parent") == b"parent"
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_fork_takes_connections_of_its_own_and_closes_none_of_its_parents(url: str) -> None:
    # They would read each other's replies.
    found = subprocess.run([sys.executable, "-c", FORK, url], capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stderr) == (0, "")


async def test_who_waits_for_a_connection_gets_the_next_that_is_given_back(url: str) -> None:
    # It was kept at hand for others, and whoever waited for it waited on.
    store = BlockingStore(Keys("_"), blocking_client(f"{url}?max_connections=2"), timeout_s=DEADLINE_S)
    kept = store._kept
    taken, replies = [kept.take(), kept.take()], list[bytes]()
    waiting = threading.Thread(target=lambda: replies.append(store.command("PING")))
    waiting.start()
    try:
        await until(lambda: bool(kept._wanting))
        kept.give(taken.pop())
        await until(lambda: replies == [b"PONG"])
    finally:
        kept.give(taken.pop())
        waiting.join()
        store.close()


def test_the_wait_for_a_connection_is_a_part_of_the_time(url: str) -> None:
    store = BlockingStore(Keys("_"), blocking_client(f"{url}?max_connections=1"), timeout_s=0.4)
    taken, started = store._kept.take(), time.monotonic()
    try:
        with pytest.raises(Unavailable):
            store.command("PING")
        assert time.monotonic() - started < 3
    finally:
        store._kept.give(taken)
        store.close()

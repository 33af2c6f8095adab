"""The proxy does what its rules say, and nothing else."""

from __future__ import annotations

import contextlib
import gc
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scheduler import App, SyncScheduler
from tests.faults.proxy import Proxy
from tests.faults.resp import Framer, read_request
from tests.faults.rules import Fault, Rule
from tests.worker.processes import wait_until

KEY = "{proxy}:key"
LOST = (redis.ConnectionError, redis.TimeoutError)


def connect(url: str, timeout_s: float = 0.3) -> redis.Redis:
    return redis.Redis.from_url(
        url, protocol=2, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )


@pytest.fixture
def direct(url: str) -> Iterator[redis.Redis]:
    """A client that goes around the proxy."""
    with connect(url, 5) as client:
        yield client
        client.delete(KEY)


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    with connect(proxy.url) as client:
        yield client


def number(direct: redis.Redis) -> int:
    return int(direct.get(KEY) or 0)


MESSAGES = [
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":12\r\n",
    b"$3\r\nabc\r\n",
    b"$0\r\n\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"$9\r\n*2\r\n$1\r\nb\r\n",
    b"*2\r\n*1\r\n$2\r\n\r\n\r\n*3\r\n:1\r\n$-1\r\n*0\r\n",
    b"%1\r\n+key\r\n~2\r\n:1\r\n_\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\n\r\n$1\r\r\n",
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_messages_are_found_in_pieces_of_any_size(size: int) -> None:
    framer, wire, found = Framer(), b"".join(MESSAGES * 2), []
    for start in range(0, len(wire), size):
        found += framer.feed(wire[start : start + size])
    assert found == MESSAGES * 2


def test_random_messages_are_found() -> None:
    rng = random.Random(4)
    wire = [
        b"".join([b"*%d\r\n" % len(args), *(b"$%d\r\n%s\r\n" % (len(arg), arg) for arg in args)])
        for args in ([rng.randbytes(rng.randrange(40)) for _ in range(rng.randrange(1, 9))] for _ in range(200))
    ]
    framer, found, stream = Framer(), [], b"".join(wire)
    while stream:
        size = rng.randrange(1, 200)
        found += framer.feed(stream[:size])
        stream = stream[size:]
    assert found == wire


def test_a_request_is_read_with_empty_and_binary_arguments() -> None:
    request = read_request(b"*4\r\n$3\r\nSeT\r\n$0\r\n\r\n$4\r\n\r\n\r\n\r\n$2\r\n\xff\x00\r\n", 3)
    assert request.args == (b"SeT", b"", b"\r\n\r\n", b"\xff\x00")
    assert (request.step, request.connection) == ("set", 3)


def test_nothing_is_changed_on_the_way(client: redis.Redis, proxy: Proxy, direct: redis.Redis) -> None:
    value = random.Random(5).randbytes(3_000_000)
    with connect(proxy.url, 10) as patient:
        assert patient.set(KEY, value)
        assert patient.get(KEY) == direct.get(KEY) == value
    with client.pipeline(transaction=True) as pipeline:
        for _ in range(500):
            pipeline.ping()
        assert pipeline.execute() == [True] * 500
    assert proxy.steps["ping"] == 500
    assert proxy.faults == {}


def test_scripts_are_known_by_their_verb(proxy: Proxy, namespace: str) -> None:
    app = App(namespace)
    app.mutation(name="m:f")(lambda ctx: None)
    with SyncScheduler(app, url=proxy.url) as scheduler:
        job_id = scheduler.run_after(0, "m:f")
        scheduler.cancel(job_id)
    assert proxy.steps["schedule"] >= 1
    assert proxy.steps["cancel"] >= 1


@pytest.mark.parametrize(
    ("fault", "applied"),
    [
        (Fault.DROP, 0),
        (Fault.CUT_BEFORE, 0),
        (Fault.HALF_BEFORE, 0),
        (Fault.RESET_BEFORE, 0),
        (Fault.SWALLOW, 1),
        (Fault.CUT_AFTER, 1),
        (Fault.HALF_AFTER, 1),
        (Fault.RESET_AFTER, 1),
    ],
)
def test_a_fault_strikes_its_request_alone(
    client: redis.Redis, proxy: Proxy, direct: redis.Redis, fault: Fault, applied: int
) -> None:
    rule = proxy.add(Rule(fault, "incrby", nth=2))
    assert client.incr(KEY) == 1
    with pytest.raises(LOST):
        client.incr(KEY)
    assert rule.wait().args == (b"INCRBY", KEY.encode(), b"1")
    assert number(direct) == 1 + applied
    assert client.incr(KEY) == 2 + applied  # by a new connection
    assert (proxy.faults[fault], len(rule.struck)) == (1, 1)


@pytest.mark.parametrize("fault", [Fault.HOLD_BEFORE, Fault.HOLD_AFTER])
def test_what_is_held_comes_after_the_release_whoever_is_left(
    client: redis.Redis, proxy: Proxy, direct: redis.Redis, fault: Fault
) -> None:
    rule = proxy.add(Rule(fault, "incrby"))
    with pytest.raises(LOST):
        client.incr(KEY)
    assert number(direct) == (1 if fault.after else 0)
    assert client.incr(KEY) == number(direct)
    before = number(direct)
    rule.release()
    wait_until(lambda: number(direct) == (before if fault.after else before + 1))


def test_a_delay_ends_by_itself(client: redis.Redis, proxy: Proxy) -> None:
    proxy.add(Rule(Fault.HOLD_BEFORE, "ping", hold_ms=100, times=2))
    proxy.add(Rule(Fault.HOLD_AFTER, "ping", hold_ms=100, nth=3))
    for _ in range(3):
        started = time.monotonic()
        assert client.ping()
        assert time.monotonic() - started >= 0.1


def test_strike_is_called_before_anything_else_happens(client: redis.Redis, proxy: Proxy, direct: redis.Redis) -> None:
    found: list[int] = []
    proxy.add(Rule(Fault.CUT_BEFORE, "incrby", strike=lambda _: found.append(number(direct))))
    proxy.add(Rule(Fault.CUT_AFTER, "incrby", nth=2, strike=lambda _: found.append(number(direct))))
    for _ in range(2):
        with pytest.raises(LOST):
            client.incr(KEY)
    assert found == [0, 1]


def test_a_rule_may_look_at_the_arguments(client: redis.Redis, proxy: Proxy) -> None:
    proxy.add(Rule(Fault.CUT_BEFORE, when=lambda request: b"no" in request.args, times=None))
    assert client.echo("yes") == b"yes"
    for _ in range(3):
        with pytest.raises(LOST):
            client.echo("no")
    proxy.clear()
    assert client.echo("no") == b"no"


@pytest.mark.parametrize("reset", [False, True])
def test_cut_all_cuts_all(proxy: Proxy, reset: bool) -> None:
    clients = [connect(proxy.url, 5) for _ in range(3)]
    for one in clients:
        assert one.ping()
    assert proxy.connected == 3
    assert proxy.cut_all(reset=reset) == 3
    for one in clients:
        # The library looks whether a connection has been closed before it takes one from its pool.
        assert one.ping()
        one.close()
    wait_until(lambda: proxy.connected == 0)


def test_a_pause_loses_nothing(client: redis.Redis, proxy: Proxy, direct: redis.Redis) -> None:
    with connect(proxy.url, 5) as patient:
        assert patient.incr(KEY) == 1
        proxy.pause()
        thread = threading.Thread(target=lambda: patient.incr(KEY))
        thread.start()
        wait_until(lambda: proxy.steps["incrby"] == 2)
        with pytest.raises(LOST):
            client.ping()
        assert number(direct) == 1
        proxy.resume()
        thread.join(5)
        assert number(direct) == 2


def test_a_silent_network_tells_nobody_and_forgets(client: redis.Redis, proxy: Proxy, direct: redis.Redis) -> None:
    assert client.incr(KEY) == 1
    proxy.silence()
    for _ in range(2):  # the connection of before, and a new one
        with pytest.raises(redis.TimeoutError):
            client.incr(KEY)
    wait_until(lambda: proxy.connected == 1)  # that of before; the new one went with its client, there is no more of it
    proxy.speak()
    assert client.incr(KEY) == 2
    assert number(direct) == 2


def test_a_port_that_nobody_listens_on(client: redis.Redis, proxy: Proxy) -> None:
    assert client.ping()
    proxy.refuse()
    with pytest.raises(redis.ConnectionError, match="refused"):
        client.ping()
    proxy.accept()
    assert client.ping()


def test_a_port_that_closes_while_clients_come_leaves_nothing_open(proxy: Proxy) -> None:
    over = threading.Event()
    at = urlsplit(proxy.url)

    def come() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection((at.hostname, at.port), 1):
                pass

    visitors = [threading.Thread(target=come) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for _ in range(200):
        proxy.refuse()
        proxy.accept()
    over.set()
    for visitor in visitors:
        visitor.join()
    wait_until(lambda: proxy.connected == 0)
    gc.collect()  # what is open, and belongs to nobody, fails a test


def test_a_throttled_connection_is_slow(proxy: Proxy) -> None:
    with connect(proxy.url, 5) as client:
        assert client.ping()
        proxy.throttle(100_000)
        started = time.monotonic()
        assert len(client.echo("x" * 10_000)) == 10_000
        assert time.monotonic() - started >= 0.2
        proxy.throttle(None)


def test_another_server_behind_the_same_port(client: redis.Redis, proxy: Proxy, url: str) -> None:
    assert client.ping()
    proxy.retarget("redis://127.0.0.1:1")
    assert client.ping()  # by the connection of before
    proxy.cut_all()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    proxy.retarget(url)
    assert client.ping()


def test_credentials_and_database_stay_in_the_url() -> None:
    with Proxy("redis://user:pass@localhost:6000/3?x=1") as proxy:
        assert proxy.url.startswith("redis://user:pass@127.0.0.1:")
        assert proxy.url.endswith("/3?x=1")


def test_a_server_that_goes_away_is_told_to_the_client(proxy: Proxy, direct: redis.Redis) -> None:
    client = connect(proxy.url, 5)
    client.client_setname("victim")
    victim = client.client_id()
    with pytest.raises(redis.ConnectionError):
        Killer(direct, victim).during(lambda: client.blpop([KEY], 5))
    client.close()


class Killer:
    """Kills a connection by the server's hand as soon as it blocks."""

    def __init__(self, direct: redis.Redis, victim: object) -> None:
        self._direct = direct
        self._victim = str(victim)

    def during(self, call: Callable[[], object]) -> None:
        thread = threading.Thread(target=self._kill)
        thread.start()
        try:
            call()
        finally:
            thread.join(5)

    def _kill(self) -> None:
        wait_until(lambda: self._direct.info("clients")["blocked_clients"] == 1)
        self._direct.client_kill_filter(_id=self._victim)

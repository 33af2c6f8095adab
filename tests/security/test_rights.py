"""What `duestream acl` prints is enough for each role, and no more than it needs; on Valkey 9 and on Redis 7.0."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

import scheduler
import worker
from scheduler import (
    App,
    BlockingMutationContext,
    ConfigurationError,
    EmbeddedServer,
    MutationContext,
    Scheduler,
    SyncScheduler,
    scripts,
    transitions,
)
from scheduler.cli import cli
from scheduler.clients import blocking_client
from scheduler.keys import Keys
from scheduler.rights import SCRIPTS, SENDS, check_rights, commands_of, rules
from scheduler.role import Role
from scheduler.script_call import Transition
from scheduler.store import BlockingStore
from tests import acl, limits
from tests.conftest import running, until
from tests.servers import program
from worker.promoting import promote
from worker.serving import serve
from worker.settings import WorkerSettings

PASSWORD = "open-sesame"


@dataclass(frozen=True)
class Server:
    """A server with a user for each role of the app `shop`."""

    url: str

    def admin(self, *words: str) -> Any:
        return acl.administer(self.url, *words)

    def of(self, role: Role) -> str:
        return self.url.replace("redis://", f"redis://shop-{role}:{PASSWORD}@")

    def ask(self, role: Role, transition: Transition[Any], namespace: str = "shop") -> Any:
        """Run a transition as the user of a role."""
        store = BlockingStore(Keys(namespace), blocking_client(self.of(role)))
        try:
            return store.run(transition)
        finally:
            store.close()

    def run(self, *words: str, role: Role = Role.OPERATOR) -> str:
        """A command line that must succeed."""
        result = CliRunner(env={"REDIS_URL": self.of(role), "DUESTREAM_NAMESPACE": "shop"}).invoke(cli, list(words))
        assert result.exit_code == 0, result.output
        return result.stdout

    def make_users(self) -> None:
        """As an administrator does it: by what the command line prints, and a password."""
        for role in Role:
            printed = CliRunner().invoke(cli, ["acl", str(role), "-n", "shop"], env={"REDIS_URL": None}).stdout
            self.admin(*printed.split())
            self.admin("ACL", "SETUSER", f"shop-{role}", f">{PASSWORD}")

    def denials(self) -> set[tuple[str, str]]:
        """What users were denied: the user, and the command or key. That a client may not name itself is no matter."""
        names = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in self.admin("ACL", "LOG")]
        found = {(one[b"username"].decode(), one[b"object"].decode()) for one in names}
        return {(user, what) for user, what in found if what != "client|setinfo"}


@pytest.fixture(scope="module", params=["valkey-9", "redis-7.0"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("acl")
    with EmbeddedServer(folder, persistent=False, program=program(request.param)) as started:
        yield Server(started.url)


@pytest.fixture(autouse=True)
def users(request: pytest.FixtureRequest) -> None:
    if "server" in request.fixturenames:
        server: Server = request.getfixturevalue("server")
        server.admin("FLUSHALL")
        server.make_users()
        server.admin("ACL", "LOG", "RESET")


def shop() -> App:
    app = App("shop")

    @app.mutation(name="shop:order")
    async def order(ctx: MutationContext, item: int) -> str:
        await ctx.db.insert("orders", {"item": item}, key=str(item))
        await ctx.scheduler.cancel(await ctx.scheduler.run_after(60_000, count_orders))
        return await ctx.scheduler.run_after(5, count_orders)

    @app.mutation(name="shop:count_orders")
    def count_orders(ctx: BlockingMutationContext) -> int:
        return len(ctx.db.query(orders).index("by_item").collect())

    @app.action(name="shop:wait")
    async def wait(ctx: Any) -> None:
        await asyncio.sleep(60)

    orders = app.table("orders", indexes={"by_item": ["item"]})
    return app


@asynccontextmanager
async def at_work(server: Server, app: App) -> AsyncIterator[None]:
    settings = WorkerSettings(name="w", lease_ms=1_000, grace_s=0)
    async with running(app, server.of(Role.WORKER), settings, look=server.url):
        yield


async def test_each_role_does_all_its_work(server: Server) -> None:
    app = shop()
    async with at_work(server, app), Scheduler(app, url=server.of(Role.PRODUCER)) as client:
        child = await client.result(await client.run_after(0, "shop:order", item=7), timeout=10)
        assert await client.result(child, timeout=10) == 1
        await client.options(idempotency_key="k").run_after(60_000, "shop:order", item=8)
        waits = await client.run_after(0, "shop:wait")
        await until(lambda: _is_running(client, waits))
        assert await client.cancel_all() == 2
        assert (await client.db.get("orders:7") or {})["item"] == 7
        assert len((await client.list(state="canceled", limit=10)).jobs) == 3
        await asyncio.to_thread(_operate, server)
    with SyncScheduler(app, url=server.of(Role.PRODUCER)) as blocking:
        assert blocking.count(state="canceled") == 4
    assert server.denials() == set()


async def _is_running(client: Scheduler, job_id: str) -> bool:
    job = await client.get(job_id)
    return job is not None and job.state == "inProgress"


def _operate(server: Server) -> None:
    """Each command of the command line."""
    job_id = server.run("enqueue", "shop:order", "item=9", "--after", "1h").strip()
    for words in (
        ("info",), ("job", "show", job_id), ("job", "list"), ("job", "count"), ("job", "count", "--state", "failed"),
        ("queue", "list"), ("worker", "list"), ("function", "list"), ("db", "tables"), ("db", "list", "orders"),
        ("db", "get", "orders:7"), ("db", "indexes"), ("cancel", job_id), ("cancel", "--all", "--yes"),
        ("db", "drop-index", "orders:item", "--yes"),
    ):  # fmt: skip
        server.run(*words)


@pytest.mark.parametrize("role", Role)
def test_a_role_is_denied_all_else(server: Server, role: Role) -> None:
    with redis.Redis.from_url(server.of(role), protocol=2) as client:
        for words in (
            ("FLUSHALL",), ("CONFIG", "SET", "maxmemory", "0"), ("KEYS", "*"), ("ACL", "LIST"), ("MONITOR",),
            ("PUBLISH", "c", "x"), ("SUBSCRIBE", "c"), ("SCRIPT", "FLUSH"), ("SHUTDOWN",),
            ("EVAL", "return 1", "1", "{attic}:x"),
            ("EVAL", "return redis.call('GET', '{attic}:x')", "1", "{shop}:x"), ("ZRANGE", "{attic}:x", "0", "1"),
            ("EVAL", "return redis.call('FLUSHALL')", "1", "{shop}:x"), ("ZRANGE", "{shop}x", "0", "1"),
        ):  # fmt: skip
            with pytest.raises(redis.ResponseError, match=r"permission|can't|ACL failure"):
                client.execute_command(*words)


@pytest.mark.parametrize("role", Role)
def test_a_role_may_send_each_of_its_commands(server: Server, role: Role) -> None:
    # The server's own answer, command by command: the one for the number of words that the command takes.
    server.ask(role, check_rights(role, Keys("shop")))
    for command in commands_of(role):
        for keys in ("{shop}:x", "{attic}:x"):
            said = {_dryrun(server, role, [*command.split("|"), *[keys] * count]) for count in range(6)}
            allowed = keys == "{shop}:x" or command in WITHOUT_KEYS
            assert (said == {"OK"}) is allowed, (command, keys, said)


WITHOUT_KEYS = {
    "ACL|DRYRUN", "ACL|WHOAMI", "CONFIG|GET",
    "CLIENT|ID", "CLIENT|KILL", "CLIENT|LIST", "CLIENT|SETNAME", "CLIENT|UNBLOCK", "EVAL", "EVALSHA", "INFO", "PING",
    "SCAN", "SELECT", "TIME", "WAIT", "XREADGROUP",
}  # fmt: skip
"""Those of which the words that are tried name no key."""


def _dryrun(server: Server, role: Role, words: list[str]) -> str:
    try:
        return str(server.admin("ACL", "DRYRUN", f"shop-{role}", *words).decode())
    except redis.ResponseError as error:
        return "OK" if "wrong number of arguments" in str(error) else str(error)


def test_a_worker_that_lacks_a_right_does_not_start(server: Server) -> None:
    # C3.1: a commit would stop halfway, and what it had written by then would stay.
    server.admin("ACL", "SETUSER", "shop-worker", "-incrby", "-xgroup|create")
    with pytest.raises(ConfigurationError, match=r"lacks rights of a worker on the keys \{shop\}:\*: .*\+incrby") as no:
        asyncio.run(_serve(server))
    assert "+xgroup|create" in str(no.value)
    assert "`duestream acl worker --namespace shop`" in str(no.value)
    with pytest.raises(ConfigurationError, match=r"\+incrby"):
        asyncio.run(_promote(server))
    assert server.admin("DBSIZE") == 0


def test_a_worker_with_the_user_of_a_client_is_told_all_that_it_lacks(server: Server) -> None:
    # Its reader says its name when it connects: it was told of that one command alone.
    server.admin("ACL", "SETUSER", "shop-worker", "-client|setname", "-incrby")
    with pytest.raises(ConfigurationError, match=r"lacks rights of a worker .*\+client\|setname .*\+incrby"):
        asyncio.run(_serve(server))


async def _serve(server: Server) -> None:
    await serve(shop(), server.of(Role.WORKER), WorkerSettings(), asyncio.Event())


async def _promote(server: Server) -> None:
    await promote("shop", server.of(Role.WORKER), asyncio.Event())


def test_a_user_of_another_app_is_no_user_of_this_one(server: Server) -> None:
    for role in Role:
        with pytest.raises(ConfigurationError, match="permission"):
            server.ask(role, transitions.count(), "attic")
    with pytest.raises(ConfigurationError, match="lacks rights of a worker") as no:
        server.ask(Role.WORKER, check_rights(Role.WORKER, Keys("attic")))
    assert "+zadd" in str(no.value)
    assert "+time" not in str(no.value)


@pytest.mark.parametrize("taken", ["command", "key"])
def test_a_script_that_was_stopped_is_an_error_of_the_configuration(server: Server, taken: str) -> None:
    # Not of the job: a mutation whose commit was refused so is not failed for good.
    if taken == "command":
        server.admin("ACL", "SETUSER", "shop-producer", "-zcard")
    else:
        server.admin("ACL", "SETUSER", "shop-producer", "resetkeys", "~{shop}:", "~{shop}:queues")
    server.admin("SADD", "{shop}:queues", "default")
    with pytest.raises(ConfigurationError, match="lacks a permission"):
        server.ask(Role.PRODUCER, transitions.count())


# The table


FILES = [file for root in (scheduler, worker) for file in sorted(Path(str(root.__file__)).parent.rglob("*.py"))]
CONTAINERS = {"CLIENT", "CONFIG", "XGROUP", "XINFO", "ACL", "MEMORY", "SCRIPT", "OBJECT"}


def sent_by(tree: ast.AST) -> Iterator[str]:
    """The commands that code sends as they are: the words of a call of a store, or of a step of an operation."""
    for node in ast.walk(tree):
        words: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            before = {"command": 0, "execute": 0, "send_command": 0, "block": 1}.get(node.func.attr)
            words = [] if before is None else node.args[before:]
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            words = node.value.elts
        texts = [str(word.value) if isinstance(word, ast.Constant) else "" for word in words[:2]]
        if texts and re.fullmatch("[A-Z]+", texts[0]):
            yield "|".join(texts) if texts[0] in CONTAINERS else texts[0]


def test_every_command_that_is_sent_is_in_the_table() -> None:
    found = {command for file in FILES for command in sent_by(ast.parse(file.read_text(encoding="utf-8")))}
    listed = frozenset().union(*SENDS.values()) | {"PING", "TIME", "EVAL", "EVALSHA"}
    assert found - listed == set(), "add these to scheduler/rights.py, to the role that sends them"
    # By an option of a connection, and in one pipeline with what it waits for.
    assert listed - found <= {"CLIENT|SETNAME", "WAIT"}


def test_every_script_has_a_role() -> None:
    assert frozenset().union(*SCRIPTS.values()) == set(scripts.NAMES)
    assert SCRIPTS[Role.PRODUCER] < SCRIPTS[Role.WORKER]
    assert SCRIPTS[Role.PRODUCER] < SCRIPTS[Role.OPERATOR]


def test_rules_are_of_one_app_and_of_no_channel() -> None:
    for role in Role:
        first, keys, channels, none, *allowed = rules(role, "shop")
        assert (first, keys, channels, none) == ("resetkeys", "~{shop}:*", "resetchannels", "-@all")
        assert all(re.fullmatch(r"\+[a-z]+(\|[a-z]+)?", rule) for rule in allowed)
    assert "+xreadgroup" in rules(Role.WORKER, "shop")
    assert "+xreadgroup" not in rules(Role.PRODUCER, "shop")
    assert "+info" in rules(Role.OPERATOR, "shop")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("acl", "worker", "-n", "shop"), "ACL SETUSER shop-worker on resetkeys ~{shop}:* resetchannels -@all +blpop "),
        (("acl", "producer", "-n", "shop", "--user", "web", "--file"), "user web on resetkeys ~{shop}:* "),
    ],
)
def test_what_the_command_line_prints(words: tuple[str, ...], wanted: str) -> None:
    result = CliRunner().invoke(cli, list(words), env={"REDIS_URL": None})
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(wanted)


def test_a_user_or_namespace_that_cannot_be_is_refused() -> None:
    for words in (("-n", "sh op"), ("-n", "shop", "--user", "a b"), ("-n", "shop", "--user", "a\nFLUSHALL")):
        result = CliRunner().invoke(cli, ["acl", "worker", *words], env={"REDIS_URL": None})
        assert result.exit_code in (1, 2)
        assert "SETUSER" not in result.output


def test_the_namespace_is_that_of_the_only_app(server: Server) -> None:
    server.admin("SADD", "{shop}:queues", "default")
    env = {"REDIS_URL": server.url, "DUESTREAM_NAMESPACE": None}
    found = CliRunner(env=env).invoke(cli, ["acl", "producer", "--json"])
    assert '"user": "shop-producer"' in found.stdout


def test_tests_under_these_users_really_are(url: str) -> None:
    # What `make test-acl` sets: else it would prove nothing.
    roles = {"worker.connections": "worker", "scheduler.client": "producer", "scheduler.cli.session": "operator"}
    assert {name: limits.role_of(name) for name in (*roles, __name__)} == {**roles, __name__: None}
    assert [line.split()[:3] for line in limits.users()] == [["user", name, "on"] for name in ("default", *Role)]
    assert acl.role_of_script("schedule") is Role.PRODUCER
    assert acl.role_of_script("forget") is Role.OPERATOR
    assert acl.role_of_script("commit") is Role.WORKER
    with redis.Redis.from_url(url, protocol=2) as client:
        try:
            client.evalsha("0" * 40, 0)
        except redis.exceptions.NoScriptError:
            assert not acl.wanted()
        except redis.exceptions.NoPermissionError:
            assert acl.wanted()

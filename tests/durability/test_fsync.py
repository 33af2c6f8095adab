"""durability="fsync": an action starts when its ack is on the disk of a server that keeps it there (C7.2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from scheduler import ConfigurationError, EmbeddedServer, JobState, Scheduler
from scheduler.durability import FSYNC
from scheduler.keys import Keys
from scheduler.rights import rules
from scheduler.role import Role
from tests.conftest import until
from tests.durability.conftest import Shop, Work, state

ALWAYS = {"appendfsync": "always"}


@pytest.fixture
def always(tmp_path: Path) -> Iterator[str]:
    with EmbeddedServer(tmp_path / "always", config=ALWAYS) as server:
        yield server.url


@pytest.mark.parametrize(
    ("persistent", "config", "said"),
    [
        (False, ALWAYS, "it has appendonly no"),
        (True, {}, "it has appendfsync everysec"),
        (True, {"appendfsync": "no"}, "it has appendfsync no"),
        (True, ALWAYS | {"no-appendfsync-on-rewrite": "yes"}, "it has no-appendfsync-on-rewrite yes"),
    ],
    ids=["no file", "everysec", "no fsync", "none while rewriting"],
)
async def test_a_server_that_may_forget_is_refused(
    tmp_path: Path, work: Work, persistent: bool, config: dict[str, str], said: str
) -> None:
    # C7.2, and nobody can vouch for what the server denies.
    with EmbeddedServer(tmp_path / "data", persistent=persistent, config=config) as server:
        for vouched in (False, True):
            with pytest.raises(ConfigurationError, match=f"durability fsync: the server must have .*, but {said}$"):
                await work(server.url, durability="fsync", vouch_fsync=vouched)


async def test_a_server_that_keeps_all_is_taken(always: str, shop: Shop, work: Work) -> None:
    await work(always, durability="fsync")
    async with Scheduler(shop.app, url=always) as client:
        ids = await client.schedule_many(shop.send.after(0) for _ in range(20))
        for job_id in ids:
            assert await client.result(job_id, timeout=20) == "sent"
    assert sorted(shop.starts) == sorted(ids)


@pytest.mark.parametrize("name", FSYNC)
async def test_settings_that_change_later_give_actions_back(always: str, shop: Shop, work: Work, name: str) -> None:
    # C7.2: looked at with each ack, so that no restart, failover or CONFIG SET goes unseen.
    await work(always, durability="fsync")
    wrong = {"appendonly": "no", "appendfsync": "everysec", "no-appendfsync-on-rewrite": "yes"}[name]
    with redis.Redis.from_url(always) as operator:
        operator.config_set(name, wrong)
        async with Scheduler(shop.app, url=always) as client:
            job_id = await client.run_after(0, shop.send)
            status = Keys(shop.app.namespace).status(job_id)
            await until(lambda: operator.hget(status, "attempts") == b"0")
            assert (await state(client, job_id), shop.starts) == (JobState.PENDING, [])
            assert await client.result(await client.run_after(0, shop.order, 7), timeout=10) == 7
            operator.config_set(name, FSYNC[name])
            assert await client.result(job_id, timeout=20) == "sent"
    assert shop.starts.count(job_id) == 1


async def test_a_server_that_comes_back_with_other_settings_is_noticed(tmp_path: Path, shop: Shop, work: Work) -> None:
    # C7.2
    first = EmbeddedServer(tmp_path / "data", config=ALWAYS)
    url = first.start()
    await work(url, durability="fsync")
    first.stop()
    with EmbeddedServer(tmp_path / "data") as second:
        assert second.url == url
        async with Scheduler(shop.app, url=url) as client:
            job_id = await client.run_after(0, shop.send)
            status = Keys(shop.app.namespace).status(job_id)
            with redis.Redis.from_url(url) as operator:
                await until(lambda: operator.hget(status, "attempts") == b"0", 20)
            assert shop.starts == []


@pytest.fixture
def silent(always: str) -> str:
    """The url of a user who may not look at the settings, as on a managed server."""
    with redis.Redis.from_url(always) as operator:
        operator.acl_setuser("w", enabled=True, passwords=["+pw"], keys=["*"], channels=["*"],
                             categories=["+@all"], commands=["-config"])  # fmt: skip
    return always.replace("redis://", "redis://w:pw@")


async def test_a_server_that_does_not_show_its_settings_is_refused(silent: str, work: Work) -> None:
    # C7.2
    with pytest.raises(ConfigurationError) as caught:
        await work(silent, durability="fsync")
    assert "does not show its settings" in str(caught.value)
    assert "appendonly yes, appendfsync always, no-appendfsync-on-rewrite no" in str(caught.value)
    assert "allow this user +config|get, or vouch for it with --vouch-fsync" in str(caught.value)
    assert "pw" not in str(caught.value)


def test_a_worker_may_look_at_the_settings_where_it_has_to() -> None:
    # C7.2: they show passwords too.
    assert "+config|get" in rules(Role.WORKER, "shop", fsync=True)
    assert "+config|get" not in rules(Role.WORKER, "shop")
    for role in (Role.PRODUCER, Role.OPERATOR):
        assert rules(role, "shop", fsync=True) == rules(role, "shop")


async def test_somebody_may_vouch_for_it(silent: str, shop: Shop, work: Work) -> None:
    await work(silent, durability="fsync", vouch_fsync=True)
    async with Scheduler(shop.app, url=silent) as client:
        assert await client.result(await client.run_after(0, shop.send), timeout=10) == "sent"

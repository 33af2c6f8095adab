"""Encrypted arguments, results and errors: who reads Redis reads nothing of them (docs/security.md)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from scheduler import (
    ENCRYPTED,
    ActionContext,
    App,
    ConfigurationError,
    DamagedData,
    JobFailed,
    KeyMissing,
    MutationContext,
    NotDecryptable,
    Scheduler,
    SyncScheduler,
)
from scheduler.cli import cli
from scheduler.encryption import Cipher, Field, decrypted, is_encrypted
from scheduler.keyring import ENCRYPTION_KEY, Keyring
from scheduler.keys import Keys
from tests.conftest import StartWorker, until
from tests.security.conftest import NEW, OLD, OTHER
from tests.security.forger import BODY, Forger

SECRET = "4929-1234-5678-9012"


def with_functions(app: App) -> App:
    """An app whose jobs hold, return and raise the secret."""

    @app.mutation(name="shop:pay")
    async def pay(ctx: MutationContext, card: str, *, padding: str = "") -> dict[str, str]:
        return {"paid with": card}

    @app.mutation(name="shop:decline")
    async def decline(ctx: MutationContext, card: str) -> None:
        raise ValueError(f"declined {card}")

    @app.action(name="shop:receipt")
    async def receipt(ctx: ActionContext, card: str) -> str:
        return f"receipt for {card}"

    @app.action(name="shop:lose")
    async def lose(ctx: ActionContext, card: str) -> None:
        raise OSError(f"lost {card}")

    @app.mutation(name="shop:schedule")
    async def schedule(ctx: MutationContext, card: str) -> str:
        return await ctx.scheduler.run_after(1, pay, card)

    @app.action(name="shop:look")
    async def look(ctx: ActionContext, job_id: str) -> Any:
        job = await ctx.db.system.get(job_id)
        return None if job is None else [job.args, job.result]

    @app.mutation(name="shop:peep")
    async def peep(ctx: MutationContext, job_id: str) -> Any:
        job = await ctx.db.system.get(job_id)
        return None if job is None else [job.args, job.result]

    return app


@pytest.fixture
def app(namespace: str, url: str) -> App:
    """An app that encrypts."""
    return with_functions(App(namespace, url=url, encryption_key=OLD))


def _everything(client: Any) -> bytes:
    """All bytes of a server, as its own dump of each key has them, uncompressed."""
    client.config_set("rdbcompression", "no")
    found = b"".join(key + (client.dump(key) or b"") for key in client.scan_iter(count=1000))
    client.config_set("rdbcompression", "yes")
    return found


@pytest.mark.parametrize("signing_key", [None, NEW], ids=["encrypted", "signed too"])
async def test_redis_holds_nothing_in_the_open(
    namespace: str, url: str, start_worker: StartWorker, signing_key: bytes | None
) -> None:
    app = with_functions(App(namespace, url=url, encryption_key=OLD, signing_key=signing_key))
    async with Scheduler(app) as scheduler:
        waiting = await scheduler.run_after(3_600_000, "shop:pay", SECRET)
        await start_worker(app)
        paid = await scheduler.run_after(0, "shop:pay", SECRET, padding="x" * 10_000)
        assert await scheduler.result(paid, timeout=10) == {"paid with": SECRET}
        receipt = await scheduler.run_after(0, "shop:receipt", SECRET)
        assert await scheduler.result(receipt, timeout=10) == f"receipt for {SECRET}"
        child = await scheduler.result(await scheduler.run_after(0, "shop:schedule", SECRET), timeout=10)
        assert await scheduler.result(child, timeout=10) == {"paid with": SECRET}
        for name, message in (("shop:decline", f"declined {SECRET}"), ("shop:lose", f"lost {SECRET}")):
            with pytest.raises(JobFailed, match=message) as failed:
                await scheduler.result(await scheduler.run_after(0, name, SECRET), timeout=10)
            assert SECRET in failed.value.traceback
        assert await scheduler.get(waiting) is not None
    with redis.Redis.from_url(url, protocol=2) as client:
        found = _everything(client)
    assert b"shop:pay" in found  # names, times, states and ids are not hidden
    assert SECRET.encode() not in found


async def test_with_the_key_records_read_as_ever(scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C5.4, and the same inside functions.
    await start_worker()
    job_id = await scheduler.run_after(0, "shop:pay", SECRET)
    await scheduler.result(job_id, timeout=10)
    job = await scheduler.get(job_id)
    assert job is not None
    assert (job.args, job.result) == ([SECRET], {"paid with": SECRET})
    assert [one.args for one in (await scheduler.list(state="success")).jobs] == [[SECRET]]
    for name in ("shop:look", "shop:peep"):
        seen = await scheduler.result(await scheduler.run_after(0, name, job_id), timeout=10)
        assert seen == [[SECRET], {"paid with": SECRET}]


@pytest.mark.parametrize("key", [None, OTHER], ids=["no key", "another key"])
async def test_without_the_key_a_reader_is_told_that_it_is_encrypted(
    namespace: str, url: str, scheduler: Scheduler, start_worker: StartWorker, key: str | None
) -> None:
    await start_worker()
    paid, declined = [await scheduler.run_after(0, name, SECRET) for name in ("shop:pay", "shop:decline")]
    await scheduler.result(paid, timeout=10)
    with pytest.raises(JobFailed):
        await scheduler.result(declined, timeout=10)
    async with Scheduler(App(namespace, encryption_key=key), url=url) as stranger:
        job = await stranger.get(paid)
        assert job is not None
        assert (job.args, job.kwargs, job.result, job.name) == ([ENCRYPTED], {}, ENCRYPTED, "shop:pay")
        assert {one.id for one in (await stranger.list()).jobs} == {paid, declined}
        with pytest.raises(KeyMissing, match="its result is encrypted"):
            await stranger.result(paid)
        with pytest.raises(JobFailed, match="the error is encrypted") as failed:
            await stranger.result(declined)
        assert failed.value.error_type == "Encrypted"


async def test_the_command_line_without_the_key_says_encrypted(
    namespace: str, url: str, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    await start_worker()
    job_id = await scheduler.run_after(0, "shop:pay", SECRET)
    await scheduler.result(job_id, timeout=10)
    words = ["job", "show", job_id, "--json", "-u", url, "-n", namespace]
    closed = await asyncio.to_thread(CliRunner().invoke, cli, words)
    assert closed.exit_code == 0, closed.output
    found = json.loads(closed.stdout)
    assert (found["args"], found["result"]) == (["encrypted"], "encrypted")
    table = await asyncio.to_thread(CliRunner().invoke, cli, [word for word in words if word != "--json"])
    assert table.stdout.count("encrypted") == 2
    opened = await asyncio.to_thread(CliRunner(env={ENCRYPTION_KEY: OLD}).invoke, cli, words)
    assert json.loads(opened.stdout)["result"] == {"paid with": SECRET}


@pytest.mark.parametrize("name", ["shop:pay", "shop:receipt"])
async def test_a_worker_without_the_key_leaves_the_job_to_another(
    namespace: str, url: str, scheduler: Scheduler, start_worker: StartWorker, name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    # C7.3: a key that has not been deployed everywhere yet loses no job.
    job_id = await scheduler.run_after(0, name, SECRET)
    stranger = await start_worker(with_functions(App(namespace, url=url, encryption_key=OTHER)))
    await until(lambda: f"given back job_id={job_id}" in caplog.text)
    job = await scheduler.get(job_id)
    assert job is not None
    assert job.state == "pending"
    stranger.stop()
    await start_worker()
    assert SECRET in str(await scheduler.result(job_id, timeout=20))


async def test_altered_arguments_fail_and_do_not_run(
    scheduler: Scheduler, start_worker: StartWorker, forger: Forger
) -> None:
    def flip(spec: list[Any]) -> None:
        spec[BODY] = spec[BODY][:-1] + bytes([spec[BODY][-1] ^ 1])

    first, second = [await scheduler.run_after(0, "shop:pay", SECRET) for _ in range(2)]
    forger.alter(first, flip)
    forger.put(second, forger.spec_of(await scheduler.run_after(3_600_000, "shop:pay", SECRET)))
    await start_worker()
    for job_id in (first, second):
        with pytest.raises(JobFailed, match="arguments: altered, or encrypted for something else") as failed:
            await scheduler.result(job_id, timeout=10)
        assert failed.value.error_type == "NotDecryptable"
        job = await scheduler.get(job_id)
        assert job is not None
        assert job.args == [ENCRYPTED]
    await until(lambda: forger.refused("shop:pay") == 2)


async def test_the_result_of_another_job_is_no_result(
    url: str, namespace: str, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    await start_worker()
    first, second = [await scheduler.run_after(0, "shop:receipt", card) for card in ("1", "2")]
    for job_id in (first, second):
        await scheduler.result(job_id, timeout=10)
    keys = Keys(namespace)
    with redis.Redis.from_url(url, protocol=2) as client:
        stolen: Any = client.hget(keys.status(second), "result")
        client.hset(keys.status(first), "result", stolen)
    job = await scheduler.get(first)
    assert job is not None
    assert job.error is not None
    assert (job.state, job.result, job.error.message) == (
        "success", None, "result: altered, or encrypted for something else",
    )  # fmt: skip
    with pytest.raises(DamagedData, match="altered"):
        await scheduler.result(first)


async def test_a_lost_workers_error_is_in_the_open(scheduler: Scheduler, url: str, namespace: str) -> None:
    # C3.5: who cleans up has no key; what it writes tells nothing of the job's own.
    from scheduler.janitor import LOST_ACTION

    job_id = await scheduler.run_after(3_600_000, "shop:pay", SECRET)
    with redis.Redis.from_url(url, protocol=2) as client:
        client.hset(Keys(namespace).status(job_id), mapping={"state": "failed", "error": LOST_ACTION.pack()})
    with pytest.raises(JobFailed, match="transient error while executing action"):
        await scheduler.result(job_id)


async def test_keys_are_rotated_without_a_gap(namespace: str, url: str, start_worker: StartWorker) -> None:
    # The first encrypts, both decrypt; then the old one goes.
    async def schedule(*keys: str | bytes) -> str:
        async with Scheduler(with_functions(App(namespace, encryption_key=keys)), url=url) as client:
            return await client.run_after(0, "shop:pay", SECRET)

    jobs = [await schedule(OLD), await schedule(OLD, NEW), await schedule(NEW, OLD)]
    worker = with_functions(App(namespace, url=url, encryption_key=[NEW, OLD]))
    await start_worker(worker)
    async with Scheduler(worker) as client:
        for job_id in jobs:
            assert await client.result(job_id, timeout=10) == {"paid with": SECRET}
    with SyncScheduler(with_functions(App(namespace, encryption_key=NEW)), url=url) as newest:
        shown = [newest.get(job_id) for job_id in jobs]
        assert [one.args for one in shown if one] == [[ENCRYPTED], [ENCRYPTED], [SECRET]]
        assert [one.result for one in shown if one] == [{"paid with": SECRET}] * 3


async def test_plain_jobs_run_on_when_an_app_begins_to_encrypt(
    namespace: str, url: str, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    async with Scheduler(with_functions(App(namespace)), url=url) as plain:
        job_id = await plain.run_after(0, "shop:pay", SECRET)
    await start_worker()
    assert await scheduler.result(job_id, timeout=10) == {"paid with": SECRET}


def test_the_package_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ConfigurationError, match=r"pip install \"duestream\[encryption\]\""):
        Keyring.of(App("shop", encryption_key=OLD), {})


# Values


def cipher(*keys: bytes, namespace: str = "shop") -> Cipher:
    return Cipher(namespace, keys)


@given(st.binary(max_size=300), st.sampled_from(["arguments", "result", "error"]))
def test_what_is_encrypted_comes_back_and_is_another_each_time(data: bytes, field: Field) -> None:
    one = cipher(NEW)
    first, second = one.encrypt("J", field, data), one.encrypt("J", field, data)
    assert first != second
    assert is_encrypted(first)
    assert decrypted(one, "J", field, first) == decrypted(cipher(OLD.encode(), NEW), "J", field, second) == data
    assert len(first) == len(data) + 34


def test_a_value_is_bound_to_its_place() -> None:
    data = cipher(NEW).encrypt("J", "result", b"x")
    wrong: list[tuple[Cipher, str, Field]] = [
        (cipher(NEW, namespace="attic"), "J", "result"), (cipher(NEW), "K", "result"), (cipher(NEW), "J", "error"),
    ]  # fmt: skip
    for one, job_id, field in wrong:
        with pytest.raises(NotDecryptable, match=f"{field}: altered"):
            one.decrypt(job_id, field, data)


def test_no_part_of_a_value_can_be_cut_off_or_changed() -> None:
    one, data = cipher(NEW), cipher(NEW).encrypt("J", "result", os.urandom(20))
    for size in range(2, len(data)):
        with pytest.raises(NotDecryptable):
            one.decrypt("J", "result", data[:size])
    for place in range(2, len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(NotDecryptable):
            one.decrypt("J", "result", bytes(changed))


def test_what_is_not_encrypted_stays_as_it_is() -> None:
    assert decrypted(None, "J", "result", b"\xa1x") == b"\xa1x"
    with pytest.raises(KeyMissing, match="result: encrypted, and no key is at hand"):
        decrypted(None, "J", "result", cipher(NEW).encrypt("J", "result", b"x"))

"""Signed jobs: what nobody with a key has asked for does not run (docs/security.md)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from scheduler import App, JobFailed, Limits, MutationContext, Scheduler, SyncScheduler, values
from scheduler.errors import ConfigurationError, InvalidOption
from scheduler.keyring import SIGNING_KEY, Keyring
from tests.conftest import StartWorker, until
from tests.security.conftest import NEW, OLD, OTHER, Seen, with_functions
from tests.security.forger import BODY, COVER, KEY, KIND, NAME, PARENT, QUEUE, Forger

HOUR_MS = 3_600_000
OTHER_ARGS = values.pack([7], "args") + values.pack({}, "args")


@pytest.fixture
def app(namespace: str, url: str, seen: Seen) -> App:
    """An app that signs."""
    return with_functions(App(namespace, url=url, signing_key=OLD), seen)


def _set(place: int, value: object) -> Callable[[list[Any]], None]:
    return lambda spec: spec.__setitem__(place, value)


def _strip(spec: list[Any]) -> None:
    spec[BODY:] = [[7], {}]


def _unsign(spec: list[Any]) -> None:
    spec[COVER] = []


def _earlier(spec: list[Any]) -> None:
    spec[COVER][0] -= 1


def _flip(spec: list[Any]) -> None:
    signature = spec[COVER][1]
    spec[COVER][1] = bytes([signature[0] ^ 1]) + signature[1:]


def _cut(spec: list[Any]) -> None:
    spec[COVER][1] = spec[COVER][1][:-1]


@pytest.mark.parametrize(
    "change",
    [
        _set(NAME, "shop:mail"), _set(KIND, "action"), _set(PARENT, "01JD6Q2M8XK0T9V4W5Y7Z3ABCD"), _set(KEY, "k"),
        _set(QUEUE, "mail"), _set(BODY, OTHER_ARGS), _strip, _unsign, _earlier, _flip, _cut,
    ],
    ids=["function", "kind", "parent", "key", "queue", "arguments", "unsigned", "no cover", "time", "flipped", "cut"],
)  # fmt: skip
async def test_what_was_altered_fails_and_never_runs(
    scheduler: Scheduler, start_worker: StartWorker, forger: Forger, seen: Seen, change: Callable[[list[Any]], None],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    job_id = await _order(scheduler)
    forger.alter(job_id, change)
    name = forger.read(job_id).name
    with caplog.at_level(logging.ERROR, "duestream.gate"):
        await start_worker()
        with pytest.raises(JobFailed, match="signed") as failed:
            await scheduler.result(job_id, timeout=10)
    assert (failed.value.error_type, failed.value.error_message.partition(":")[0]) == ("BadSignature", "shop")
    await until(lambda: forger.refused(name) == 1)
    assert [job_id in record.getMessage() for record in caplog.records] == [True]
    assert seen.calls == []


async def _order(scheduler: Scheduler, number: int = 1, delay: int = 0, name: str = "shop:order") -> str:
    return await scheduler.run_after(delay, name, number)


async def test_a_signature_is_of_one_job_only(
    scheduler: Scheduler, start_worker: StartWorker, forger: Forger, seen: Seen
) -> None:
    # Nothing that was signed can be run again under another id, or in another queue.
    first, second, third = [await _order(scheduler, number) for number in (1, 2, 3)]
    forger.put(second, forger.spec_of(first))
    forger.put(third, forger.spec_of(third), queue="mail")
    await start_worker(queues=("default", "mail"))
    assert await scheduler.result(first, timeout=10) == 1
    for job_id, reason in ((second, "altered, or not signed"), (third, "signed for the queue 'default'")):
        with pytest.raises(JobFailed, match=reason):
            await scheduler.result(job_id, timeout=10)
    assert seen.calls == [("order", 1)]


@pytest.mark.parametrize("key", [None, OTHER], ids=["no key", "another key"])
async def test_a_client_without_the_key_can_run_nothing(
    app: App, url: str, start_worker: StartWorker, seen: Seen, key: str | None
) -> None:
    await start_worker()
    stranger = with_functions(App(app.namespace, signing_key=key))
    async with Scheduler(stranger, url=url) as client:
        for name in ("shop:order", "shop:mail"):
            with pytest.raises(JobFailed, match="BadSignature"):
                await client.result(await client.run_after(0, name, 1), timeout=10)
    assert seen.calls == []


async def test_a_signature_is_of_one_app_only(url: str, namespace: str, forger: Forger, scheduler: Scheduler) -> None:
    # Apps may share a key, not their jobs.
    job_id = await _order(scheduler)
    spec = forger.read(job_id)
    for name, fits in ((namespace, True), ("another", False)):
        keyring = Keyring.of(App(name, signing_key=OLD), {})
        assert keyring is not None
        assert keyring.signatures is not None
        assert spec.body is not None
        assert spec.cover
        made = keyring.signatures.verify(spec.cover[1], job_id, spec.head(), spec.body, spec.cover[0])
        assert made is fits


async def test_nothing_runs_before_its_signed_time(
    scheduler: Scheduler, start_worker: StartWorker, forger: Forger, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    # C7.3: the due set is not signed; a job that was moved there is given back until its time.
    ids = [await _order(scheduler, delay=HOUR_MS, name=name) for name in ("shop:order", "shop:mail")]
    due = [forger.due_ms(job_id) for job_id in ids]
    await start_worker()
    for job_id, due_ms in zip(ids, due, strict=True):
        forger.hurry(job_id)
        await until(lambda job_id=job_id, due_ms=due_ms: (forger.due_ms(job_id) or 0) > due_ms - 1_000)  # type: ignore[misc]
        job = await scheduler.get(job_id)
        assert job is not None
        assert (job.state, job.attempts) == ("pending", 0)
    assert seen.calls == []
    assert "signed for" in caplog.text


async def test_all_that_runs_jobs_signs_them(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C2.7, C2.8: children of mutations, of nested ones, of actions, and of mutations that an action runs at once.
    @app.mutation(name="shop:leaf")
    async def leaf(ctx: MutationContext) -> str:
        return "ran"

    @app.mutation(name="shop:grow")
    async def grow(ctx: MutationContext) -> list[str]:
        later = await ctx.scheduler.run_after(30, leaf)
        return [later, await ctx.run_mutation(sprout), await ctx.scheduler.run_at(ctx.now - HOUR_MS, "shop:leaf")]

    @app.mutation(name="shop:sprout")
    async def sprout(ctx: MutationContext) -> str:
        return await ctx.scheduler.run_after(1, leaf)

    @app.action(name="shop:plant")
    async def plant(ctx: Any) -> list[str]:
        now = await ctx.scheduler.run_after(0, leaf)
        return [now, *await ctx.run_mutation(grow)]

    await start_worker()
    for name in ("shop:grow", "shop:plant"):
        for child in await scheduler.result(await scheduler.run_after(0, name), timeout=10):
            assert await scheduler.result(child, timeout=10) == "ran"


async def test_a_signed_job_runs_again_after_a_transient_error(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C3.3: a retry and a redelivery carry the same spec, so they have the same signature.
    @app.mutation(name="shop:flaky", transient=(OSError,))
    async def flaky(ctx: MutationContext) -> int:
        if ctx.attempt == 1:
            raise OSError("not yet")
        return ctx.attempt

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, flaky), timeout=10) == 2


async def test_bulk_blocking_and_large_calls_are_signed(
    app: App, url: str, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.11, C2.12
    @app.mutation(name="shop:measure")
    async def measure(ctx: MutationContext, text: str) -> int:
        return len(text)

    await start_worker()
    ids = await scheduler.schedule_many(measure.after(0, "x" * size) for size in (1, 10_000))
    assert [await scheduler.result(job_id, timeout=10) for job_id in ids] == [1, 10_000]
    assert await asyncio.to_thread(_measure_blocking, app, url) == 3


def _measure_blocking(app: App, url: str) -> Any:
    with SyncScheduler(app, url=url) as scheduler:
        return scheduler.result(scheduler.run_after(0, "shop:measure", "abc"), timeout=10)


async def test_keys_are_rotated_without_a_gap(namespace: str, url: str, start_worker: StartWorker) -> None:
    # The first signs, both verify; then the old one goes.
    async def schedule(*keys: str | bytes) -> str:
        async with Scheduler(with_functions(App(namespace, signing_key=keys)), url=url) as client:
            return await _order(client)

    jobs = [await schedule(OLD), await schedule(OLD, NEW), await schedule(NEW, OLD)]
    worker = with_functions(App(namespace, url=url, signing_key=[NEW, OLD]))
    await start_worker(worker)
    async with Scheduler(worker) as client:
        assert [await client.result(job_id, timeout=10) for job_id in jobs] == [1, 1, 1]


async def test_an_app_that_begins_to_sign_accepts_the_unsigned_for_a_while(
    namespace: str, url: str, start_worker: StartWorker, forger: Forger, seen: Seen
) -> None:
    async with Scheduler(with_functions(App(namespace)), url=url) as client:
        unsigned = await _order(client, 1)
    app = with_functions(App(namespace, url=url, signing_key=OLD, accept_unsigned=True), seen)
    async with Scheduler(app) as client:
        signed, altered = await _order(client, 2), await _order(client, 3)
        forger.alter(altered, _flip)
        await start_worker(app)
        assert [await client.result(job_id, timeout=10) for job_id in (unsigned, signed)] == [1, 2]
        with pytest.raises(JobFailed, match="BadSignature"):
            await client.result(altered, timeout=10)
    assert sorted(seen.calls) == [("order", 1), ("order", 2)]


async def test_an_app_without_a_key_reads_and_runs_signed_jobs(
    namespace: str, url: str, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # A signature hides nothing, and a worker that checks none can be the one that has not been deployed yet.
    job_id = await _order(scheduler)
    plain = with_functions(App(namespace, url=url))
    async with Scheduler(plain) as client:
        job = await client.get(job_id)
        assert job is not None
        assert job.args == [1]
        await start_worker(plain)
        assert await client.result(job_id, timeout=10) == 1


async def test_without_keys_nothing_is_added_to_a_job(namespace: str, url: str, forger: Forger) -> None:
    async with Scheduler(with_functions(App(namespace)), url=url) as client:
        spec = forger.read(await _order(client))
    assert (spec.args, spec.kwargs, spec.body, spec.cover) == ([1], {}, None, ())


async def test_the_environment_goes_before_the_code(namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(namespace, signing_key=OTHER)
    monkeypatch.setenv(SIGNING_KEY, f"{OLD} , {NEW.decode()}")
    first, second = Keyring.of(app), Keyring.of(App(namespace, signing_key=[OLD, NEW]), {})
    assert first is not None
    assert second is not None
    assert first.signatures is not None
    assert second.signatures is not None
    assert second.signatures.verify(first.signatures.sign("J", b"h", b"b", 1), "J", b"h", b"b", 1)
    assert Keyring.of(App(namespace), {SIGNING_KEY: ""}) is None
    with pytest.raises(ConfigurationError, match=f"{SIGNING_KEY}: expected at least 32 random bytes, got 6"):
        Keyring.of(app, {SIGNING_KEY: "sesame"})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("sesame-sesame", "at least 32 random bytes, got 13"),
        ([], "one key or two, got 0"),
        ([OLD, NEW, OTHER], "one key or two, got 3"),
        ([OLD, OLD.encode()], "the two keys are the same"),
        (17, "expected a str or bytes, got a int"),
        ([OLD, None], "expected a str or bytes, got a NoneType"),
    ],
)
def test_a_bad_key_is_refused_and_not_shown(given: Any, reason: str) -> None:
    for option in ("signing_key", "encryption_key"):
        with pytest.raises(InvalidOption, match=f"{option}: .*{reason}") as refused:
            App("shop", **{option: given})
        assert "sesame" not in str(refused.value)


def test_no_text_form_shows_a_key() -> None:
    app = App("shop", signing_key=OLD, encryption_key=NEW, limits=Limits())
    keyring = Keyring.of(app, {})
    assert keyring is not None
    shown = f"{app!r} {keyring!r} {keyring.signatures!r} {keyring.cipher!r}"
    assert OLD not in shown
    assert NEW.decode() not in shown

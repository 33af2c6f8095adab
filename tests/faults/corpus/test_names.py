"""Bad names, ids, keys, cursors and options: refused, with an error that names them, and nothing is stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from scheduler import App, InvalidCall, InvalidOption, JobState, Scheduler, SyncScheduler
from tests.faults.corpus import names, options
from tests.faults.corpus.case import Bad, Refusal
from tests.faults.corpus.stage import Stage

UNKNOWN_ID = "01JD6Q2M8XK0T9V4W5Y7Z3ABCD"


def both(stage: Stage, case: Bad, call: Callable[[Any, Any], Any]) -> None:
    """The same call of the blocking client and of the async one is refused in the same words."""
    said = []
    with pytest.raises(case.error) as caught:
        call(stage.blocking, case.make())
    said.append(str(caught.value))
    with pytest.raises(case.error) as caught:
        stage.run_async(lambda client: _awaited(client, case, call))
    said.append(str(caught.value))
    assert said[0] == said[1]
    assert case.culprit in said[0]
    assert len(said[0]) < 500
    assert "\n" not in said[0]


async def _awaited(client: Scheduler, case: Bad, call: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    return await call(client, case.make())


def ids(case: Bad | Refusal) -> str:
    return case.id


@pytest.mark.parametrize("case", names.FUNCTIONS, ids=ids)
def test_no_function_of_that_name(untouched: Stage, case: Bad) -> None:
    # C2.6
    both(untouched, case, lambda client, name: client.run_after(60_000, name))
    both(untouched, case, lambda client, name: client.run_at(2_000_000_000_000, name))


@pytest.mark.parametrize("case", names.QUEUES, ids=ids)
def test_no_queue(untouched: Stage, case: Bad) -> None:
    both(untouched, case, lambda client, queue: client.options(queue=queue).run_after(60_000, "corpus:take"))
    both(untouched, case, lambda client, queue: client.list(queue=queue))
    both(untouched, case, lambda client, queue: client.cancel_all(queue=queue))


@pytest.mark.parametrize("case", names.KEYS, ids=ids)
def test_no_idempotency_key(untouched: Stage, case: Bad) -> None:
    # C2.10
    both(untouched, case, lambda client, key: client.options(idempotency_key=key).run_after(60_000, "corpus:take"))


@pytest.mark.parametrize("case", names.JOB_IDS, ids=ids)
def test_no_job_id(untouched: Stage, case: Bad) -> None:
    # C4
    both(untouched, case, lambda client, job_id: client.cancel(job_id))
    both(untouched, case, lambda client, job_id: client.cancel_many([UNKNOWN_ID, job_id]))
    both(untouched, case, lambda client, job_id: client.get(job_id))
    both(untouched, case, lambda client, job_id: client.result(job_id, timeout=1))


@pytest.mark.parametrize("case", names.CURSORS, ids=ids)
def test_no_cursor(untouched: Stage, case: Bad) -> None:
    both(untouched, case, lambda client, cursor: client.list(cursor=cursor))


@pytest.mark.parametrize("case", names.NAMESPACES, ids=ids)
def test_no_namespace(case: Bad) -> None:
    with pytest.raises(case.error) as caught:
        App(case.make())
    assert case.culprit in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "value", [0, -1, 1_001, True, 1.5, float("nan"), "5", None, 10**400], ids=lambda value: repr(value)[:20]
)
def test_no_limit(untouched: Stage, value: Any) -> None:
    case = Bad("limit", lambda: value, InvalidOption, "limit")
    both(untouched, case, lambda client, limit: client.list(limit=limit))


@pytest.mark.parametrize(
    "value", ["done", "", "PENDING", 5, b"failed", ["failed"], object()], ids=lambda value: repr(value)[:20]
)
def test_no_state(untouched: Stage, value: Any) -> None:
    case = Bad("state", lambda: value, InvalidOption, "state")
    both(untouched, case, lambda client, state: client.list(state=state))
    both(untouched, case, lambda client, state: client.count(state=state))


@pytest.mark.parametrize("value", [float("nan"), "5", -1, b"1", True, [1]], ids=repr)
def test_no_timeout(untouched: Stage, value: Any) -> None:
    case = Bad("timeout", lambda: value, InvalidOption, "timeout")
    both(untouched, case, lambda client, timeout: client.result(UNKNOWN_ID, timeout=timeout))


@pytest.mark.parametrize(
    "value", [5, "corpus:take", None, ("corpus:take", ()), object()], ids=lambda value: repr(value)[:20]
)
def test_no_call(untouched: Stage, value: Any) -> None:
    # C2.11
    case = Bad("call", lambda: value, InvalidCall, "calls")
    both(untouched, case, lambda client, call: client.schedule_many([call]))


def test_names_that_are_allowed_but_nobodys_fail_their_job(stage: Stage) -> None:
    # C2.6: failed, not retried, not lost.
    for name in ("no:such", "__import__", "os:system", "..", "corpus:take/..", "a" * 200):
        job = stage.end_of(stage.blocking.options(allow_unknown=True).run_after(0, name, "id"))
        assert job.error is not None
        assert (job.state, name in job.error.message) == (JobState.FAILED, True)


DECLARED = (*options.DECORATORS, *options.APPS, *options.WORKERS, *options.CLIENTS)


@pytest.mark.parametrize("case", DECLARED, ids=ids)
def test_no_option(case: Refusal) -> None:
    with pytest.raises(case.error) as caught:
        case.do()
    message = str(caught.value)
    assert case.culprit in message
    assert len(message) < 500
    assert "\n" not in message


def test_a_client_of_no_app_says_so_before_it_connects(stage: Stage) -> None:
    with pytest.raises(InvalidOption, match="app: expected an App, got a dict"):
        SyncScheduler({}, url=stage.url)  # type: ignore[arg-type]

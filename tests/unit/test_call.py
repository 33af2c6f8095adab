"""Calls that are made and not yet sent (C2.11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scheduler import App, MutationContext, values
from scheduler.call import CallOptions, Sender, check_size, make_request
from scheduler.due import Due
from scheduler.errors import InvalidArguments, InvalidCall, InvalidDelay, InvalidOption, InvalidTimestamp, LimitExceeded
from scheduler.function import call_after, call_at
from scheduler.ids import JobId

app = App("shop")
JOB = JobId("01JD6Q2M8XK0T9V4W5Y7Z3ABCD")
NOW = 1_800_000_000_000


@app.mutation(queue="orders")
async def place(ctx: MutationContext, item: str, *, amount: int = 1) -> None: ...


def test_after_and_at_say_when() -> None:
    assert place.after(timedelta(seconds=1), "a").due(NOW) == Due("after", 1000)
    assert place.at(NOW + 5, "a").due(NOW) == Due("at", NOW + 5)


def test_the_distance_of_a_timestamp_is_checked_when_it_is_sent() -> None:
    # C2.5
    call = place.at(5, "a")
    with pytest.raises(InvalidTimestamp, match="five years ago"):
        call.due(NOW)


def test_what_is_wrong_is_refused_where_the_call_is_made() -> None:
    # C1.4, C2.1, C2.3
    wrong: Any = None
    with pytest.raises(InvalidDelay):
        place.after(wrong, "a")
    with pytest.raises(InvalidTimestamp):
        place.at(wrong, "a")
    with pytest.raises(InvalidArguments, match="amount"):
        place.after(0, "a", amount=wrong)


def test_what_can_be_scheduled() -> None:
    # C2.6
    assert call_after(0, "shop:place", (1,), {}).function is None
    assert call_at(NOW, place, ("a",), {}).function is place
    bad: list[tuple[Any, str]] = [
        (test_what_can_be_scheduled, "the plain function test_what_can_be_scheduled .decorate"),
        (len, "the plain function len"), (5, "a int"), (None, "a NoneType"), (object(), "a object"), (b"a", "a bytes"),
    ]  # fmt: skip
    for function, message in bad:
        with pytest.raises(InvalidCall, match=f"^function: expected a registered function or its name, got {message}"):
            call_after(0, function, (), {})


def test_options_are_checked_and_replaced() -> None:
    # C2.1
    call = place.after(0, "a")
    keyed = call.using(queue="bulk", idempotency_key="k")
    assert keyed.options == CallOptions("bulk", "k", allow_unknown=False)
    assert call.options == CallOptions()
    assert (keyed.name, keyed.packed_args) == (call.name, call.packed_args)
    wrong: Any = "yes"
    for options in ({"queue": "a b"}, {"idempotency_key": ""}, {"allow_unknown": wrong}):
        with pytest.raises(InvalidOption):
            call.using(**options)


def test_a_request_holds_the_spec_from_the_queue_on() -> None:
    call = place.after(0, "a", amount=2).using(idempotency_key="k")
    request = make_request(call, JOB, Due("after", 0), Sender("P", 1_000, None), queue="orders", kind="mutation")
    assert (request.id, request.queue, request.name, request.mode, request.ms) == (JOB, "orders", call.name, "after", 0)
    assert (request.parent, request.key, request.born) == ("P", "k", "")
    parts = [values.pack(one, "x") for one in ("orders", call.name, "m", "P", "k", ["a"], {"amount": 2})]
    assert request.tail == b"".join(parts)
    assert request.size == len(request.tail)
    sender = Sender("", 1_000, None)
    elsewhere = make_request(call.using(queue="bulk"), JOB, Due("at", 5), sender, queue="orders", kind="mutation")
    assert (elsewhere.queue, elsewhere.key, elsewhere.mode) == ("bulk", "", "at")


def test_arguments_above_the_limit_are_refused() -> None:
    # C2.9
    call = place.after(0, "x" * 100)
    check_size(call, len(call.packed_args))
    with pytest.raises(LimitExceeded, match=f"{len(call.packed_args)} bytes, the limit is {len(call.packed_args) - 1}"):
        check_size(call, len(call.packed_args) - 1)

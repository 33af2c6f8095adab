"""Flags, environment and defaults of the commands, without running them."""

from __future__ import annotations

from typing import Any

import click
import pytest

from scheduler import App, MutationContext
from worker.cli import COMMANDS, Names, child_arguments, queues_of, worker
from worker.settings import WorkerSettings


def parse(*arguments: str) -> dict[str, Any]:
    return worker.make_context("worker", ["shop:app", *arguments]).params


def test_names_are_parted_by_commas() -> None:
    assert Names().convert(" default, mail,,", None, None) == ("default", "mail")


@pytest.mark.parametrize(
    ("variable", "value", "flag", "given", "name", "wanted"),
    [
        ("DUESTREAM_CONCURRENCY", "7", "-c", "9", "concurrency", (100, 7, 9)),
        ("DUESTREAM_QUEUES", "a,b", "-Q", "c", "queues", (None, ("a", "b"), ("c",))),
        ("DUESTREAM_LEASE", "5s", "--lease", "2s", "lease", (10_000, 5_000, 2_000)),
        ("DUESTREAM_GRACE", "5s", "--grace", "2s", "grace", (25_000, 5_000, 2_000)),
        ("DUESTREAM_PROCESSES", "3", "-w", "2", "processes", (1, 3, 2)),
        ("DUESTREAM_MAX_DELIVERIES", "3", "--max-deliveries", "2", "max_deliveries", (5, 3, 2)),
        ("DUESTREAM_DURABILITY", "fsync", "--durability", "replica", "durability", (None, "fsync", "replica")),
        ("DUESTREAM_REPLICAS", "3", "--replicas", "2", "replicas", (None, 3, 2)),
        ("REDIS_URL", "redis://a", "-u", "redis://b", "url", (None, "redis://a", "redis://b")),
    ],
)
def test_a_flag_goes_before_the_environment_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    flag: str,
    given: str,
    name: str,
    wanted: tuple[Any, ...],
) -> None:
    monkeypatch.delenv(variable, raising=False)
    found = [parse()[name]]
    monkeypatch.setenv(variable, value)
    found += [parse()[name], parse(flag, given)[name]]
    assert tuple(found) == wanted


def test_without_a_choice_all_queues_of_the_app_are_read_default_first() -> None:
    app = App("q")

    @app.mutation(queue="mail", name="q:f")
    async def f(ctx: MutationContext) -> None: ...

    @app.mutation(queue="attic", name="q:g")
    async def g(ctx: MutationContext) -> None: ...

    assert queues_of(app) == ("default", "attic", "mail")
    assert queues_of(App("empty")) == ("default",)


def test_a_childs_command_line_says_all_that_was_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUESTREAM_PROCESSES", "8")
    monkeypatch.setenv("DUESTREAM_GRACE", "1s")
    settings = WorkerSettings(
        queues=("a", "b"), concurrency=3, lease_ms=1_500, max_deliveries=2, grace_s=0.5, burst=True, promote=False,
        keeper=False,
    )  # fmt: skip
    command, target, *arguments = child_arguments(settings, ["shop:app", "-v"])
    assert (command, target) == ("worker", "shop:app")
    params = parse(*arguments)
    assert params["processes"] == 1
    assert params["watch_stdin"]
    assert (params["queues"], params["concurrency"], params["lease"]) == (("a", "b"), 3, 1_500)
    assert (params["max_deliveries"], params["grace"]) == (2, 500)
    assert not {"-u", "--url"} & set(arguments)  # everybody can read a command line
    assert (params["burst"], params["no_promote"], params["no_keeper"], params["verbose"]) == (True, True, True, True)


def test_a_child_gives_the_safety_that_was_asked_for() -> None:
    # C7.2
    settings = WorkerSettings(durability="replica", replicas=2, vouch_fsync=True)
    _, _, *arguments = child_arguments(settings, ["shop:app"])
    params = parse(*arguments)
    assert (params["durability"], params["replicas"], params["vouch_fsync"]) == ("replica", 2, True)
    _, _, *arguments = child_arguments(WorkerSettings(), ["shop:app"])
    params = parse(*arguments)
    assert (params["durability"], params["replicas"], params["vouch_fsync"]) == (None, None, False)


def test_every_option_is_explained() -> None:
    for command in COMMANDS:
        assert command.help
        for option in command.params:
            assert not isinstance(option, click.Option) or option.hidden or option.help, option.name

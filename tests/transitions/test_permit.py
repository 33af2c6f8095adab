"""permit: which commands the caller may not send, before a script is stopped at one of them."""

from __future__ import annotations

from scheduler import scripts, transitions
from scheduler.clients import blocking_client
from scheduler.commands import used_by
from scheduler.store import BlockingStore
from tests.acl import administer
from tests.limits import PASSWORD
from tests.transitions.conftest import World


def test_normal(world: World) -> None:
    # Who has no user of its own may do everything.
    asked = [
        " ".join((*command.split("|"), *[world.key("x")] * 4))
        for command in sorted(frozenset().union(*map(used_by, scripts.NAMES)))
    ]
    question = transitions.permit(asked)
    source = question.script.plain if world.fake else question.script.source
    assert question.read(world.command("EVAL", source, 1, world.keys.prefix, *question.argv)) == []


def test_empty_and_twice(world: World) -> None:
    assert world.changes_nothing(transitions.permit([])) == []
    assert world.changes_nothing(transitions.permit(["TIME"])) == []
    assert world.run(transitions.permit(["TIME", "TIME"])) == []


def test_what_a_user_lacks(real_world: World, server_url: str) -> None:
    # C6.3
    user = ("ACL", "SETUSER", "lacking", "reset", "on", f">{PASSWORD}", f"~{real_world.keys.prefix}*", "+eval", "+get")
    administer(server_url, *user, "+evalsha", "+time", "+xgroup|create")
    mine, other = real_world.key("x"), "{attic}:x"
    asked = [
        f"GET {mine}", f"GET {other}", f"SET {mine} 1", f"XGROUP CREATE {mine} g 0", f"XGROUP DELCONSUMER {mine} g c",
        f"EVAL script 1 {other}", "TIME",
    ]  # fmt: skip
    denied = [f"GET {other}", f"SET {mine} 1", f"XGROUP DELCONSUMER {mine} g c", f"EVAL script 1 {other}"]
    try:
        client = blocking_client(server_url.replace("redis://", f"redis://lacking:{PASSWORD}@"))
        assert BlockingStore(real_world.keys, client).run(transitions.permit(asked)) == denied
        client.close()
    finally:
        administer(server_url, "ACL", "DELUSER", "lacking")

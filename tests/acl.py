"""Running tests as the product has to run in production: under users who may do no more than `duestream acl` says.

With DUESTREAM_TEST_ACL=1 the servers that tests start have a user for each role. The clients of the product are that of
their role; those of the tests themselves may do everything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import pytest
import redis

from scheduler import clients, embedded
from scheduler.embedded import process
from scheduler.rights import SCRIPTS, rules
from scheduler.role import Role
from scheduler.scripts import Script
from scheduler.store import BlockingStore

VARIABLE: Final = "DUESTREAM_TEST_ACL"
PASSWORD: Final = "a-password-of-tests"
NAMESPACES: Final = "*"
"""Tests make up namespaces of their own; that a user is of one app only, `tests/security/test_rights.py` shows."""

_CLIENTS: Final = {
    Role.PRODUCER: ("scheduler.client", "scheduler.blocking", "scheduler.mailbox"),
    Role.WORKER: ("worker.connections", "worker.serving", "worker.promoting", "worker.keeper"),
    Role.OPERATOR: ("scheduler.clients",),  # what asks for its client when it runs: the command line
}
_MAKERS: Final = ("async_client", "blocking_client", "reader_client")


def wanted() -> bool:
    """Whether tests are to run under these users."""
    return os.environ.get(VARIABLE) == "1"


def as_role(url: str, role: Role) -> str:
    """A url for the user of a role; the same where no users are wanted, or it names one already."""
    if not wanted() or "@" in url or not url.startswith("redis://"):
        return url
    return url.replace("redis://", f"redis://{role}:{PASSWORD}@", 1)


def users() -> list[str]:
    """A line of the server's configuration for each user."""
    return [f"user {role} on >{PASSWORD} {' '.join(rules(role, NAMESPACES, fsync=True))}" for role in Role]


def administer(url: str, *command: str | bytes | int) -> Any:
    """A command that no client of the product sends; the reply as it came."""
    with redis.Redis.from_url(url, protocol=2) as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)


def role_of_script(name: str) -> Role:
    """The one with the least rights that calls a script."""
    return next(role for role in (Role.PRODUCER, Role.OPERATOR, Role.WORKER) if name in SCRIPTS[role])


def limited(given: BlockingStore, script: Script) -> BlockingStore:
    """A store for the same server under the user of the role that calls a script; the same where none is wanted."""
    if not wanted() or given.fake:
        return given
    options = given._given.connection_pool.connection_kwargs
    return BlockingStore(given.keys, _client(options["host"], options["port"], role_of_script(script.name)))


_kept: dict[tuple[str, int, Role], redis.Redis] = {}


def ports() -> set[int]:
    """Of the servers to which connections are kept from one test to the next."""
    return {port for _, port, _ in _kept}


def _client(host: str, port: int, role: Role) -> redis.Redis:
    if (host, port, role) not in _kept:
        _kept[host, port, role] = redis.Redis(host=host, port=port, username=role, password=PASSWORD, protocol=2)
    return _kept[host, port, role]


@contextmanager
def installed() -> Iterator[None]:
    """Users in each server that is started in this process, and each client of the product as one of them."""
    with pytest.MonkeyPatch.context() as patch:
        if wanted():
            configure = process.directives
            patch.setattr(embedded, "directives", lambda **given: "\n".join([configure(**given), *users(), ""]))
            makers = {name: getattr(clients, name) for name in _MAKERS}
            for role, modules in _CLIENTS.items():
                for module in map(import_module, modules):
                    for name, make in makers.items():
                        if hasattr(module, name):
                            patch.setattr(module, name, _limited(make, role))
        yield


def _limited(make: Callable[..., Any], role: Role) -> Callable[..., Any]:
    return lambda url, *rest, **options: make(as_role(url, role), *rest, **options)

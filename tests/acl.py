"""Running tests as the product has to run in production: under users who may do no more than `duestream acl` says.

With DUESTREAM_TEST_ACL=1 the servers that tests start have a user for each role. The clients of the product are that of
their role, in the processes that tests start, too; those of the tests themselves may do everything but call scripts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from scheduler import clients
from scheduler.embedded import process
from scheduler.rights import SCRIPTS
from scheduler.role import Role
from scheduler.scripts import Script
from scheduler.store import BlockingStore
from tests.limits import PASSWORD, changes, users

VARIABLE: Final = "DUESTREAM_TEST_ACL"
_START: Final = str(Path(__file__).parent / "start")


def wanted() -> bool:
    """Whether tests are to run under these users."""
    return os.environ.get(VARIABLE) == "1"


def directives() -> list[str]:
    """What the configuration of a server says of its users, where `EmbeddedServer` does not start it."""
    return users() if wanted() else []


def administer(url: str, *command: str | bytes | int) -> Any:
    """A command that no client of the product sends; the reply as it came."""
    with redis.Redis.from_url(url, protocol=2) as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)


def role_of_script(name: str) -> Role:
    """The one with the least rights that calls a script."""
    return next(role for role in (Role.PRODUCER, Role.OPERATOR, Role.WORKER) if name in SCRIPTS[role])


def as_role(url: str, role: Role) -> str:
    """A url for the user of a role; the same where none is wanted."""
    return url.replace("redis://", f"redis://{role}:{PASSWORD}@", 1) if wanted() else url


def as_user(given: BlockingStore, role: Role) -> BlockingStore:
    """A store for the same server under the user of a role; the same where none is wanted."""
    if not wanted() or given.fake:
        return given
    options = given._given.connection_pool.connection_kwargs
    return BlockingStore(given.keys, _client(options["host"], options["port"], role))


def limited(given: BlockingStore, script: Script) -> BlockingStore:
    """The same for the role that calls a script."""
    return as_user(given, role_of_script(script.name))


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
    """Users in each server, and each client of the product as one of them: here, and in processes started from here."""
    with pytest.MonkeyPatch.context() as patch:
        if wanted() and _START not in sys.path:  # a test of mutants runs tests within it
            for module in (clients, process):
                for name, change in changes(module).items():
                    patch.setattr(module, name, change)
            patch.setenv("PYTHONPATH", _START, prepend=os.pathsep)
            patch.setattr(sys, "path", [*sys.path, _START])  # from which a worker makes its keeper's PYTHONPATH
        yield

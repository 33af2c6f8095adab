"""Each client of the product as the user of its role, in whichever process it is made; servers that have these users.

It is of the standard library only, and looks at two modules of the product once they are imported, not before: the
processes of tests are to import what they would import without it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any, Final

PASSWORD: Final = "a-password-of-tests"
NAMESPACES: Final = "*"
"""Tests make up namespaces of their own; that a user is of one app only, `tests/security/test_rights.py` shows."""

_CLIENTS: Final = "scheduler.clients"
_SERVERS: Final = "scheduler.embedded.process"
_ROLES: Final = {"worker": "worker", "scheduler.cli": "operator", "scheduler": "producer"}
"""The role of the client that a module makes for itself, by the package that it is in; the first that fits."""


def role_of(module: str) -> str | None:
    """Whose user the client is that a module makes; None for one that may do everything."""
    return next((role for package, role in _ROLES.items() if f"{module}.".startswith(f"{package}.")), None)


def users() -> list[str]:
    """A line of the server's configuration for each user.

    Who may do everything else does not run the product's scripts: a client of the product that is nobody's fails.
    """
    from scheduler.rights import rules
    from scheduler.role import Role

    limited = [f"user {role} on >{PASSWORD} {' '.join(rules(role, NAMESPACES, fsync=True))}" for role in Role]
    return ["user default on nopass ~* &* +@all -evalsha", *limited]


def changes(module: ModuleType) -> dict[str, Any]:
    """What of a module of the product is another one under users, by name."""
    match module.__name__:
        case "scheduler.clients":
            return {"_options": _with_user(module._options)}
        case "scheduler.embedded.process":
            return {"_spawn": _with_users(module._spawn)}
        case _:
            return {}


def _with_user(options: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    def made(url: str) -> dict[str, Any]:
        role = None if "@" in url or "password=" in url else role_of(_caller(sys._getframe(1)))
        return options(url) | ({} if role is None else {"username": role, "password": PASSWORD})

    return made


def _caller(frame: FrameType | None) -> str:
    """The module that called into that of the clients; what is run as a program keeps its name in its spec."""
    while frame is not None:
        spec: ModuleSpec | None = frame.f_globals.get("__spec__")
        name = "" if spec is None else spec.name
        if name != _CLIENTS:
            return name
        frame = frame.f_back
    return ""


def _with_users(spawn: Callable[..., None]) -> Callable[..., None]:
    def spawned(home: Any, program: Any, configuration: str) -> None:
        spawn(home, program, "\n".join([configuration, *users(), ""]))

    return spawned


class Finder(MetaPathFinder):
    """Changes these modules once they have been imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in (_CLIENTS, _SERVERS):
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            spec.loader = _Changing(spec.loader)
        return spec


class _Changing(Loader):
    def __init__(self, inner: Loader) -> None:
        self._inner = inner

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        vars(module).update(changes(module))

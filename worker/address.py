"""Where another process finds an app: the module it is made in, and the name it has there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from scheduler.app import App
from scheduler.errors import ConfigurationError
from scheduler.function import AnyFunction

_MAIN = "__main__"


class Address(NamedTuple):
    """What has to be imported, and where the app then is.

    Attributes:
        module: The module of the app.
        name: Its name there.
        registering: The modules that register the functions.
    """

    module: str
    name: str
    registering: tuple[str, ...]


def address_of(app: App, functions: Iterable[AnyFunction]) -> Address:
    """Where another process finds an app and some of its functions.

    Raises:
        ConfigurationError: The app has no name in any module, or in one that cannot be imported.
    """
    own = dict.fromkeys(function.handler.__module__ for function in functions)
    for name in (*own, *sys.modules):
        found = next(_names_of(app, sys.modules.get(name)), None)
        if found is not None:
            return Address(_importable(name), found, tuple(_importable(one) for one in own))
    raise ConfigurationError(
        f"isolate=True: another process cannot find the app {app.namespace!r}: it has no name in any module "
        "(make it at the top of a module: app = App(...), or app = make_app())"
    )


def load(address: Address) -> App:
    """Import an app.

    Raises:
        ConfigurationError: In one line, what is wrong.
    """
    try:
        module = importlib.import_module(address.module)
        for name in address.registering:
            importlib.import_module(name)
    except BaseException as error:
        lines = str(error).splitlines() or [""]
        raise ConfigurationError(
            f"isolate=True: a process of its own cannot import {address.module}: {type(error).__name__}: {lines[0]}"
        ) from error
    found: object = getattr(module, address.name, None)
    if not isinstance(found, App):
        raise ConfigurationError(
            f"isolate=True: {address.module} has no app {address.name!r} when it is imported again"
        )
    return found


def check(app: App, namespace: str, names: Iterable[str]) -> None:
    """Look whether an app that was imported again is the same.

    Raises:
        ConfigurationError: It has another namespace, or lacks one of the functions.
    """
    if app.namespace != namespace:
        raise ConfigurationError(
            f"isolate=True: the app is {namespace!r} here, and {app.namespace!r} when it is imported again"
        )
    for name in names:
        function = app.functions.get(name)
        if function is None or not function.isolate:
            raise ConfigurationError(
                f"isolate=True: {name} is not registered when its module is imported again (a function has to be "
                "registered at the top of a module)"
            )


def _names_of(app: App, module: object) -> Iterator[str]:
    # Not getattr: modules that load lazily would load.
    for name, value in list(vars(module).items()) if isinstance(module, ModuleType) else ():
        if value is app:
            yield name


def _importable(module: str) -> str:
    """What another process imports it by: the script that was run is called `__main__` only here."""
    if module != _MAIN:
        return module
    main = sys.modules[_MAIN]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    path = Path(file) if isinstance(file, str) else None
    if path is None or path.suffix != ".py" or not path.stem.isidentifier():
        raise ConfigurationError(
            "isolate=True: another process cannot import what was typed in or piped to Python (put it into a module)"
        )
    return path.stem

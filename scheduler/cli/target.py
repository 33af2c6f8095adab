"""Loading the app that a command line names as MODULE:APP; whatever is wrong is said in one line."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from importlib.machinery import PathFinder
from itertools import takewhile
from pathlib import Path
from types import ModuleType

from scheduler.app import App
from scheduler.errors import ConfigurationError, InvalidOption

_EXAMPLE = "expected MODULE:APP, like examples.shop:app"
_MODULE = re.compile(r"\w+(\.\w+)*")
_OURS = str(Path(__file__).parents[1])
_MACHINERY = ("<frozen ", importlib.__file__, __file__)


class BadTarget(ConfigurationError, InvalidOption):
    """What cannot name an app at all."""


def load_app(target: str) -> App:
    """Import a module and take an app from it; the current directory is looked in first, as `python -m` does.

    Args:
        target: "package.module:name"; the name may have dots.

    Raises:
        BadTarget: Not of that form.
        ConfigurationError: In one line: the module, its own error and where that happened, or the name.
    """
    module_name, colon, name = target.partition(":")
    if not colon or not name:
        raise BadTarget(f"{target!r}: {_EXAMPLE}")
    if not _MODULE.fullmatch(module_name) or Path(module_name).is_file():
        raise BadTarget(f"{target!r}: {module_name!r} is not the name of a module; {_hint(module_name, name)}")
    found: object = _import(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(f"{target!r}: {module_name} has no {name!r}{_apps_of(sys.modules[module_name])}")
        found = getattr(found, part)
    if not isinstance(found, App):
        module = sys.modules[module_name]
        raise ConfigurationError(f"{target!r}: expected an App, got a {type(found).__name__}{_apps_of(module)}")
    return found


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigurationError(_not_found(name, error)) from error
        raise ConfigurationError(_where(name, error)) from error
    except (Exception, SystemExit) as error:
        raise ConfigurationError(_where(name, error)) from error


def _not_found(name: str, error: ModuleNotFoundError) -> str:
    parent, _, child = name.rpartition(".")
    if "is not a package" in str(error):
        return f"cannot import {name}: {error.name and parent} is a module, so it has no {child!r}"
    beside = " (a file of that name lies in src/)" if PathFinder.find_spec(name, [str(Path("src"))]) else ""
    return f"cannot import {name}: there is no module {error.name!r} in {Path.cwd()} or among those installed{beside}"


def _where(name: str, error: BaseException) -> str:
    """The error of the module's own code: its type, its first line, and the file and line it came from."""
    lines = str(error).splitlines()
    what = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    if isinstance(error, SyntaxError):
        what = f"{type(error).__name__}: {error.msg}"
        return f"cannot import {name}: {_short(error.filename or '?')}:{error.lineno}: {what}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_MACHINERY)]
    # A decorator of ours that refuses what it is given: the line that gave it.
    frames = list(takewhile(lambda frame: not frame.filename.startswith(_OURS), frames)) or frames
    place = f"{_short(frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""
    return f"cannot import {name}: {place}{what}"


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def _hint(module_name: str, name: str) -> str:
    if module_name.endswith(".py"):
        return f"write {'.'.join(Path(module_name).with_suffix('').parts).strip('./')}:{name}"
    return _EXAMPLE


def _apps_of(module: ModuleType) -> str:
    names = sorted(name for name, value in vars(module).items() if isinstance(value, App))
    return f" (it has the app {', '.join(names)})" if names else " (it has no App at all)"

"""The parameters of the function a command line calls: texts become values, and what does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scheduler.errors import InvalidArguments, UnknownFunction

if TYPE_CHECKING:
    from scheduler.cli.session import Session
    from scheduler.function import AnyFunction

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

_TYPES = {
    type(None): {"null"},
    bool: {"boolean"},
    int: {"integer", "number"},
    float: {"number"},
    str: {"string"},
    list: {"array"},
    dict: {"object"},
}


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of one function.

    Attributes:
        function: The function where its app was imported, else its name; what `call_after` takes.
        name: Its name.
        parameters: As `Parameters.describe` gives them; None where nothing is known of the function.
        parse: Reads the text of one parameter, given its name.
    """

    function: AnyFunction | str
    name: str
    parameters: Sequence[Mapping[str, Any]] | None
    parse: Callable[[str, str], object]

    def parse_pairs(self, pairs: Sequence[str]) -> Arguments:
        """Read `key=value` words.

        Raises:
            InvalidArguments: Naming the first parameter that is unknown, given twice, unreadable or missing.
        """
        named: dict[str, Any] = {}
        for pair in pairs:
            key, equals, text = pair.partition("=")
            if not equals or not key:
                raise InvalidArguments(f"{self.name}: expected key=value, got {pair[:60]!r}")
            if key in named:
                raise InvalidArguments(f"{self.name}: {key}: given twice")
            self._check_known(key)
            named[key] = self.parse(key, text)
        args = self._positional(named)
        self.check(args, named)
        return args, named

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Check names, and the types that JSON can tell; the types themselves where the app is at hand.

        Raises:
            InvalidArguments: Naming the first parameter that does not fit.
        """
        if self.parameters is None or not isinstance(self.function, str):
            return  # nothing is known, or `call_after` binds the arguments to the real signature
        places = [one for one in self.parameters if one["kind"].startswith("positional")]
        rest = next((one for one in self.parameters if one["kind"] == "var_positional"), None)
        if len(args) > len(places) and rest is None:
            raise self._error(f"takes at most {len(places)} positional arguments ({len(args)} given)")
        for number, value in enumerate(args):
            one = places[number] if number < len(places) else rest or {}
            self._check_type(one, str(one["name"]), value)
        self._check_named(places[: len(args)], kwargs)
        filled = {one["name"] for one in places[: len(args)]} | kwargs.keys()
        for one in self.parameters:
            if one["required"] and one["name"] not in filled:
                raise self._error(f"{one['name']}: missing argument")

    def _check_named(self, given: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]) -> None:
        taken = {one["name"] for one in given}
        for key, value in kwargs.items():
            one = self._find(key)
            if one is None or one["kind"] == "positional_only":
                raise self._unexpected(key)
            if key in taken:
                raise self._error(f"{key}: multiple values for one argument")
            self._check_type(one, key, value)

    def _check_type(self, one: Mapping[str, Any], label: str, value: object) -> None:
        if not accepts(one.get("schema"), value):
            raise self._error(f"{label}: expected {_expected(one['schema'])} (got {_shown(value)})")

    def _check_known(self, key: str) -> None:
        if self.parameters is not None and self._find(key) is None:
            raise self._unexpected(key)

    def _find(self, key: str) -> Mapping[str, Any] | None:
        named = [one for one in self.parameters or () if not one["kind"].startswith("var_")]
        extra = next((one for one in self.parameters or () if one["kind"] == "var_keyword"), None)
        return next((one for one in named if one["name"] == key), extra)

    def _positional(self, named: dict[str, Any]) -> tuple[Any, ...]:
        """Take out of `named` what can only be given by position."""
        args: list[Any] = []
        for one in self.parameters or ():
            if one["kind"] != "positional_only" or one["name"] not in named:
                break
            args.append(named.pop(one["name"]))
        return tuple(args)

    def _unexpected(self, key: str) -> InvalidArguments:
        known = ", ".join(str(one["name"]) for one in self.parameters or ()) or "none"
        return self._error(f"{key[:60]}: unexpected argument (it takes: {known})")

    def _error(self, reason: str) -> InvalidArguments:
        return InvalidArguments(f"{self.name}: {reason}")


class Signatures:
    """Finds signatures by name: in the app that was imported, else among what live deployments registered.

    Args:
        session: Where to look.
        allow_unknown: Take names that nobody registered; nothing is checked then.
    """

    def __init__(self, session: Session, *, allow_unknown: bool = False) -> None:
        self._session = session
        self._allow_unknown = allow_unknown
        self._known: dict[str, Signature] = {}
        self._registered: dict[str, Sequence[Mapping[str, Any]]] | None = None

    def find(self, name: str) -> Signature:
        """The signature of a function.

        Raises:
            UnknownFunction: Nobody registered that name; the message says which names are like it.
            InvalidOption: No function can have that name.
        """
        if name not in self._known:
            self._known[name] = self._look_up(name)
        return self._known[name]

    def _look_up(self, name: str) -> Signature:
        from scheduler.parameters import parse_text_by_schema
        from scheduler.settings import check_name

        function = self._session.app.find(check_name(name))
        if not isinstance(function, str):
            parameters = function.parameters
            return Signature(function, name, parameters.describe(), parameters.parse_text)
        if self._registered is None:
            self._registered = self._read_registered()
        if name not in self._registered:
            if not self._allow_unknown:
                raise self._unknown(name, self._registered)
            return Signature(name, name, None, lambda _, text: parse_text_by_schema({}, text))
        return _described(name, self._registered[name])

    def _read_registered(self) -> dict[str, Sequence[Mapping[str, Any]]]:
        from scheduler.inspector import read_functions

        functions = self._session.store.drive(read_functions(self._session.store.keys))
        return {one.name: one.parameters for one in functions}

    def _unknown(self, name: str, registered: Mapping[str, object]) -> UnknownFunction:
        import difflib

        near = difflib.get_close_matches(name, {*self._session.app.functions, *registered}, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "start a worker that has it, or pass --allow-unknown"
        namespace = self._session.app.namespace
        return UnknownFunction(f"function: no live deployment of {namespace!r} has registered {name!r} ({hint})")


def _described(name: str, parameters: Sequence[Mapping[str, Any]]) -> Signature:
    from scheduler.parameters import parse_text_by_schema

    schemas = {str(one["name"]): one["schema"] for one in parameters if one["kind"] != "var_keyword"}
    extra: Mapping[str, Any] = next((one["schema"] for one in parameters if one["kind"] == "var_keyword"), {})

    def parse(key: str, text: str) -> object:
        try:
            return parse_text_by_schema(dict(schemas.get(key, extra)), text)
        except InvalidArguments as error:
            raise InvalidArguments(f"{name}: {key}: {error}") from error

    return Signature(name, name, parameters, parse)


def accepts(schema: object, value: object) -> bool:
    """Whether a JSON value can fit a schema, by its type alone; the worker looks at the rest."""
    if not isinstance(schema, dict):
        return True
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return any(accepts(choice, value) for choice in choices)
    declared = schema.get("type")
    if declared is None:
        return True
    return bool(_TYPES.get(type(value), set()) & ({declared} if isinstance(declared, str) else set(declared)))


def _expected(schema: Mapping[str, Any]) -> str:
    choices = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return " or ".join(dict.fromkeys(str(choice.get("type", "another type")) for choice in choices))


def _shown(value: object) -> str:
    import reprlib

    return reprlib.repr(value)

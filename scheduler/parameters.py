"""The parameters of a handler: bound, validated, described, and read from a command line.

A value has been typed by a programmer or has come back from msgpack, so validation is careful where pydantic's default
is generous: int, float, bool, str and bytes in a hint, also inside a list or a union, take values of that type only
(an int for a float is the one exception). ``"5"`` is no int, True is no int and no float, 3.0 is no int. All else keeps
pydantic's lax rules, because that is how values come back from msgpack or over HTTP: a dict for a dataclass or a
model, a value for an Enum, a str for a UUID, Decimal or datetime, a list for a tuple. `ConfigDict(strict=True)` would
refuse these as well, and pydantic refuses it beside models; so each primitive in the hint is marked `Strict()`. The
fields of a model or dataclass follow its own configuration. ``Annotated[int, Strict(False)]`` opts out.

Source: contract C1.4.
"""

from __future__ import annotations

import collections.abc as abc
import contextlib
import dataclasses
import functools
import inspect
import json
import re
import reprlib
import sys
import types
import typing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, PydanticUndefinedAnnotation, PydanticUserError, Strict, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from scheduler.errors import InvalidArguments, InvalidValue
from scheduler.values import dotted

_PRIMITIVES: Final = (int, float, bool, str, bytes)
_SCALARS: Final = frozenset({*_PRIMITIVES, type(None), datetime, date, timedelta, UUID, Decimal})
_CONTAINERS: Final = frozenset(
    {list, tuple, set, frozenset, dict, abc.Sequence, abc.Iterable, abc.Collection, abc.Mapping, abc.MutableMapping}
)
_UNIONS: Final = frozenset({Union, types.UnionType})
_TRUE: Final = frozenset({"1", "on", "t", "true", "y", "yes"})  # the words that pydantic takes
_FALSE: Final = frozenset({"0", "off", "f", "false", "n", "no"})
_NARROW: Final = frozenset({"format", "pattern", "enum", "const"})  # a str, but not just any
_JSON_TYPES: Final = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_MANY_ERRORS: Final = 1000
_UNUSABLE: Final = (
    PydanticUserError,
    PydanticUndefinedAnnotation,
    SchemaError,
    NameError,
    AttributeError,
    SyntaxError,
    TypeError,
    ValueError,
)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `exact` types need no check, without an `adapter` no value needs one."""

    name: str
    kind: inspect._ParameterKind
    required: bool
    exact: frozenset[type]
    adapter: TypeAdapter[Any] | None


class Returns:
    """The hint of what a handler returns."""

    def __init__(self, name: str, hint: Any) -> None:
        self._name = name
        self._adapter, self._exact = _compiled(hint)

    def load_result(self, value: Any) -> Any:
        """Make a stored plain value what the hint says: a dict a model, a str an Enum member.

        Without a hint, or with None or Any, the value itself. Raises `InvalidValue` when it does not fit.
        """
        if self._adapter is None or type(value) in self._exact:
            return value
        try:
            return self._adapter.validate_python(value, by_alias=True, by_name=True)
        except Exception as error:
            raise InvalidValue(f"{self._name}: {_explained('result', value, error)}") from error


class Shape:
    """What the documents of a table look like: a pydantic model, a dataclass or a TypedDict.

    Raises TypeError for a type that is none of these or cannot be validated.
    """

    def __init__(self, schema: Any) -> None:
        try:
            self._adapter = TypeAdapter(schema)
        except _UNUSABLE as error:
            raise TypeError(
                f"schema: {schema!r} cannot be used: {_one_line(str(error).partition(chr(10))[0], 300)}"
            ) from error
        self.fields = _field_names(schema)

    def load(self, label: str, value: Any) -> Any:
        """Validate the dict of a document's fields. Raises `InvalidValue`, naming the field and the reason."""
        try:
            return self._adapter.validate_python(value, by_alias=True, by_name=True)
        except Exception as error:
            raise InvalidValue(_explained(label, value, error)) from error


def _field_names(schema: Any) -> frozenset[str]:
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return frozenset(schema.model_fields)
    if dataclasses.is_dataclass(schema):
        return frozenset(field.name for field in dataclasses.fields(schema))
    # By what it has: of the two that Python 3.11 has, `typing.is_typeddict` knows only the one that pydantic refuses.
    if isinstance(schema, type) and issubclass(schema, dict) and hasattr(schema, "__total__"):
        return frozenset(schema.__annotations__)
    raise TypeError(f"schema: expected a pydantic model, a dataclass or a TypedDict, got {schema!r}")


class Parameters:
    """The parameters of one handler but the first, the context; compiled once, then safe to share between threads."""

    def __init__(self, name: str, parameters: tuple[Parameter, ...], context: str | None, returns: Returns) -> None:
        kinds = inspect.Parameter
        self.name = name
        self.returns = returns
        self._context = context
        self._all = parameters
        self._positional = tuple(
            one for one in parameters if one.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
        )
        self._named = {
            one.name: one for one in parameters if one.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
        }
        self._places = {one.name: place for place, one in enumerate(self._positional)}
        self._rest = next((one for one in parameters if one.kind is kinds.VAR_POSITIONAL), None)
        self._extra = next((one for one in parameters if one.kind is kinds.VAR_KEYWORD), None)
        required = [one for one in parameters if one.required]
        self._required = tuple((self._places.get(one.name, sys.maxsize), one) for one in required)
        self._enough = max((place + 1 for place, _ in self._required), default=0)

    @classmethod
    def of(cls, function: abc.Callable[..., Any], name: str | None = None) -> Parameters:
        """Compile the signature of a handler; `name` is the function's name in messages.

        Raises TypeError, naming the function and the parameter, for a hint that cannot be resolved or validated and
        for a function whose first parameter cannot take the context. The context's own hint is not looked at.
        """
        if name is None:
            plain = getattr(function, "__name__", type(function).__name__)
            name = f"{getattr(function, '__module__', '').rpartition('.')[2]}:{plain}"
        try:
            signature = inspect.signature(function)
        except (ValueError, NameError) as error:
            raise TypeError(f"{name}: the signature cannot be read: {error}") from error
        first = next(iter(signature.parameters.values()), None)
        if first is None or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
            found = "there is none" if first is None else f"{first} cannot take it"
            raise TypeError(f"{name}: the first parameter takes the context, but {found}")
        hints = _Hints(name, function)
        parameters = tuple(hints.parameter(one) for one in list(signature.parameters.values())[1:])
        context = first.name if first.kind is first.POSITIONAL_OR_KEYWORD else None
        return cls(name, parameters, context, hints.returns(signature.return_annotation))

    def bind(self, args: tuple[Any, ...], kwargs: abc.Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Validate the arguments of one call; returns what to call the handler with, after the context.

        Defaults are not filled in: the code that is deployed when the job runs decides them. Raises
        `InvalidArguments`, one line that names the function, the parameter and the reason.
        """
        positional = self._positional
        given = len(args)
        if given > len(positional) and self._rest is None:
            raise self._error(f"takes at most {len(positional)} positional arguments ({given} given)")
        values = [
            value if type(value) in one.exact else self._validated(one, value, one.name)
            for one, value in zip(positional, args, strict=False)
        ]
        if self._rest is not None:
            for place, value in enumerate(args[len(positional) :]):
                values.append(self._validated(self._rest, value, f"{self._rest.name}[{place}]"))
        named = {key: self._bind_named(key, value, given) for key, value in kwargs.items()} if kwargs else {}
        if given < self._enough:
            for place, one in self._required:
                if place >= given and (one.name not in named or one.name not in self._named):
                    raise self._error(f"{one.name}: missing argument")
        return tuple(values), named

    def describe(self) -> list[dict[str, Any]]:
        """Describe each parameter: name, required, kind ("keyword_only", ...) and the JSON schema of its type.

        All of it can be written as JSON. A type without a schema, or of anything, has ``{}``.
        """
        return [
            {
                "name": one.name,
                "required": one.required,
                "kind": one.kind.name.lower(),
                "schema": _json_schema(one.adapter),
            }
            for one in self._all
        ]

    def parse_text(self, name: str, text: str) -> object:
        """Read the value of one parameter from a command line.

        A str stays as it is; int, float, bool, datetime, UUID, Decimal and Enum members are read by pydantic's rules
        for strings; all else, and None, as JSON. For ``*lines`` and ``**options`` it reads one of them.
        """
        one = next((one for one in self._all if one.name == name), self._extra)
        if one is None:
            raise self._error(f"{_one_line(name)}: unexpected argument")
        if one.adapter is None:
            return _json_or_text(text)
        try:
            return one.adapter.validate_strings(text, by_alias=True, by_name=True)
        except Exception as error:  # noqa: BLE001 - validators are the user's own code
            return self._parse_json(one, name, text, error)

    def _parse_json(self, one: Parameter, name: str, text: str, as_string: Exception) -> object:
        assert one.adapter is not None
        try:
            return one.adapter.validate_json(text, by_alias=True, by_name=True)
        except Exception as as_json:  # noqa: BLE001 - validators are the user's own code
            error = as_json if text.lstrip()[:1] in ("[", "{") else as_string
            raise self._error(_explained(name, text, error)) from error

    def _bind_named(self, key: str, value: Any, given: int) -> Any:
        one = self._named.get(key)
        if one is None:
            if key == self._context:
                raise self._error(f"{key}: the context is not an argument")
            if self._extra is None:
                raise self._error(f"{_one_line(str(key))}: unexpected argument")
            return self._validated(self._extra, value, key)
        if self._places.get(key, given) < given:
            raise self._error(f"{key}: multiple values for one argument")
        return value if type(value) in one.exact else self._validated(one, value, key)

    def _validated(self, one: Parameter, value: Any, label: str) -> Any:
        if one.adapter is None or type(value) in one.exact:
            return value
        try:
            # Models are stored by the names of their fields; a caller outside may use the aliases.
            return one.adapter.validate_python(value, by_alias=True, by_name=True)
        except Exception as error:
            raise self._error(_explained(label, value, error)) from error

    def _error(self, reason: str) -> InvalidArguments:
        return InvalidArguments(f"{self.name}: {reason}")


class _Hints:
    """Resolves the annotations of one function, one by one, so that an error can name the parameter."""

    def __init__(self, name: str, function: Any) -> None:
        while isinstance(function, functools.partial) or hasattr(function, "__wrapped__"):
            function = function.func if isinstance(function, functools.partial) else function.__wrapped__
        if not hasattr(function, "__globals__"):
            function = type(function).__call__
        self._name = name
        self._globals = getattr(function, "__globals__", {})

    def parameter(self, one: inspect.Parameter) -> Parameter:
        required = one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        adapter, exact = self._guarded(one.name, lambda: _compiled(self._resolved(one.annotation)))
        return Parameter(one.name, one.kind, required, exact, adapter)

    def returns(self, annotation: Any) -> Returns:
        def compiled() -> Returns:
            hint = self._resolved(annotation)
            return Returns(self._name, Any if hint is type(None) else hint)

        return self._guarded("return", compiled)

    def _resolved(self, annotation: Any) -> Any:
        if annotation is inspect.Signature.empty:
            return Any
        holder = types.SimpleNamespace(__annotations__={"hint": annotation})
        return typing.get_type_hints(holder, globalns=self._globals, include_extras=True)["hint"]

    def _guarded(self, label: str, compile_hint: abc.Callable[[], _T]) -> _T:
        try:
            return compile_hint()
        except _UNUSABLE as error:
            reason = _one_line(str(error).partition("\n")[0], 300)
            raise TypeError(f"{self._name}: {label}: the type hint cannot be used: {reason}") from error


def _compiled(hint: Any) -> tuple[TypeAdapter[Any] | None, frozenset[type]]:
    if hint is Any or hint is object:
        return None, frozenset()
    return TypeAdapter(_careful(hint)), _exact_types(hint)


def _careful(hint: Any) -> Any:
    """Mark each primitive of a hint as strict."""
    annotated: Any = Annotated
    if any(hint is primitive for primitive in _PRIMITIVES):
        return annotated[hint, Strict()]
    if isinstance(hint, NewType):
        return _careful(hint.__supertype__)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return annotated[(_careful(hint.__origin__), *hint.__metadata__)]
    inner = tuple(_careful(arg) for arg in args)
    if origin in _UNIONS:
        union: Any = Union
        return union[inner]
    return origin[inner] if origin in _CONTAINERS else hint


def _exact_types(hint: Any) -> frozenset[type]:
    """The types of which each value fits the hint as it is."""
    if get_origin(hint) in _UNIONS:
        return frozenset().union(*map(_exact_types, get_args(hint)))
    return frozenset({hint}) if isinstance(hint, type) and hint in _SCALARS else frozenset()


def _json_schema(adapter: TypeAdapter[Any] | None) -> dict[str, Any]:
    try:
        return {} if adapter is None else adapter.json_schema()
    except PydanticUserError:  # a Callable, a type of the user's own without a schema
        return {}


def _explained(label: str, value: object, error: Exception) -> str:
    """Say in one line what is wrong with a value, whatever the user's own __str__ and __repr__ do."""
    reason, more = type(error).__name__, ""
    try:
        if isinstance(error, ValidationError) and error.error_count() > _MANY_ERRORS:
            reason = f"{error.error_count()} parts of it do not fit"  # errors() would take seconds
        elif isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_context=False)[0]
            label, value, reason = dotted(label, first["loc"]), first["input"], first["msg"]
            more = f" and {error.error_count() - 1} more" if error.error_count() > 1 else ""
        else:
            reason = f"{reason}: {error}"
    except Exception as again:  # noqa: BLE001  the user's own __str__ failed: the types say enough
        reason = f"{type(error).__name__} ({type(again).__name__} when asked for its message)"
    return f"{label}: {_one_line(reason, 300)} (got {_shown(value)}){more}"


def _shown(value: object) -> str:
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    try:
        return _one_line(short.repr(value))
    except Exception:  # noqa: BLE001 - the user's own __repr__, or an int of 5,000 digits
        return f"a value of type {type(value).__name__}"


def _one_line(text: str, limit: int = 120) -> str:
    line = "".join(one if one.isprintable() else " " for one in text[:limit])
    return line if len(text) <= limit else line + "…"


def parse_text_by_schema(schema: dict[str, Any], text: str) -> object:
    """Read a value from a command line, knowing only the JSON schema that `describe` gave.

    As `Parameters.parse_text`, but what JSON has no type for stays a str (a date, a UUID), for the worker to read; so
    does a number where the schema allows a string too, since a Decimal declares both. A schema that says nothing:
    JSON, or else the text. Raises `InvalidArguments`.
    """
    choices = _choices(schema, schema)
    names = set().union(*map(_type_names, choices))
    if not all(map(_type_names, choices)):
        return _json_or_text(text)
    number = int if _INTEGER.fullmatch(text) else float
    if ("integer" in names and number is int) or ("number" in names and "string" not in names):
        with contextlib.suppress(ValueError):  # no number, or one of 5,000 digits
            return number(text)
    if "boolean" in names and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if not any("string" in _type_names(choice) and not _NARROW & choice.keys() for choice in choices):
        value = _json_or_text(text)
        if _JSON_TYPES.get(type(value)) in names & {"null", "array", "object"}:
            return value
    if "string" in names:
        texts = [choice for choice in choices if "string" in _type_names(choice)]
        return text.encode() if all(choice.get("format") == "binary" for choice in texts) else text
    raise InvalidArguments(f"Input should be a valid {' or '.join(sorted(names))} (got {_shown(text)})")


def _choices(schema: Any, root: dict[str, Any], depth: int = 8) -> list[dict[str, Any]]:
    """What a value may be, one schema each; ``{}`` where the schema says nothing that we understand."""
    if not isinstance(schema, dict) or not depth:
        return [{}]
    if "$ref" in schema:
        definitions = root.get("$defs")
        name = str(schema["$ref"]).rpartition("/")[2]
        return _choices(definitions.get(name) if isinstance(definitions, dict) else None, root, depth - 1)
    nested = [one for word in ("anyOf", "oneOf", "allOf") for one in _items(schema.get(word))]
    return [choice for one in nested for choice in _choices(one, root, depth - 1)] if nested else [schema]


def _type_names(choice: dict[str, Any]) -> set[str]:
    declared = choice.get("type")
    names = {one for one in [declared, *_items(declared)] if isinstance(one, str)}
    values = [choice["const"]] if "const" in choice else _items(choice.get("enum"))
    return names or {_JSON_TYPES.get(type(value), "") for value in values}


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _json_or_text(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text

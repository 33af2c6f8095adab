"""Registration: the four decorators, names, options (C1.1 to C1.4)."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from scheduler import App, MutationContext
from scheduler.errors import DuplicateFunction, InvalidCall, InvalidOption
from scheduler.function import Function, Kind


@pytest.mark.parametrize(
    ("decorator", "kind", "internal"),
    [
        ("mutation", Kind.MUTATION, False), ("internal_mutation", Kind.MUTATION, True),
        ("action", Kind.ACTION, False), ("internal_action", Kind.ACTION, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("called", [False, True])
def test_four_decorators_with_and_without_options(decorator: str, kind: Kind, internal: bool, called: bool) -> None:
    # C1.1, C1.3
    app = App("shop")

    async def handler(ctx: Any, number: int) -> int:
        """Say the number."""
        return number

    def plain(ctx: Any, number: int) -> int:
        return number

    decorate = getattr(app, decorator)
    one: Function[Any, Any, Any, Any] = decorate()(handler) if called else decorate(handler)
    other: Function[Any, Any, Any, Any] = decorate()(plain) if called else decorate(plain)
    assert (one.kind, one.internal, one.is_async, one.queue) == (kind, internal, True, "default")
    assert (other.kind, other.internal, other.is_async) == (kind, internal, False)
    assert other(None, 5) == 5
    assert (one.__name__, one.__doc__, one.__wrapped__) == ("handler", "Say the number.", handler)  # type: ignore[attr-defined]
    assert dict(app.functions) == {"test_app:handler": one, "test_app:plain": other}
    assert one.timeout_s == (300 if kind is Kind.MUTATION else 1800)
    described = one.describe()
    assert (described["kind"], described["internal"], described["doc"]) == (kind.value, internal, "Say the number.")


def named(name: str, module: str) -> Any:
    async def handler(ctx: MutationContext) -> None: ...

    handler.__name__, handler.__module__ = name, module
    return handler


def test_a_name_is_the_last_part_of_the_module_and_the_function() -> None:
    # C1.2
    assert App("a").mutation(named("place", "company.backend.shop")).name == "shop:place"
    assert App("a").mutation(named("place", "shop")).name == "shop:place"
    assert App("a").mutation(name="orders/place")(named("place", "shop")).name == "orders/place"


def test_in_a_script_the_module_is_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    # C1.2: `python shop.py` and `duestream worker shop:app` agree
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert App("a").mutation(named("place", "__main__")).name == "__main__:place"
    main.__file__ = "/srv/apps/shop.py"
    assert App("a").mutation(named("place", "__main__")).name == "shop:place"


def test_a_name_used_already_is_an_error() -> None:
    # C1.2
    app = App("a")
    first = app.mutation(named("place", "one.shop"))
    with pytest.raises(DuplicateFunction, match=r"'shop:place' is registered already, by one\.shop.*name="):
        app.action(named("place", "two.shop"))
    with pytest.raises(DuplicateFunction):
        app.mutation(name="shop:place")(named("other", "shop"))
    assert dict(app.functions) == {"shop:place": first}
    assert App("b").mutation(named("place", "two.shop")).name == "shop:place"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"name": ""}, "function"), ({"name": "a b"}, "function"), ({"name": 5}, "function"), ({"queue": ""}, "queue"),
        ({"queue": None}, "queue"), ({"timeout": 0}, "timeout"), ({"timeout": -1}, "timeout"),
        ({"timeout": "5"}, "timeout"), ({"timeout": float("inf")}, "timeout"),
        ({"timeout": float("nan")}, "timeout"), ({"timeout": True}, "timeout"), ({"timeout": 10**400}, "timeout"),
        ({"timeout": 366 * 24 * 3600 + 1}, "timeout"), ({"timeout": 5j}, "timeout"), ({"keep_s": -1}, "keep_s"),
        ({"keep_s": True}, "keep_s"), ({"transient": KeyError}, "transient"), ({"transient": (1,)}, "transient"),
    ],
    ids=repr,
)  # fmt: skip
def test_bad_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidOption, match=f"^{word}: "):
        App("a").mutation(**options)


def test_bad_app_options_are_named() -> None:
    bad: list[dict[str, Any]] = [{"keep_s": -1}, {"keep_count": -1}, {"transient": [KeyError]}]
    for options in bad:
        with pytest.raises(InvalidOption, match=f"^{next(iter(options))}: "):
            App("a", **options)
    with pytest.raises(InvalidOption, match=r"^namespace: "):
        App("a b")


def test_what_is_no_function_or_takes_no_context_is_refused() -> None:
    # C1.4
    with pytest.raises(InvalidOption, match="takes a function, got a str"):
        App("a").mutation("place")  # type: ignore[call-overload]

    async def none() -> None: ...

    async def keyword(*, ctx: Any) -> None: ...

    async def unknown_hint(ctx: Any, order: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    for handler, message in ((none, "context"), (keyword, "context"), (unknown_hint, "order: the type hint")):
        with pytest.raises(TypeError, match=message):
            App("a").mutation(handler)  # type: ignore[arg-type]


def test_a_lambda_needs_a_name() -> None:
    # C1.2
    with pytest.raises(InvalidOption, match="function"):
        App("a").mutation(lambda ctx: None)
    assert App("a").mutation(name="shop:nothing")(lambda ctx: None).name == "shop:nothing"


def test_a_function_of_another_app_is_told() -> None:
    one, other = App("one"), App("other")
    function = one.mutation(named("place", "shop"))
    one.check_owns(function)
    with pytest.raises(InvalidCall, match="registered in app 'one', not in 'other'"):
        other.check_owns(function)
    other.mutation(named("place", "shop"))
    with pytest.raises(InvalidCall):
        other.check_owns(function)


def test_the_registry_cannot_be_changed_from_outside() -> None:
    with pytest.raises(TypeError):
        App("a").functions["x"] = None  # type: ignore[index]

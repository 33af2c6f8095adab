"""MODULE:APP: what cannot be loaded is said in one line that names the culprit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scheduler import App
from scheduler.cli.target import load_app
from scheduler.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("clean_imports")

GOOD = "from scheduler import App\napp = App('front')\nother = 5\nclass Box:\n    inner = App('inner')\n"


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file shopfront.py in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "shopfront.py"
    path.write_text(GOOD)
    return path


def test_an_app_of_the_current_directory_is_found() -> None:
    app = load_app("shopfront:app")
    assert isinstance(app, App)
    assert app.namespace == "front"


def test_a_dotted_name_is_followed() -> None:
    assert load_app("shopfront:Box.inner").namespace == "inner"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("shopfront", "'shopfront': expected MODULE:APP, like examples.shop:app"),
        ("shopfront:", "expected MODULE:APP"),
        (":app", "'' is not the name of a module; expected MODULE:APP"),
        ("", "expected MODULE:APP"),
        ("shopfront.py:app", "write shopfront:app"),
        ("pkg/shopfront.py:app", "write pkg.shopfront:app"),
        ("nowhere:app", "there is no module 'nowhere' in "),
        ("shopfront.deep:app", "shopfront is a module, so it has no 'deep'"),
        ("shopfront:nope", "shopfront has no 'nope' (it has the app app)"),
        ("shopfront:other", "expected an App, got a int (it has the app app)"),
        ("json:dumps", "expected an App, got a function (it has no App at all)"),
    ],
)
def test_a_wrong_target_is_named(target: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_app(target)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\ny = x +\n", "shopfront.py:2: SyntaxError: invalid syntax"),
        ("x = 1\n\nundefined_name\n", "shopfront.py:3: NameError: name 'undefined_name' is not defined"),
        ("\nimport nowhere_at_all\n", "shopfront.py:2: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("from scheduler import Nothing\n", "shopfront.py:1: ImportError: cannot import name 'Nothing'"),
        ("raise ValueError('one\\ntwo')\n", "shopfront.py:1: ValueError: one"),
        ("raise ValueError\n", "shopfront.py:1: ValueError"),
        ("import sys\nsys.exit(3)\n", "shopfront.py:2: SystemExit: 3"),
        ("def f():\n    return {}['x']\n\nf()\n", "shopfront.py:2: KeyError: 'x'"),
        ("import os\nkey = os.environ['NOT_SET_BY_ANYBODY']\n", "shopfront.py:2: KeyError: 'NOT_SET_BY_ANYBODY'"),
        (  # what a decorator of ours refuses is said where it was given
            "from scheduler import App\napp = App('front')\n\n@app.mutation(queue='a b')\nasync def f(ctx): ...\n",
            "shopfront.py:4: InvalidOption: queue: expected 1 to 64 letters",
        ),
        (
            "from scheduler import App\napp = App('front')\n\n@app.mutation\nasync def f(ctx, x: 'Nowhere'): ...\n",
            "shopfront.py:4: TypeError: shopfront:f: x: the type hint cannot be used",
        ),
        ("from scheduler import App\napp = App('a b')\n", "shopfront.py:2: InvalidOption: namespace: expected"),
    ],
)
def test_an_error_of_the_module_comes_with_its_line(module: Path, source: str, said: str) -> None:
    module.write_text(source)
    with pytest.raises(ConfigurationError) as caught:
        load_app("shopfront:app")
    assert str(caught.value).startswith(f"cannot import shopfront: {said}")
    assert "\n" not in str(caught.value)

"""Nothing that is stored can become code: no pickle, no eval, and functions are found by their exact name (C1.5)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import scheduler
import worker
from scheduler import App, JobFailed, MutationContext, Scheduler, SyncScheduler
from tests.conftest import StartWorker
from tests.worker.processes import WorkerProcess

ROOTS = [Path(scheduler.__file__).parent, Path(worker.__file__).parent]
FILES = sorted(file for root in ROOTS for file in root.rglob("*.py"))

MODULES = {
    "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "jsonpickle", "joblib", "copyreg", "marshal", "shelve",
    "dbm", "yaml", "code", "codeop", "runpy", "imp", "multiprocessing", "xmlrpc", "ctypes", "cffi",
}  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "globals", "vars", "breakpoint", "input"}
METHODS = {
    "os.system", "os.popen", "importlib.import_module", "import_module", "subprocess.getoutput",
    "subprocess.getstatusoutput",
}  # fmt: skip

ALLOWED = {
    ("scheduler/__init__.py", "globals"),  # keeps a public name that it has just imported
    ("scheduler/__init__.py", "import_module"),  # of a module named in its own table
    ("scheduler/cli/target.py", "importlib.import_module"),  # MODULE:APP, from the operator's own command line
    ("scheduler/cli/target.py", "vars"),  # lists the apps of that module in an error
    ("worker/address.py", "importlib.import_module"),  # of the app's own module, which the worker has told its cell
    ("worker/address.py", "vars"),  # finds the app's name in a module that is imported already
    ("worker/cell_jobs.py", "ctypes"),  # asks the kernel to end a cell with its worker
    ("worker/relay.py", "vars"),  # the fields of a log record
}
"""Where one of these is used, on nothing that comes from Redis or from a caller of a function."""


def _dotted(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def _suspicious(tree: ast.AST) -> Iterator[str]:
    """What could make code of data: imports, calls, and names of the built-ins passed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in MODULES and not node.level:
                yield str(node.module)
        elif isinstance(node, ast.Name) and node.id in CALLS:
            yield node.id
        elif isinstance(node, ast.Call):
            name = _dotted(node.func)
            if name in METHODS:
                yield name
            yield from (f"{name} with a shell" for one in node.keywords if one.arg == "shell")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOTS[0].parent)))
def test_no_module_makes_code_of_data(file: Path) -> None:
    # C1.5
    place = str(file.relative_to(ROOTS[0].parent))
    found = {(place, what) for what in _suspicious(ast.parse(file.read_text(encoding="utf-8")))}
    assert found <= ALLOWED


def test_what_is_allowed_is_there() -> None:
    trees = {str(file.relative_to(ROOTS[0].parent)): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
    assert {(place, what) for place, tree in trees.items() for what in _suspicious(tree)} == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "import os, marshal", "from pickle import loads", "import yaml.cyaml", "eval(text)",
        "run = exec", "map(eval, texts)", "__import__(name)", "importlib.import_module(name)", "import_module(name)",
        "os.system(text)", "subprocess.run(text, shell=True)", "from multiprocessing import connection",
        "def f():\n    import shelve", "globals()[name]()",
    ],
)  # fmt: skip
def test_the_audit_finds_what_it_looks_for(source: str) -> None:
    assert list(_suspicious(ast.parse(source)))


def test_a_worker_process_uses_no_pickle(url: str, namespace: str, tmp_path: Path) -> None:
    # C1.5: at run time too, in a process where each of its functions raises.
    process = WorkerProcess(url, namespace, tmp_path / "log", module="tests.security.unpickled")
    try:
        process.wait_started()
        with SyncScheduler(App(namespace), url=url) as client:
            ids = [client.run_after(0, f"unpickled:{name}") for name in ("mutate", "act", "block", "raise_error")]
            for job_id in ids[:3]:
                assert client.result(job_id, timeout=20) == {"values": [1, "two"]}
            with pytest.raises(JobFailed, match="RuntimeError: on purpose"):
                client.result(ids[3], timeout=20)
            guarded = client.run_after(0, "unpickled:is_guarded")
            assert client.result(guarded, timeout=20) == "pickle was used"
    finally:
        process.end()
    assert process.logged("pickle was used") == 0


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "builtins:eval",
        "__import__",
        "shop:order.__call__",
        "shop:Order",
        "shop",
        "order",
        "tests.security:x",
    ],
)
async def test_only_the_exact_registered_name_is_a_function(
    app: App, scheduler: Scheduler, start_worker: StartWorker, name: str
) -> None:
    # C2.6
    @app.mutation(name="shop:order")
    async def order(ctx: MutationContext) -> None: ...

    await start_worker()
    job_id = await scheduler.options(allow_unknown=True).run_after(0, name)
    with pytest.raises(JobFailed, match=f"LookupError: no function '{name}'"):
        await scheduler.result(job_id, timeout=10)

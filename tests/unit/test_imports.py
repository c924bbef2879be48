"""mockrec imports what it declares: a package that only comes with another, or with the tests' own, may not be there."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {
    "pandas": ("pandas", {"formats/analysis/notebook.py"}),
    "google": ("grpc", {"formats/operations/grpc/descriptors.py"}),
    "grpc_tools": ("grpc", {"formats/operations/grpc/protos.py"}),
    "textual": ("tui", {"cli/watch_app.py"}),
    "rich": ("tui", {"cli/watch_app.py"}),
    "pyspark": ("spark", {"formats/fleet/spark.py"}),
    "datasketches": ("spark", {"formats/fleet/spark.py", "formats/fleet/sketches.py"}),
    "duckdb": ("sql", {"formats/fleet/sql.py"}),
    "obstore": ("s3", {"formats/parquet/whole_objects.py"}),
    "dukpy": ("pac", {"engine/upstream/pac.py", "engine/steps/upstream_options.py"}),
}
"""Module → the extra that installs it, and where it may be imported, only inside a function."""
IMPORTED_LATE = {"cli/watch_app.py"}
"""Files that are themselves imported inside a function only, so they may import an extra at their top."""
PLUGIN = {"pytest": {"engine/testing/page.py", "engine/testing/plugin.py"}}
"""Module → the files that only that module imports."""


def names_of(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Every module that is imported, and whether that is inside a function. Names given to importlib count."""
    waiting = [(tree, False)]
    while waiting:
        node, inside = waiting.pop()
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        waiting += [(child, inside) for child in ast.iter_child_nodes(node)]
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            yield node.module, inside
        elif isinstance(node, ast.Call) and isinstance(node.args[0] if node.args else None, ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__", "find_spec"):
                yield str(node.args[0].value), inside  # type: ignore[attr-defined]


def normal(name: str) -> str:
    """A distribution's name as indexes compare them."""
    return re.sub(r"[-_.]+", "-", re.split(r"[><=;\[ ]", name)[0]).lower()


def foreign() -> dict[str, set[tuple[str, bool]]]:
    """Top-level modules that are neither ours nor Python's, each with the files that import it."""
    found: defaultdict[str, set[tuple[str, bool]]] = defaultdict(set)
    for top in ("cli", "engine", "formats"):
        for file in (ROOT / top).rglob("*.py"):
            for name, inside in names_of(ast.parse(file.read_text(encoding="utf-8"))):
                module = name.partition(".")[0]
                if module != "mockrec" and module not in sys.stdlib_module_names:
                    found[module].add((file.relative_to(ROOT).as_posix(), inside))
    return found


def distribution(module: str) -> str:
    """Who brings a module."""
    return normal(packages_distributions()[module][0])


def test_what_is_imported_is_declared() -> None:
    declared = set(map(normal, PROJECT["dependencies"]))
    undeclared = {
        module: sorted(file for file, _ in places)
        for module, places in foreign().items()
        if module not in (*EXTRAS, *PLUGIN) and distribution(module) not in declared
    }
    assert undeclared == {}


def test_what_is_declared_is_imported() -> None:
    imported = {distribution(module) for module in foreign() if module not in (*EXTRAS, *PLUGIN)}
    assert sorted(set(map(normal, PROJECT["dependencies"])) - imported) == []


@pytest.mark.parametrize("module", EXTRAS)
def test_extras_are_imported_in_their_places_only(module: str) -> None:
    extra, files = EXTRAS[module]
    # pyspark-client and pyspark have the same modules: the extra has the smaller one, the tests need the whole.
    declared = {normal(name).removesuffix("-client") for name in PROJECT["optional-dependencies"][extra]}
    # Several distributions may have modules in one namespace, such as `google`.
    assert declared & {normal(name).removesuffix("-client") for name in packages_distributions()[module]}
    assert foreign()[module] == {(file, file not in IMPORTED_LATE) for file in files}


def test_pytest_is_imported_by_its_plugin_only() -> None:
    assert {file for file, _ in foreign()["pytest"]} == PLUGIN["pytest"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import a.b, c", [("a.b", False), ("c", False)]),
        ("from a.b import c", [("a.b", False)]),
        ("from . import a", []),
        ("def f():\n    import a", [("a", True)]),
        ("if x:\n    import a", [("a", False)]),
        ("import_module('a')", [("a", False)]),
        ("lambda: importlib.util.find_spec('a')", [("a", True)]),
        ("print('a')", []),
    ],
)
def test_imports_are_found(code: str, expected: list[tuple[str, bool]]) -> None:
    assert sorted(names_of(ast.parse(code))) == expected

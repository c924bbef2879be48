"""Loading the user's Python files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mockrec.engine.errors import ConfigError
from mockrec.engine.steps.handlers import Handlers


@pytest.fixture(autouse=True)
def _modules() -> Iterator[None]:
    """Modules and the search path are as before."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(folder: Path, text: str) -> str:
    (folder / "handlers.py").write_text(text, encoding="utf-8")
    return str(folder / "handlers.py")


def problem(handler: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Handlers().resolve(handler)
    return str(caught.value)


def test_a_file_is_run_once_for_all_its_functions(tmp_path: Path) -> None:
    path = write(tmp_path, "count = []\ndef a(): count.append(1); return len(count)\ndef b(): return a()\n")
    handlers = Handlers()
    assert [handlers.resolve(f"{path}:a")(), handlers.resolve(f"{path}:b")()] == [1, 2]
    assert Handlers().resolve(f"{path}:a")() == 1


def test_what_can_be_called_is_a_handler(tmp_path: Path) -> None:
    path = write(
        tmp_path, "import functools\nclass C:\n  def __call__(self): return 1\nc = C()\np = functools.partial(int, 2)"
    )
    assert Handlers().resolve(f"{path}:c")() == 1
    assert Handlers().resolve(f"{path}:p")() == 2


def test_neighbours_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_handlers.py").write_text("value = 7\n", encoding="utf-8")
    path = write(tmp_path, "import neighbour_of_handlers\ndef a(): return neighbour_of_handlers.value\n")
    assert Handlers().resolve(f"{path}:a")() == 7


def test_dataclasses_and_annotations_find_their_module(tmp_path: Path) -> None:
    text = "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass D:\n  x: int = 3\n"
    path = write(tmp_path, text)
    assert Handlers().resolve(f"{path}:D")().x == 3


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    paths = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths.append(write(tmp_path / name, f"def a(): return {name!r}\n"))
    handlers = Handlers()
    assert [handlers.resolve(f"{path}:a")() for path in paths] == ["one", "two"]


def test_a_function_that_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path, "import os\nfrom json import dumps\ndef b(): ...\nasync def a(): ...\ndef _c(): ...\n")
    assert problem(f"{path}:none") == f"{path}: there is no function none; there are a, b"
    assert problem(f"{write(tmp_path, '')}:none") == f"{path}: there is no function none"


def test_a_name_that_is_no_function(tmp_path: Path) -> None:
    path = write(tmp_path, "a = 1\n")
    assert problem(f"{path}:a") == f"{path}: a is not a function but int"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("x = 1\nraise RuntimeError('no')\n", ":2", "RuntimeError: no"),
        ("def f():\n    return 1 / 0\n\nf()\n", ":2", "ZeroDivisionError: division by zero"),
        ("x = 1\n\ndef (\n", ":3", "SyntaxError: "),
        ("import no_such_module_at_all\n", ":1", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("import sys\nsys.exit(3)\n", ":2", "SystemExit: 3"),
        ("open('/no/such/file')\n", ":1", "FileNotFoundError: "),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1") and "x = '\\ud800'.encode()\n", ":1", "Unicode"),
    ],
)
def test_a_file_that_fails_is_named_with_its_line(tmp_path: Path, text: str, place: str, message: str) -> None:
    path = write(tmp_path, text)
    assert problem(f"{path}:a").startswith(f"{path}{place}: {message}")


def test_the_line_is_one_of_the_users_file(tmp_path: Path) -> None:
    path = write(tmp_path, "import json\n\njson.loads('{')\n")
    assert problem(f"{path}:a").startswith(f"{path}:3: JSONDecodeError: ")


def test_a_file_that_is_missing_or_no_python(tmp_path: Path) -> None:
    assert problem(f"{tmp_path}/none.py:a") == f"{tmp_path}/none.py: no such file"
    (tmp_path / "handlers.txt").write_text("", encoding="utf-8")
    assert problem(f"{tmp_path}/handlers.txt:a") == f"{tmp_path}/handlers.txt: not a Python file"

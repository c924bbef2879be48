"""`handlers.py:name` → the user's function. Each file is run once each time the rules are loaded."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from mockrec.engine.errors import ConfigError
from mockrec.engine.rules.model import Change, Passthrough, Python, Rule, Step, When
from mockrec.engine.usercode.failure import text_of


class Handlers:
    """The user's modules, each loaded when a rule first names it."""

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}

    def resolve(self, handler: str) -> Callable[..., Any]:
        """The function that `/absolute/handlers.py:name` names. Raises ConfigError, never what the file raises."""
        path, _, name = handler.rpartition(":")
        module = self._modules.get(path)
        if module is None:
            module = self._modules[path] = _load(Path(path))
        function = getattr(module, name, None)
        if function is None:
            raise ConfigError(f"{path}: there is no function {name}{_known(module)}")
        if not callable(function):
            raise ConfigError(f"{path}: {name} is not a function but {type(function).__name__}")
        return function  # type: ignore[no-any-return]


def loaded_handlers(rules: Iterable[Rule]) -> Handlers:
    """Handlers with every file that the rules name already run, which may take long. Raises ConfigError."""
    handlers = Handlers()
    for rule in rules:
        for name in (*_matchers(rule.when), *(name for step in rule.steps for name in _functions(step))):
            handlers.resolve(name)
    return handlers


def _functions(step: Step) -> Iterator[str]:
    if isinstance(step, Python):
        yield step.handler
    elif isinstance(step, (Change, Passthrough)):
        yield from (name for name in (step.request.python, step.response.python) if name is not None)


def _matchers(when: When) -> Iterator[str]:
    expected = when.expected
    if "python" in expected:
        yield expected["python"]
    for inner in (*([expected["not"]] if "not" in expected else ()), *expected.get("anyOf", ())):
        yield from _matchers(inner)


def _known(module: ModuleType) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    return f"; there are {', '.join(sorted(names))}" if names else ""


def _load(path: Path) -> ModuleType:
    name = f"mockrec_handlers_{path.stem}_{abs(hash(str(path))):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # handlers can import modules next to them, as a script can
    sys.modules[name] = module  # dataclasses and pickle look up their module by its name
    try:
        spec.loader.exec_module(module)
    except FileNotFoundError as error:
        if error.filename == str(path):
            raise ConfigError(f"{path}: no such file") from None
        raise _failed(path, error) from error
    except BaseException as error:  # a signal ends the start in another way, so this was raised by the file
        raise _failed(path, error) from error
    return module


def _failed(path: Path, error: BaseException) -> ConfigError:
    """The error, with the line of the user's file that raised it."""
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == str(path):
            line = frame.lineno
    place = f"{path}:{line}" if line else str(path)
    message = f"{type(error).__name__}: {error.msg}" if isinstance(error, SyntaxError) else text_of(error)
    return ConfigError(f"{place}: {message}")

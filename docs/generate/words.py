"""The parts of the pages: paragraphs, tables, cells, and the docstrings of names in the code."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

HEAD = "<!-- Generated from the code by `python docs/generate`, which overwrites changes. -->\n"
_NOT_PROSE = re.compile(r"\n?(?:[|#<*-]|\d+\.)")


def page(title: str, *parts: str) -> str:
    """A whole page, its prose wrapped at 100 columns."""
    text = "\n\n".join([f"{HEAD}\n# {title}", *(part.strip("\n") for part in parts if part)]) + "\n"
    pieces = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)  # every second one is a code block
    return "".join(piece if number % 2 else _wrapped(piece) for number, piece in enumerate(pieces))


def _wrapped(text: str) -> str:
    paragraphs = text.split("\n\n")
    return "\n\n".join(one if _NOT_PROSE.match(one) or not one.strip() else _fill(one) for one in paragraphs)


def _fill(paragraph: str) -> str:
    end = "\n" if paragraph.endswith("\n") else ""
    start = "\n" if paragraph.startswith("\n") else ""
    return start + textwrap.fill(paragraph.strip(), 100, break_long_words=False, break_on_hyphens=False) + end


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a column in which no row has anything is left out."""
    lines = [tuple(row) for row in rows]
    if not lines:
        return ""
    used = [number for number in range(len(head)) if any(row[number] for row in lines)]
    shown = [[line[number] for number in used] for line in (tuple(head), tuple("---" for _ in head), *lines)]
    return "\n".join("| " + " | ".join(row).rstrip() + " |" for row in shown)


def cell(text: str) -> str:
    """Text that may stand in a cell."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def sentence(text: str) -> str:
    """A docstring as a cell has it: one line, no full stop after a single sentence."""
    text = cell(text)
    return text.removesuffix(".") if ". " not in text else text


def docs_of_fields(cls: type[Any]) -> dict[str, str]:
    """The docstrings after the fields of a class, its bases included; of two, the nearer."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base is not object:
            found |= _docs_in(_class_nodes(inspect.getsourcefile(base))[base.__name__].body)
    return found


def docs_of_names(module: ModuleType) -> dict[str, str]:
    """The docstrings after the constants of a module."""
    return _docs_in(_tree(inspect.getsourcefile(module)).body)


def _docs_in(body: Sequence[ast.stmt]) -> dict[str, str]:
    found = {}
    for node, after in pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr):
            value = after.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[node.target.id] = value.value
    return found


@cache
def _tree(file: str | None) -> ast.Module:
    assert file is not None
    with open(file, encoding="utf-8") as source:
        return ast.parse(source.read())


@cache
def _class_nodes(file: str | None) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in _tree(file).body if isinstance(node, ast.ClassDef)}

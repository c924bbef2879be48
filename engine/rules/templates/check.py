"""Checks of templates while a rule file is loaded, so that a malformed one is reported with its line."""

from __future__ import annotations

from collections.abc import Iterator

from mockrec.engine.errors import Problem
from mockrec.engine.rules.model import HeaderPairs, SourceLocation
from mockrec.engine.rules.templates.template import TemplateError, compile_template
from mockrec.engine.rules.yaml.context import LoadContext
from mockrec.engine.rules.yaml.nodes import AnyNode, ListNode, ScalarNode


def check_text(text: str, place: SourceLocation, context: LoadContext) -> bool:
    """Whether a text is a valid template; otherwise, report the problem."""
    try:
        compile_template(text, place)
    except TemplateError as error:
        line = error.place_line
        message = f"not a template: {error.message}"
        context.problems.append(Problem(place.file, line, error.column, place.where, message))
        return False
    return True


def check_headers(pairs: HeaderPairs, place: SourceLocation, context: LoadContext) -> bool:
    """As `check_text`, for the values of header fields."""
    good = True
    for _, value in pairs:
        good = check_text(value, place, context) and good
    return good


def check_tree(node: AnyNode, where: str, context: LoadContext) -> bool:
    """As `check_text`, for every text in JSON data that was loaded without a problem."""
    good = True
    for text, path in _texts(node, where):
        good = check_text(context.text(text, path), context.place(text, path), context) and good
    return good


def _texts(node: AnyNode, where: str) -> Iterator[tuple[ScalarNode, str]]:
    if isinstance(node, ScalarNode):
        yield node, where
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from _texts(item, f"{where}[{index}]")
    else:
        for key, value in node.pairs:
            if isinstance(key, ScalarNode):
                yield from _texts(value, f"{where}.{key.text}")

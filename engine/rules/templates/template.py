"""Templates: `{{ }}` in bodies, headers, JSON values and custom events, in Jinja2's sandbox.

Jinja2 is imported when the first text with template marks is compiled; a text without marks renders to itself. Time,
ids and random numbers come in with the context.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import HeaderPairs, SourceLocation

if TYPE_CHECKING:
    import jinja2

    from mockrec.engine.rules.templates.budget import Budget

MAX_STEPS = 400_000
"""Default limit of the steps of work that the templates of a step may take for one request."""
MAX_SIZE = 32 * 1024 * 1024
"""Default limit of the bytes of text and values that they may make."""

_MAX_REASON = 500
"""Limit of characters of an error's text, which may contain a value."""

_MARKS = ("{{", "{%", "{#")


class TemplateError(Exception):
    """A template is malformed, or failed for a request. `place_line` and `column` count in the rule file, from 1."""

    def __init__(self, place_line: int, message: str, column: int = 1) -> None:
        self.place_line = place_line
        self.column = column
        self.message = message
        super().__init__(f"line {place_line}: {message}")


class TemplateRequest:
    """The request in templates: texts where a RequestView has bytes and lists.

    `query`, `cookies` and `form` have the first value of each name, `query_all`, `cookies_all` and `form_all` the list
    of all values. `body` is the text of the body.
    """

    __slots__ = (
        "_cookies",
        "_form",
        "_query",
        "_view",
        "headers",
        "host",
        "hostname",
        "method",
        "params",
        "path",
        "port",
        "protocol",
        "url",
    )

    def __init__(self, view: RequestView) -> None:
        self._view = view
        self.method = view.method
        self.protocol = view.protocol
        self.url = view.url
        self.path = view.path
        self.host = view.host
        self.hostname = view.hostname
        self.port = view.port
        self.headers = view.headers
        self.params = view.params
        self._query: dict[str, str] | None = None
        self._cookies: dict[str, str] | None = None
        self._form: dict[str, str] | None = None

    @property
    def body(self) -> str:
        return self._view.text

    @property
    def json(self) -> Any:
        return self._view.json

    @property
    def query_all(self) -> Mapping[str, list[str]]:
        return self._view.query

    @property
    def cookies_all(self) -> Mapping[str, list[str]]:
        return self._view.cookies

    @property
    def form_all(self) -> Mapping[str, list[str]]:
        return self._view.form

    @property
    def query(self) -> dict[str, str]:
        if self._query is None:
            self._query = _firsts(self._view.query)
        return self._query

    @property
    def cookies(self) -> dict[str, str]:
        if self._cookies is None:
            self._cookies = _firsts(self._view.cookies)
        return self._cookies

    @property
    def form(self) -> dict[str, str]:
        if self._form is None:
            self._form = _firsts(self._view.form)
        return self._form


# Jinja2's name for the object in "… has no attribute …", which the author of a rule does not know.
_REQUEST_NAME = f"'{TemplateRequest.__module__}.{TemplateRequest.__qualname__} object'"


def _firsts(values: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: items[0] for name, items in values.items()}


class Scope:
    """The names for the templates of one step, for one request, and their common budget.

    `names` holds `request` (a RequestView), `count`, `now`, `uuid`, `random`.
    """

    __slots__ = ("_budget", "_size", "_steps", "names")

    def __init__(self, names: Mapping[str, Any], *, steps: int = MAX_STEPS, size: int = MAX_SIZE) -> None:
        self.names = {
            name: TemplateRequest(value) if isinstance(value, RequestView) else value for name, value in names.items()
        }
        self._steps = steps
        self._size = size
        self._budget: Budget | None = None

    @property
    def budget(self) -> Budget:
        """The remaining budget for the request."""
        if self._budget is None:
            from mockrec.engine.rules.templates.budget import Budget

            self._budget = Budget(self._steps, self._size)
        return self._budget

    @property
    def used(self) -> int:
        """Steps that were spent."""
        return self._budget.used if self._budget is not None else 0


Context: TypeAlias = Scope | Mapping[str, Any]
"""A mapping is a scope with these names and the default limits."""


class Template:
    """A compiled text. `is_static`: it has no marks, and always renders to itself."""

    __slots__ = ("_place", "_template", "_text", "is_static")

    def __init__(self, text: str, place: SourceLocation) -> None:
        self._text = text
        self._place = place
        self._template: jinja2.Template | None = None
        self.is_static = not has_marks(text)
        if not self.is_static:
            self._template = _compile(text, place)

    def render(self, context: Context) -> str:
        """The text for a request. Raises TemplateError, also for an undefined name."""
        if self._template is None:
            return self._text
        from mockrec.engine.rules.templates import sandbox

        scope = context if isinstance(context, Scope) else Scope(context)
        try:
            return "".join(sandbox.pieces(self._template, scope.names, scope.budget))
        except Exception as error:
            # A template is the user's code: every exception is an error of it, with its line, and no defect of mockrec.
            raise _error(self._place, self._text, _failed_line(error), _reason(error)) from error


class TemplateTree:
    """A JSON value whose strings are templates; keys, numbers and other values are unchanged."""

    __slots__ = ("_tree", "is_static")

    def __init__(self, value: Any, place: SourceLocation) -> None:
        self._tree = _compile_tree(value, place)
        self.is_static = not _has_template(self._tree)

    def render(self, context: Context) -> Any:
        """The value for a request, with mappings as dict and sequences as list. Raises TemplateError."""
        return _render_tree(self._tree, context if isinstance(context, Scope) else Scope(context))


class HeaderTemplates:
    """Header pairs whose values are templates; names are unchanged."""

    __slots__ = ("_pairs", "_place", "is_static")

    def __init__(self, pairs: HeaderPairs, place: SourceLocation) -> None:
        self._place = place
        self._pairs = tuple((name, Template(value, place)) for name, value in pairs)
        self.is_static = all(template.is_static for _, template in self._pairs)

    def render(self, context: Context) -> HeaderPairs:
        """The pairs for a request. Raises TemplateError, also for a value with a line break or NUL in it."""
        rendered = []
        for name, template in self._pairs:
            value = template.render(context)
            if not template.is_static and any(mark in value for mark in "\r\n\0"):
                message = f"the value of header {name} has a line break or NUL in it"
                raise TemplateError(self._place.line, message, self._place.column)
            rendered.append((name, value))
        return tuple(rendered)


def compile_template(text: str, place: SourceLocation) -> Template:
    """Compile a text at `place` of the rule file. Raises TemplateError if it is malformed."""
    return Template(text, place)


def compile_tree(value: Any, place: SourceLocation) -> TemplateTree:
    """Compile all strings in a JSON value. Raises TemplateError if one is malformed."""
    return TemplateTree(value, place)


def compile_headers(pairs: HeaderPairs, place: SourceLocation) -> HeaderTemplates:
    """Compile the values of header pairs. Raises TemplateError if one is malformed."""
    return HeaderTemplates(pairs, place)


def names_in(text: str) -> set[str]:
    """The names that a text uses from its context; none if it is malformed, which `check.py` reports."""
    if not has_marks(text):
        return set()
    from mockrec.engine.rules.templates import sandbox

    return sandbox.names_in(text)


def has_marks(text: str) -> bool:
    """Whether a text has template marks; without, it renders to itself."""
    return any(mark in text for mark in _MARKS)


def _compile(text: str, place: SourceLocation) -> jinja2.Template:
    from mockrec.engine.rules.templates import sandbox

    try:
        return sandbox.compile_source(text)
    except Exception as error:
        line, message = sandbox.syntax_error(error) or (1, _reason(error))
        raise _error(place, text, line, message) from error


def _compile_tree(value: Any, place: SourceLocation) -> Any:
    if isinstance(value, str):
        return Template(value, place) if has_marks(value) else value
    if isinstance(value, Mapping):
        return {key: _compile_tree(item, place) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_compile_tree(item, place) for item in value]
    return value


def _has_template(tree: Any) -> bool:
    if isinstance(tree, dict):
        return any(_has_template(item) for item in tree.values())
    if isinstance(tree, list):
        return any(_has_template(item) for item in tree)
    return isinstance(tree, Template)


def _render_tree(tree: Any, context: Scope) -> Any:
    if isinstance(tree, Template):
        return tree.render(context)
    if isinstance(tree, dict):
        return {key: _render_tree(item, context) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_render_tree(item, context) for item in tree]
    return tree


def _error(place: SourceLocation, text: str, line: int, message: str) -> TemplateError:
    """The error at a line of the text. Only the lines of a block scalar, which begins at column 1, are the file's."""
    if place.column == 1:
        return TemplateError(place.line + line - 1, message)
    if "\n" in text:
        message = f"{message} (in line {line} of the text)"
    return TemplateError(place.line, message, place.column)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the template calls itself too deeply, or its values are too deep"
    text = str(error).replace(_REQUEST_NAME, "the request") or type(error).__name__
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}…"


def _failed_line(error: Exception) -> int:
    """The line of the template that raised: Jinja2 names it in the traceback."""
    line = 1
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line

"""Values that a record holds only in another form: parts of URLs, cookies, JSON values in bodies.

Each function gets the recorded value and returns the values that a field has there; none if the recorded value has
another form. No function raises for a value that a record may hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import FormatError
from mockrec.formats.text.urls import DEFAULT_PORTS, split_url


@dataclass(slots=True)
class Context:
    """The session of a record, as far as its values depend on it."""

    bodies_folder: Path | None = None
    """The folder of the session's body files."""
    memory: dict[str, Any] = field(default_factory=dict)
    """What extracts remember of earlier records; under the name of the field."""


Extract = Callable[[Any, Context], Iterable[Any]]


def _parts(found: Any) -> re.Match[str] | None:
    return split_url(found) if type(found) is str else None


def host(found: Any, _: Context) -> Iterable[str]:
    """The host of a URL, with the port unless that is the default of the scheme."""
    parts = _parts(found)
    return () if parts is None else (host_of(parts),)


def host_of(parts: re.Match[str]) -> str:
    """The host of a URL that `split_url` has split, with the port unless that is the default of the scheme."""
    scheme, name, port = parts[1].lower(), parts[2].lower(), parts[3]
    return name if port is None or int(port) == DEFAULT_PORTS.get(scheme) else f"{name}:{int(port)}"


def hostname(found: Any, _: Context) -> Iterable[str]:
    """The host of a URL, without port and brackets."""
    parts = _parts(found)
    return () if parts is None else (parts[2].lower().strip("[]"),)


def port(found: Any, _: Context) -> Iterable[int]:
    """The port of a URL, or the scheme's default."""
    parts = _parts(found)
    if parts is None:
        return ()
    known = int(parts[3]) if parts[3] else DEFAULT_PORTS.get(parts[1].lower())
    return () if known is None else (known,)


def path(found: Any, _: Context) -> Iterable[str]:
    """The path of a URL, without the query."""
    parts = _parts(found)
    return () if parts is None else (parts[4] or "/",)


def path_or_target(found: Any, _: Context) -> Iterable[str]:
    """The path of a URL; if there is a query, also path and query together."""
    parts = _parts(found)
    if parts is None:
        return ()
    bare = parts[4] or "/"
    return (bare,) if parts[5] is None else (bare, f"{bare}?{parts[5]}")


def query(found: Any, _: Context) -> Iterable[str]:
    """The query of a URL, without the question mark; none if there is no question mark."""
    parts = _parts(found)
    return () if parts is None or parts[5] is None else (parts[5],)


def query_value(name: str) -> Extract:
    """A function that returns the decoded values of a query parameter."""

    def values(found: Any, _: Context) -> Iterable[str]:
        parts = _parts(found)
        if parts is None or not parts[5]:
            return ()
        try:
            return parse_qs(parts[5], keep_blank_values=True).get(name, ())
        except ValueError:  # more parameters than Python parses
            return ()

    return values


def destination(found: Any, context: Context) -> Iterable[str]:
    """The destination of a tunnel or a failed handshake, which has no URL: with the port unless it is 443."""
    for name in destination_hostname(found, context):
        for number in destination_port(found, context):
            yield name if number == 443 else f"{name}:{number}"


def destination_hostname(found: Any, _: Context) -> Iterable[str]:
    """`hostname` of a destination."""
    name = found.get("hostname") if isinstance(found, Mapping) else None
    return (name.lower(),) if type(name) is str else ()


def destination_port(found: Any, _: Context) -> Iterable[int]:
    """`port` of a destination."""
    number = found.get("port") if isinstance(found, Mapping) else None
    return (number,) if type(number) is int else ()


def cookie(name: str) -> Extract:
    """A function that returns the values of a cookie in the `Cookie` field of a request."""

    def values(found: Any, _: Context) -> Iterable[str]:
        if type(found) is str:
            for pair in found.split(";"):
                key, equals, value = pair.partition("=")
                if equals and key.strip() == name:
                    yield value.strip()

    return values


def set_cookie(name: str) -> Extract:
    """A function that returns the values of a cookie in the `Set-Cookie` fields of a response."""

    def values(found: Any, _: Context) -> Iterable[str]:
        for line in found if type(found) is list else (found,):
            if type(line) is str:
                key, equals, value = line.partition(";")[0].partition("=")
                if equals and key.strip() == name:
                    yield value.strip()

    return values


def body_text(found: Any, context: Context) -> Iterable[str]:
    """The body as text, with invalid UTF-8 replaced; none for an empty body."""
    if not isinstance(found, Mapping):
        return ()
    try:
        body = Body.from_record(found, context.bodies_folder)
        text = body.inline_text
        if text is None:
            text = body.bytes.decode("utf-8", "replace")
    except (FormatError, AttributeError, TypeError):
        return ()
    return (text,) if type(text) is str and text else ()


# ── JSON inside bodies ─────────────────────────────────────────────────────────────────────────────

_STEP = re.compile(
    r"""\.?(?P<key>[\w-]+)
      | \[(?P<index>-?\d{1,9})\]
      | \[(?P<quote>["'])(?P<quoted>.*?)(?P=quote)\]
      | (?P<all>\.?\*|\[\*\])
    """,
    re.VERBOSE,
)


def json_path(text: str) -> list[str | int | None]:
    """`$.items[0].id`, `items[*].id`, `$['a b']` → keys, indexes, None for `*`. Raises `ValueError`.

    The paths of RFC 9535 without filters and slices; the `$` may be left out.
    """
    position = 1 if text.startswith("$") else 0
    steps: list[str | int | None] = []
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or (text[position] not in ".[" and position > 0):
            raise ValueError(f"expected .name, [index], ['name'] or [*], found {text[position:][:20]!r}")
        if match["index"] is not None:
            steps.append(int(match["index"]))
        elif match["all"] is not None:
            steps.append(None)
        else:
            steps.append(match["key"] if match["key"] is not None else match["quoted"])
        position = match.end()
    return steps


def json_value(text: str) -> Extract:
    """A function that returns the values at a JSON path in a body. Raises `ValueError` for an invalid path."""
    steps = json_path(text)

    def values(found: Any, context: Context) -> Iterable[Any]:
        for body in body_text(found, context):
            try:
                nodes = [orjson.loads(body)]
            except orjson.JSONDecodeError:
                return ()
            for step in steps:
                nodes = [inner for node in nodes for inner in _inner(node, step)]
            return nodes
        return ()

    return values


def _inner(node: Any, step: str | int | None) -> Iterable[Any]:
    if type(node) is dict:
        if step is None:
            return node.values()
        return (node[step],) if step in node else ()
    if type(node) is list:
        if step is None:
            return node
        if type(step) is int and -len(node) <= step < len(node):
            return (node[step],)
    return ()

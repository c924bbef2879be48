"""The page of event types, from the event classes and the docstrings of their fields."""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated, Any, get_args, get_origin

from words import cell, docs_of_fields, page, sentence, table

from mockrec.formats.schema import codec as shapes
from mockrec.formats.schema.base import Event
from mockrec.formats.schema.body import Body, names_of_keys
from mockrec.formats.schema.events import DEFAULT_EVENTS, EVENT_CLASSES, FIRST_TYPES, SCHEMA_VERSION, TERMINAL_TYPES

_ABOUT = f"""
Every record of the log, version {SCHEMA_VERSION} of the schema. [The log](../events.md) describes the meaning of the
records, what they guarantee, and how to read them. A key that is not *always* there is left out if it has no value;
there are no nulls. `start…Time` keys are milliseconds since the Unix epoch, `…Timestamp` keys monotonic
milliseconds with fractions. In Python, the same fields are attributes in `snake_case` (`mockrec.formats.read`).
"""
_HEADERS = """
Lower-case name → value. Repeated fields are joined with `, `, cookies with `; `; `set-cookie` is always a list, other
values are strings. *List of pairs* is a `[name, value]` for each field line, in the original order and case.
"""
_WORDS = {str: "string", int: "integer", float: "number", bool: "boolean", Any: "any"}
_ALIASES = {"headers": "[headers](#headers)", "pairs": "list of pairs", "free": "object"}


def text() -> str:
    """What all have, the types, the objects inside them, bodies."""
    common = _rows(Event)
    rows = [(f"[`{name}`](#{name})", _first(cls), _marks(name)) for name, cls in EVENT_CLASSES.items()]
    parts = [table(("type", "written when", ""), rows), "## Every record", _table(common)]
    inner: dict[str, type[Any]] = {}
    known = {key for key, *_ in common}
    for name, cls in EVENT_CLASSES.items():
        parts += [f"## {name}", _doc(cls), _table([row for row in _rows(cls) if row[0] not in known])]
        inner |= _inside(cls)
    parts += ["## Objects in records", "### headers", _HEADERS]
    for name, cls in sorted(inner.items()):
        parts += [f"### {name}", _doc(cls), _table(_rows(cls))]
    parts += ["### Body", _doc(Body), _table(_body_rows())]
    return page("Event types and fields", _ABOUT, *parts)


def _marks(name: str) -> str:
    marks = ["first of its id"] if name in FIRST_TYPES else []
    marks += ["ends an exchange"] if name in TERMINAL_TYPES else []
    marks += [] if name in DEFAULT_EVENTS else ["only with `events: all`, or by name"]
    return ", ".join(marks)


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    return table(("key", "JSON type", "always", "meaning"), rows)


def _rows(cls: type[Any]) -> list[tuple[str, str, str, str]]:
    docs = docs_of_fields(cls)
    return [
        (f"`{spec.key}`", _kind(spec.hint), "yes" if spec.required else "", _about(docs.get(spec.name, ""), cls))
        for spec in shapes.specs(cls)
    ]


def _body_rows() -> list[tuple[str, str, str, str]]:
    docs = docs_of_fields(Body)
    hints = {field.name: str(field.type) for field in dataclasses.fields(Body)}
    kinds = {"bool": "true", "int": "integer"}
    return [
        (
            f"`{key}`",
            kinds.get(hints[name].removesuffix(" | None"), "string"),
            "yes" if name == "size" else "",
            _about(docs[name], Body),
        )
        for name, key in names_of_keys().items()
    ]


def _about(doc: str, cls: type[Any]) -> str:
    """A docstring, with the names of attributes as the log has them."""
    keys = {field.name: shapes.camel(field.name) for field in dataclasses.fields(cls)}
    named = re.sub(r"`([a-z_]+)`", lambda found: f"`{keys.get(found[1], found[1])}`", doc)
    return sentence(named)


def _kind(hint: Any) -> str:
    """The JSON type of a field."""
    if get_origin(hint) is Annotated:
        return _ALIASES[get_args(hint)[1]]
    if get_origin(hint) is list:
        item = get_args(hint)[0]
        return f"list of {_kind(item)}" if shapes.element(hint) else f"list of {_WORDS[item]}s"
    if get_origin(hint) is dict:
        return "object"
    if hint is Body:
        return "[Body](#body)"
    if isinstance(hint, type) and issubclass(hint, shapes.LogObject):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return _WORDS[hint]


def _inside(cls: type[Any]) -> dict[str, type[Any]]:
    """The objects in a record, and those in them."""
    found: dict[str, type[Any]] = {}
    for spec in shapes.specs(cls):
        item = shapes.element(spec.hint) or spec.hint
        if isinstance(item, type) and issubclass(item, shapes.LogObject):
            found |= {item.__name__: item, **_inside(item)}
    return found


def _doc(cls: type[Any]) -> str:
    return " ".join((cls.__doc__ or "").split())


def _first(cls: type[Any]) -> str:
    return sentence(cell(re.split(r"(?<=\.)\s", _doc(cls))[0]))

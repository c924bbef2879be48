"""The back end for JSON Lines: decodes only the fields that the tests need, and skips the rest of a line.

For each plan a msgspec type with exactly the needed keys is made, two to three times as fast to decode as a record.
The function that computes the answers is generated as Python source, see `_bits_function`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Protocol

import msgspec

from mockrec.formats.query.checks import CheckFunction, compile_any
from mockrec.formats.query.extract import Context
from mockrec.formats.query.field import Field, FieldPath
from mockrec.formats.query.plan import Plan
from mockrec.formats.query.predicate import walk

DecodeError = msgspec.DecodeError
"""Raised for a line that is no JSON, or that has another JSON type where an object is expected."""

_NOT_A_NAME = re.compile(r'[\\"\x00-\x1f]')
"""Characters of a key that msgspec does not accept in the name of a field."""


class NeededFields(Protocol):
    """A record of which only the needed fields were decoded."""

    @property
    def type(self) -> str:
        """The record's type."""

    @property
    def id(self) -> Any:
        """The record's id; None where it has none."""


@dataclass(slots=True)
class TypedPlan:
    """A plan for lines of JSON."""

    decode: Callable[[bytes], Any]
    """Decodes one line to `NeededFields`."""
    decode_lines: Callable[[bytes], list[Any]]
    """Decodes many lines, blank ones left out."""
    bits: Callable[[Any], int]
    """The answers of a record's tests, except those that count records."""


@dataclass(slots=True)
class _Node:
    """A key of the needed part of a record."""

    wanted: bool = False
    """The value of the key is needed as a whole, not only some keys in it."""
    attribute: str = ""
    """The name of the decoded object's attribute."""
    inner: dict[str, _Node] = field(default_factory=dict)


@dataclass(slots=True)
class _Prepared:
    """The part of a `TypedPlan` that is the same for every session."""

    decoder: msgspec.json.Decoder[Any]
    code: CodeType
    """The source of `bits`, compiled."""
    names: dict[str, Any]
    """Constants to which it refers."""
    of_session: list[tuple[str, FieldPath, CheckFunction]]
    """Names of checks that depend on the session."""


def compile_typed(plan: Plan, context: Context) -> TypedPlan:
    """Prepare a plan for a session. Takes about a millisecond for the first one, and little for others."""
    known: _Prepared | None = plan.prepared.get("typed")
    if known is None:
        root = _needed(plan)
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_struct(root, ("type",)))
        known = plan.prepared["typed"] = _Prepared(decoder, *_bits_source(plan, root))
    return TypedPlan(known.decoder.decode, known.decoder.decode_lines, _bits_function(context, known))


def _needed(plan: Plan) -> _Node:
    """The tree of the keys that the tests of a plan read."""
    root = _Node()
    for path in (("type",), ("id",), *_paths(plan)):
        node = root
        for key in path:
            if _NOT_A_NAME.search(key):
                break  # the object that holds the key is decoded as a whole
            if key not in node.inner:
                # Other keys, such as `user-agent`, may be no names in Python.
                name = key if node is root and key in ("type", "id") else f"field_{len(node.inner)}"
                node.inner[key] = _Node(attribute=name)
            node = node.inner[key]
        node.wanted = True
    return root


def _paths(plan: Plan) -> Iterable[tuple[str, ...]]:
    for test in plan.tests:
        for source in test.field.sources:
            yield from source.paths


def _struct(node: _Node, required: tuple[str, ...] = ()) -> type[msgspec.Struct]:
    """A type with an attribute for each key. A key that is missing is None, or an object whose keys all are None."""
    fields: list[Any] = []
    for key, inner in node.inner.items():
        if key in required:
            fields.append((inner.attribute, str))
        elif inner.wanted:
            fields.append((inner.attribute, Any, None))
        else:
            kind = _struct(inner)
            fields.append((inner.attribute, kind, kind()))
    rename = {inner.attribute: key for key, inner in node.inner.items()}
    return msgspec.defstruct("NeededFields", fields, rename=rename, frozen=True, gc=False)


def _bits_source(
    plan: Plan, root: _Node
) -> tuple[CodeType, dict[str, Any], list[tuple[str, FieldPath, CheckFunction]]]:
    """Generate the function that computes the answers of a record, as `dataclasses` generates `__init__`.

    It runs once for each record. A loop over a table of getters and checks takes twice the time of straight code, which
    makes a filter of short lines slower by a quarter. For `status >= 500` the source is

        def bits(record):
            result = 0
            kind = record.type
            value = record.field_2
            if kind in types_0_0 and value is not None:
                if check_0_0(value):
                    result |= 1
            if not result & 1:
                value = record.field_3.field_0
                if kind in types_0_1 and value is not None:
                    if check_0_1(value):
                        result |= 1
            return result

    with the numbers of the test and of the place in the names. Nothing of the expression gets into the source: names of
    headers, values and functions are objects in `names`, to which the source refers.
    """
    names: dict[str, Any] = {"walk": walk}
    of_session: list[tuple[str, FieldPath, CheckFunction]] = []
    lines = ["def bits(record):", "    result = 0", "    kind = record.type"]
    for number, test in enumerate(plan.tests):
        if not test.field.counted:
            holds = compile_any(test.checks)
            for place, source in enumerate(test.field.sources):
                name = f"check_{number}_{place}"
                if source.extract is None:
                    names[name] = _check(holds)
                else:
                    of_session.append((name, source, holds))
                names[f"types_{number}_{place}"] = source.types
            lines += _test_lines(number, test.field, root, names)
    lines.append("    return result")
    return compile("\n".join(lines), "<bits>", "exec"), names, of_session


def _bits_function(context: Context, known: _Prepared) -> Callable[[NeededFields], int]:
    """Return the function for the records of a session."""
    names = dict(known.names)
    for name, source, holds in known.of_session:
        names[name] = _extracted_check(source, context, holds)
    exec(known.code, names)
    function: Callable[[NeededFields], int] = names["bits"]
    return function


def _test_lines(number: int, tested: Field, root: _Node, names: dict[str, Any]) -> Iterator[str]:
    """The lines of one test: its places one after another, each one only if those before it do not decide."""
    bit = 1 << number
    indent = "    "
    for place, source in enumerate(tested.sources):
        if place:
            # The next place counts where the one before has no value (`first`), or where no value has matched so far.
            yield f"{indent}else:" if tested.first else f"{indent}if not result & {bit}:"
            indent += "    "
        guard = "" if source.types is None else f"kind in types_{number}_{place} and "
        yield f"{indent}value = {_reading(source.path, root, names, f'rest_{number}_{place}')}"
        yield f"{indent}if {guard}value is not None:"
        value = "value"
        if source.also:
            others = [_reading(path, root, names, f"rest_{number}_{place}_{i}") for i, path in enumerate(source.also)]
            value = f"(value, {', '.join(others)})"
        yield f"{indent}    if check_{number}_{place}({value}):"
        yield f"{indent}        result |= {bit}"


def _reading(path: tuple[str, ...], root: _Node, names: dict[str, Any], rest_name: str) -> str:
    """The expression that reads the value at a path."""
    node, text = root, "record"
    for depth, key in enumerate(path):
        node = node.inner[key]
        text += f".{node.attribute}"
        rest = path[depth + 1 :]
        if node.wanted and rest:
            # This object is decoded as a whole, because another test needs all of it.
            names[rest_name] = rest
            return f"walk({text}, {rest_name})"
    return text


def _extracted_check(source: FieldPath, context: Context, holds: CheckFunction) -> CheckFunction:
    extract = source.extract
    assert extract is not None
    return lambda found: any(holds(value) for value in extract(found, context))


def _check(holds: CheckFunction) -> CheckFunction:
    return lambda found: any(holds(value) for value in found) if type(found) is list else holds(found)

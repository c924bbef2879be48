"""Records: mappings with known keys, each of a value type, built into one value of the model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from mockrec.engine.rules.model import SourceLocation
from mockrec.engine.rules.yaml.context import LoadContext, Rejected, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, MapNode, ScalarNode, core_value
from mockrec.engine.rules.yaml.types import Schema, T, ValueType, nearest_hint

_CAPITALS = re.compile("[A-Z]+")
LATER: Final = "is not available yet in this version of mockrec"


class Key:
    """One key of a record: its value type, its meaning, and whether this version supports it."""

    __slots__ = ("about", "later", "required", "value_type")

    def __init__(
        self,
        value_type: ValueType[Any],
        about: str,
        *,
        required: bool = False,
        later: bool | Callable[[Any], str | bool] = False,
    ) -> None:
        """`later`: the key is checked but refused. A function of the value returns whether it is, or the name of the
        refused part."""
        self.value_type = value_type
        self.about = about
        self.required = required
        self.later = later

    def refused(self, name: str, value: Any) -> str:
        """The name of what this version does not support; empty if it supports the value."""
        if self.later is True and (value is None or value is False or value in ((), {})):
            return ""  # the value turns off what is not supported
        answer = self.later(value) if callable(self.later) else self.later
        return name if answer is True else answer or ""


class ParsedMapping:
    """The given keys of one record, for the function that builds its value."""

    __slots__ = ("context", "keys", "node", "nodes", "values", "where")

    def __init__(self, node: AnyNode, where: str, context: LoadContext) -> None:
        self.node = node
        self.where = where
        self.context = context
        self.values: dict[str, Any] = {}
        self.keys: dict[str, ScalarNode] = {}
        self.nodes: dict[str, AnyNode] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def fields(self, *names: str) -> dict[str, Any]:
        """The given values under the field names of a dataclass: `bodyIdle` → `body_idle`. All, or those of `names`."""
        return {_field(key): value for key, value in self.values.items() if not names or key in names}

    def place(self, key: str) -> SourceLocation:
        """The location of a key's value."""
        return self.context.place(self.nodes[key], f"{self.where}.{key}" if self.where else key)

    def reject(self, key: str, message: str) -> Rejected:
        """Report a problem at a key's value; the caller raises the result."""
        return self.context.reject(self.nodes[key], f"{self.where}.{key}" if self.where else key, message)


class Record(ValueType[T]):
    """A mapping with known keys, built into one value."""

    expects = "a mapping"

    def __init__(
        self,
        keys: Mapping[str, Key],
        build: Callable[[ParsedMapping], T],
        *,
        one_of: Iterable[Sequence[str]] = (),
        some_of: Iterable[Sequence[str]] = (),
        may_be_nothing: bool = False,
    ) -> None:
        """`one_of`: groups of keys of which at most one may be given; `some_of`: groups of which at least one must be
        given; `may_be_nothing`: null is an empty mapping."""
        self.keys = dict(keys)
        self._names = tuple(keys)
        self._required = tuple(name for name, key in keys.items() if key.required)
        self._build = build
        self._one_of = [tuple(group) for group in one_of]
        self._some_of = [tuple(group) for group in some_of]
        self._may_be_nothing = may_be_nothing

    def read(self, node: AnyNode, where: str, context: LoadContext) -> T:
        given = ParsedMapping(node, where, context)
        good = True
        if isinstance(node, MapNode):
            pairs, good = context.pairs(node, where)
            prefix = f"{where}." if where else ""
            for name, key, value in pairs:
                known = self.keys.get(name)
                if known is None:
                    good = self._refuse(name, key, where, context)
                    continue
                given.keys[name] = key
                given.nodes[name] = value
                here = prefix + name
                try:
                    given.values[name] = known.value_type.read(value, here, context)
                except Rejected:
                    good = False
                    continue
                if known.later and (refused := known.refused(name, given.values[name])):
                    context.reject(key, here, f"{quoted(refused)} {LATER}")
                    good = False
        elif not (self._may_be_nothing and _is_nothing(node)):
            raise self.unexpected(node, where, context)
        if not (self._is_complete(given) and good):
            raise Rejected
        return self._build(given)

    def _refuse(self, name: str, key: ScalarNode, where: str, context: LoadContext) -> bool:
        """Report a key that the record does not have. Returns False."""
        message = nearest_hint(name, self._names, "unknown key")
        if "did you mean" not in message:
            message += f"; known keys: {', '.join(self._names)}"
        context.reject(key, where, message)
        return False

    def _is_complete(self, given: ParsedMapping) -> bool:
        faults = [f'the key "{name}" is missing' for name in self._required if name not in given.keys]
        faults += [
            f"give {' or '.join(group)}" if len(group) < 5 else f"give one of {', '.join(group)}"
            for group in self._some_of
            if given.keys.keys().isdisjoint(group)
        ]
        for message in faults:
            given.context.reject(given.node, given.where, message)
        for group in self._one_of:
            found = [name for name in given.keys if name in group]
            if len(found) > 1:
                message = f"give only one of {', '.join(found)}"
                given.context.reject(given.keys[found[1]], given.where, message)
                faults.append(message)
        return not faults

    def schema(self, defs: dict[str, Schema]) -> Schema:
        properties = {}
        for name, key in self.keys.items():
            about = f"{key.about} Not available yet." if key.later is True else key.about
            properties[name] = {"description": about, **key.value_type.schema(defs)}
        schema: Schema = {
            "type": ["object", "null"] if self._may_be_nothing else "object",
            "properties": properties,
            "additionalProperties": False,
        }
        if self._required:
            schema["required"] = list(self._required)
        conditions: list[Schema] = [{"anyOf": [{"required": [name]} for name in group]} for group in self._some_of]
        for group in self._one_of:
            pairs = [(a, b) for index, a in enumerate(group) for b in group[index + 1 :]]
            conditions.append({"not": {"type": "object", "anyOf": [{"required": [a, b]} for a, b in pairs]}})
        if conditions:
            schema["allOf"] = conditions
        return schema


@cache
def _field(key: str) -> str:
    """Return `body_idle` for `bodyIdle`. There are as many as keys in the language."""
    return _CAPITALS.sub(lambda found: f"_{found[0].lower()}", key)


def _is_nothing(node: AnyNode) -> bool:
    return isinstance(node, ScalarNode) and node.plain and core_value(node.text) is None

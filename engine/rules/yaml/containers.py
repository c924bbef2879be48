"""Shapes made of shapes: lists, mappings with free keys, and choices by kind of node.

Every one of them reads all its parts before it gives up, so that all problems are found at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockrec.engine.rules.yaml.context import LoadContext, Rejected, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, ListNode, MapNode, ScalarNode
from mockrec.engine.rules.yaml.types import InvalidValue, ScalarType, Schema, T, ValueType


class List(ValueType[tuple[T, ...]]):
    """A list of one shape."""

    def __init__(self, item: ValueType[T], *, at_least: int = 0) -> None:
        self._item = item
        self._at_least = at_least
        self.expects = "a list" if not at_least else f"a list of at least {at_least}"

    def read(self, node: AnyNode, where: str, reading: LoadContext) -> tuple[T, ...]:
        if not isinstance(node, ListNode) or len(node.items) < self._at_least:
            raise self.unexpected(node, where, reading)
        items = []
        for index, item in enumerate(node.items):
            try:
                items.append(self._item.read(item, f"{where}[{index}]", reading))
            except Rejected:
                continue
        if len(items) < len(node.items):
            raise Rejected
        return tuple(items)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        schema: Schema = {"type": "array", "items": self._item.schema(defs)}
        if self._at_least:
            schema["minItems"] = self._at_least
        return schema


class OneOrMany(ValueType[tuple[T, ...]]):
    """A single value, or a list of them that is not empty."""

    def __init__(self, item: ValueType[T]) -> None:
        self._item = item
        self._list = List(item, at_least=1)
        self.expects = f"{item.expects}, or a list"

    def read(self, node: AnyNode, where: str, reading: LoadContext) -> tuple[T, ...]:
        if isinstance(node, ListNode):
            return self._list.read(node, where, reading)
        return (self._item.read(node, where, reading),)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"anyOf": [self._item.schema(defs), self._list.schema(defs)]}


class MapOf(ValueType[dict[str, T]]):
    """A mapping with free keys and values of one shape."""

    expects = "a mapping"

    def __init__(self, value: ValueType[T], *, key: ScalarType[str] | None = None, fold_case: bool = False) -> None:
        """`fold_case`: keys that differ in case only are the same key given twice."""
        self._value = value
        self._key = key
        self._fold_case = fold_case

    def read(self, node: AnyNode, where: str, reading: LoadContext) -> dict[str, T]:
        if not isinstance(node, MapNode):
            raise self.unexpected(node, where, reading)
        pairs, good = reading.pairs(node, where)
        values: dict[str, T] = {}
        folded: set[str] = set()
        for name, key, value in pairs:
            try:
                if self._key is not None:
                    self._key.read(key, where, reading)
                if self._fold_case and name.lower() in folded:
                    raise reading.reject(key, where, f"{quoted(name)} is given twice (case does not count)")
                folded.add(name.lower())
                values[name] = self._value.read(value, f"{where}.{name}", reading)
            except Rejected:
                good = False
        if not good:
            raise Rejected
        return values

    def schema(self, defs: dict[str, Schema]) -> Schema:
        schema: Schema = {"type": "object", "additionalProperties": self._value.schema(defs)}
        if self._key is not None:
            schema["propertyNames"] = self._key.schema(defs)
        return schema


class ByKind(ValueType[Any]):
    """A choice that the kind of node decides: scalar, list or mapping; None where a kind is refused."""

    def __init__(
        self,
        *,
        scalar: ValueType[Any] | None = None,
        items: ValueType[Any] | None = None,
        mapping: ValueType[Any] | None = None,
    ) -> None:
        self._scalar = scalar
        self._items = items
        self._mapping = mapping
        self._shapes = [shape for shape in (scalar, items, mapping) if shape is not None]
        self.expects = " or ".join(dict.fromkeys(shape.expects for shape in self._shapes))

    def read(self, node: AnyNode, where: str, reading: LoadContext) -> Any:
        if isinstance(node, ScalarNode):
            shape = self._scalar
        else:
            shape = self._items if isinstance(node, ListNode) else self._mapping
        if shape is None:
            raise self.unexpected(node, where, reading)
        if isinstance(node, ScalarNode) and isinstance(shape, ScalarType):
            return shape.read_scalar(node, where, reading, self.expects)
        return shape.read(node, where, reading)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"anyOf": [shape.schema(defs) for shape in self._shapes]}


class Checked(ValueType[T]):
    """A shape whose value is looked at once more; the check may change it, and raises Unfit."""

    def __init__(self, shape: ValueType[T], check: Callable[[T], T]) -> None:
        self._shape = shape
        self._check = check
        self.expects = shape.expects

    def read(self, node: AnyNode, where: str, reading: LoadContext) -> T:
        value = self._shape.read(node, where, reading)
        try:
            return self._check(value)
        except InvalidValue as fault:
            raise reading.reject(node, where, str(fault)) from None

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return self._shape.schema(defs)


class Named(ValueType[T]):
    """A shape that the schema describes once, under `$defs`; also what makes recursion possible."""

    def __init__(self, name: str, shape: Callable[[], ValueType[T]], expects: str = "a mapping") -> None:
        self._name = name
        self._shape = shape
        self.expects = expects

    def read(self, node: AnyNode, where: str, reading: LoadContext) -> T:
        return self._shape().read(node, where, reading)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        if self._name not in defs:
            defs[self._name] = {}  # before its content, which may name it again
            defs[self._name] = self._shape().schema(defs)
        return {"$ref": f"#/$defs/{self._name}"}

"""Value types made of value types: lists, mappings with free keys, and choices by kind of node.

Each reads all of its parts before it raises Rejected, so that all problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockrec.engine.rules.yaml.context import LoadContext, Rejected, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, ListNode, MapNode, ScalarNode
from mockrec.engine.rules.yaml.types import InvalidValue, ScalarType, Schema, T, ValueType


class List(ValueType[tuple[T, ...]]):
    """A list of values of one type."""

    def __init__(self, item: ValueType[T], *, at_least: int = 0) -> None:
        self._item = item
        self._at_least = at_least
        self.expects = "a list" if not at_least else f"a list of at least {at_least}"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> tuple[T, ...]:
        if not isinstance(node, ListNode) or len(node.items) < self._at_least:
            raise self.unexpected(node, where, context)
        items = []
        for index, item in enumerate(node.items):
            try:
                items.append(self._item.read(item, f"{where}[{index}]", context))
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
    """A single value, or a list of at least one."""

    def __init__(self, item: ValueType[T]) -> None:
        self._item = item
        self._list = List(item, at_least=1)
        self.expects = f"{item.expects}, or a list"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> tuple[T, ...]:
        if isinstance(node, ListNode):
            return self._list.read(node, where, context)
        return (self._item.read(node, where, context),)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"anyOf": [self._item.schema(defs), self._list.schema(defs)]}


class MapOf(ValueType[dict[str, T]]):
    """A mapping with free keys and values of one type."""

    expects = "a mapping"

    def __init__(self, value: ValueType[T], *, key: ScalarType[str] | None = None, fold_case: bool = False) -> None:
        """`fold_case`: keys that differ only in case count as the same key given twice."""
        self._value = value
        self._key = key
        self._fold_case = fold_case

    def read(self, node: AnyNode, where: str, context: LoadContext) -> dict[str, T]:
        if not isinstance(node, MapNode):
            raise self.unexpected(node, where, context)
        pairs, good = context.pairs(node, where)
        values: dict[str, T] = {}
        folded: set[str] = set()
        for name, key, value in pairs:
            try:
                if self._key is not None:
                    self._key.read(key, where, context)
                if self._fold_case and name.lower() in folded:
                    raise context.reject(key, where, f"{quoted(name)} is given twice (case does not count)")
                folded.add(name.lower())
                values[name] = self._value.read(value, f"{where}.{name}", context)
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
    """A value type for each kind of node: scalar, list or mapping; None refuses the kind."""

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
        self._types = [value_type for value_type in (scalar, items, mapping) if value_type is not None]
        self.expects = " or ".join(dict.fromkeys(value_type.expects for value_type in self._types))

    def read(self, node: AnyNode, where: str, context: LoadContext) -> Any:
        if isinstance(node, ScalarNode):
            value_type = self._scalar
        else:
            value_type = self._items if isinstance(node, ListNode) else self._mapping
        if value_type is None:
            raise self.unexpected(node, where, context)
        if isinstance(node, ScalarNode) and isinstance(value_type, ScalarType):
            return value_type.read_scalar(node, where, context, self.expects)
        return value_type.read(node, where, context)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"anyOf": [value_type.schema(defs) for value_type in self._types]}


class Checked(ValueType[T]):
    """A value type with an additional check, which may change the value, and raises InvalidValue."""

    def __init__(self, value_type: ValueType[T], check: Callable[[T], T]) -> None:
        self._value_type = value_type
        self._check = check
        self.expects = value_type.expects

    def read(self, node: AnyNode, where: str, context: LoadContext) -> T:
        value = self._value_type.read(node, where, context)
        try:
            return self._check(value)
        except InvalidValue as fault:
            raise context.reject(node, where, str(fault)) from None

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return self._value_type.schema(defs)


class Named(ValueType[T]):
    """A value type that the schema describes once, under `$defs`, which also makes recursion possible."""

    def __init__(self, name: str, value_type: Callable[[], ValueType[T]], expects: str = "a mapping") -> None:
        self._name = name
        self._value_type = value_type
        self.expects = expects

    def read(self, node: AnyNode, where: str, context: LoadContext) -> T:
        return self._value_type().read(node, where, context)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        if self._name not in defs:
            defs[self._name] = {}  # before its content, which may name it again
            defs[self._name] = self._value_type().schema(defs)
        return {"$ref": f"#/$defs/{self._name}"}

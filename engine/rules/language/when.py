"""`when`: the matchers of `matching/table.py` as a record of the rule language, loaded into `model.When`."""

from __future__ import annotations

from types import NoneType
from typing import Any, Final

from mockrec.engine.rules.matching.spec import AnySpec, NestedSpec
from mockrec.engine.rules.matching.table import MATCHERS
from mockrec.engine.rules.matching.types import LoadedSchema
from mockrec.engine.rules.model import Condition, GrpcCall, MultipartPart, When
from mockrec.engine.rules.patterns import PythonRegex
from mockrec.engine.rules.yaml.containers import List, Named
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.types import ValueType


def when_record() -> Record[When]:
    """The record of all matchers in the table."""
    return Record({key: Key(_type(spec), spec.about) for key, spec in MATCHERS.items()}, _when, may_be_nothing=True)


def _type(spec: AnySpec) -> ValueType[Any]:
    if isinstance(spec, NestedSpec):
        return List(WHEN, at_least=1) if spec.is_list else WHEN
    return spec.type


def _when(given: ParsedMapping) -> When:
    expected: dict[str, Any] = {}
    for key, value in given.values.items():
        spec = MATCHERS[key]
        if warning := spec.warning(value):
            given.context.warn(given.place(key), warning)
        found = spec.expected_of(value)
        if found is not None or value is None:
            expected[key] = found
    sources = {key: _source(value) for key, value in given.values.items()}
    return When.loaded(expected, tuple(given.values), sources)


_PLAIN: Final = frozenset({str, int, float, bool, NoneType})


def _source(value: Any) -> Any:
    """A loaded value as the plain data that was written."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, When | LoadedSchema | GrpcCall):
        return value.source
    if isinstance(value, PythonRegex):
        return {"regex": str(value), "syntax": "python"}
    if isinstance(value, Condition | MultipartPart):
        default = type(value)()
        fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
        given = {name: item for name, item in fields if item is not getattr(default, name)}
        return given | _source(given["regex"]) if isinstance(given.get("regex"), PythonRegex) else given
    if isinstance(value, tuple):
        items = [_source(item) for item in value]
        return items[0] if len(items) == 1 and isinstance(items[0], str) else items
    if isinstance(value, dict):
        return {name: _source(item) for name, item in value.items()}
    return value


WHEN: Final = Named("when", lambda: _WHEN)
_WHEN: Final[Record[When]] = when_record()

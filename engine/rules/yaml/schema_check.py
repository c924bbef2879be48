"""JSON Schemas of rules: checked and compiled. No reference is fetched, and patterns take linear time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_META_SCHEMAS = ("http://json-schema.org/", "https://json-schema.org/")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def schema_validator(schema: Any) -> Any:
    """A validator of instances. `$schema` selects the draft; the default is 2020-12.

    Formats are annotations, as in the drafts; nothing is fetched. Raises ValueError for an invalid schema.
    """
    import jsonschema_rs  # slow to import, and few rule files use it

    return jsonschema_rs.validator_for(
        schema, pattern_options=jsonschema_rs.RegexOptions(), validate_formats=False, offline=True
    )


def schema_fault(schema: Any) -> str:
    """The fault of a schema, in one line; empty for a valid schema."""
    try:
        values = list(_keywords(schema))
    except RecursionError:
        return "nested too deeply"
    ids = {value.rstrip("#") for name, value in values if name in ("$id", "id")}
    for name, value in values:
        if name in _REFERENCES and not _is_local(value, ids):
            return f"{name} {value}: references to other documents are not fetched"
    try:
        schema_validator(schema)
    except ValueError as error:  # jsonschema_rs.ValidationError is one
        return _words(error)
    return ""


def is_recursive(schema: Any) -> bool:
    """Whether a schema may refer to itself; any other validates in time proportional to the instance.

    True, too, for a reference that is not a JSON Pointer into the same document.
    """
    begun: set[str] = set()
    done: set[str] = set()

    def recurs(value: Any) -> bool:
        return any(_leads_back(name, reference) for name, reference in _keywords(value) if name in _REFERENCES)

    def _leads_back(name: str, reference: str) -> bool:
        if name != "$ref" or not reference.startswith("#/") or reference in begun:
            return True
        if reference in done:
            return False
        target = _at(schema, reference[2:].split("/"))
        if target is None:
            return True
        begun.add(reference)
        found = recurs(target)
        begun.discard(reference)
        done.add(reference)
        return found

    try:
        return recurs(schema)
    except RecursionError:
        return True


def _at(document: Any, pointer: list[str]) -> Any:
    """The value at a JSON Pointer; None if it does not exist, or is inside a schema with its own `$id`."""
    for part in pointer:
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(document, Mapping) or name not in document:
            return None
        document = document[name]
        if isinstance(document, Mapping) and ("$id" in document or "id" in document):
            return None
    return document


def _words(error: Any) -> str:
    message = str(getattr(error, "message", error)).partition("\n")[0]
    if message.endswith('is not a "regex"'):
        message += " (look-arounds and back references are not available)"
    place = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in getattr(error, "instance_path", ())
    )
    return f"{place.lstrip('.')}: {message}" if place else message


def _is_local(reference: str, ids: set[str]) -> bool:
    document = reference.partition("#")[0]
    return not document or document.startswith(_META_SCHEMAS) or any(one.endswith(document) for one in ids)


def _keywords(schema: Any) -> Iterator[tuple[str, str]]:
    """Every name with a text as its value, at any depth of a schema."""
    if isinstance(schema, Mapping):
        for name, value in schema.items():
            if isinstance(value, str):
                yield name, value
            else:
                yield from _keywords(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _keywords(item)

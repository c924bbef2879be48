"""JSON Schemas that rules give: compiled, whole without the network, and with patterns that take linear time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_META_SCHEMAS = ("http://json-schema.org/", "https://json-schema.org/")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def schema_validator(schema: Any) -> Any:
    """What judges instances by a schema. `$schema` says the draft; default 2020-12.

    Formats are annotations, as the drafts have it; nothing is fetched. Raises ValueError for what is no schema.
    """
    import jsonschema_rs  # slow to import, and few files use it

    return jsonschema_rs.validator_for(
        schema, pattern_options=jsonschema_rs.RegexOptions(), validate_formats=False, offline=True
    )


def schema_fault(schema: Any) -> str:
    """What is wrong with a schema, in one line, or nothing."""
    try:
        values = list(_keywords(schema))
    except RecursionError:
        return "nested too deeply"
    known = {value.rstrip("#") for name, value in values if name in ("$id", "id")}
    for name, value in values:
        if name in _REFERENCES and not _is_local(value, known):
            return f"{name} {value}: references to other documents are not fetched"
    try:
        schema_validator(schema)
    except ValueError as error:  # jsonschema_rs.ValidationError is one
        return _words(error)
    return ""


def is_recursive(schema: Any) -> bool:
    """Whether a schema may refer to itself. Only such a one takes more time than in proportion to the instance.

    Answers True where a reference is not a JSON pointer into this very document.
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
    """What a JSON pointer leads to; None for nothing. A place with an `$id` of its own is not looked into."""
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


def _is_local(reference: str, known: set[str]) -> bool:
    document = reference.partition("#")[0]
    return not document or document.startswith(_META_SCHEMAS) or any(one.endswith(document) for one in known)


def _keywords(schema: Any) -> Iterator[tuple[str, str]]:
    """Every pair of a name and a text in a schema, at any depth."""
    if isinstance(schema, Mapping):
        for name, value in schema.items():
            if isinstance(value, str):
                yield name, value
            else:
                yield from _keywords(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _keywords(item)

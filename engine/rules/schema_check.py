"""Whether a JSON Schema that a rule gives can be used: well-formed, and whole without the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_META_SCHEMAS = ("http://json-schema.org/", "https://json-schema.org/")


def schema_fault(schema: Any) -> str:
    """What is wrong with a schema, in one line, or nothing. `$schema` says the draft; default 2020-12."""
    import jsonschema  # slow to import, and few files use it

    draft = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        draft.check_schema(schema)
        values = list(_keywords(schema))
    except jsonschema.SchemaError as error:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        return f"{place.lstrip('.')}: {error.message}" if place else error.message
    except RecursionError:
        return "nested too deeply"
    known = {value.rstrip("#") for name, value in values if name in ("$id", "id")}
    for name, value in values:
        if name in ("$ref", "$dynamicRef") and not _is_local(value, known):
            return f"{name} {value}: references to other documents are not fetched"
    return ""


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

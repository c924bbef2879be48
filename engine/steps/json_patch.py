"""JSON Patch (RFC 6902): operations on a JSON document, which return another document.

Nothing is changed in place: an operation copies the containers on its path and shares all others. So a patch that fails
has no effect, and neither the document nor the values of the operations are changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mockrec.engine.rules.matching.values import json_equal

_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")  # no leading zeros (RFC 6901, section 4)

_Tokens = list[str]


class PatchError(ValueError):
    """An operation that cannot be performed. `index` counts from 0, as positions in a rule file do."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"operation {index}: {reason}")
        self.index = index
        self.reason = reason


class _Failure(Exception):
    """The reason why an operation cannot be performed."""


def apply_patch(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """The document after all operations in their order. Raises PatchError. The given document does not change."""
    for index, operation in enumerate(operations):
        apply = _OPERATIONS.get(operation.get("op", ""))
        try:
            if apply is None:
                raise _Failure(f"there is no operation {operation.get('op')!r}")
            document = apply(document, operation)
        except _Failure as failure:
            words = [str(operation[key]) for key in ("op", "from", "path") if key in operation]
            raise PatchError(index, f"{' '.join(words)}: {failure}") from None
    return document


# ── operations (section 4) ─────────────────────────────────────────────────────────────────────────


def _add(document: Any, operation: Mapping[str, Any]) -> Any:
    return _put(document, _pointer(operation, "path"), _value(operation))


def _remove(document: Any, operation: Mapping[str, Any]) -> Any:
    return _without(document, _pointer(operation, "path"))


def _replace(document: Any, operation: Mapping[str, Any]) -> Any:
    value = _value(operation)
    return _changed(document, _pointer(operation, "path"), lambda target: value)


def _move(document: Any, operation: Mapping[str, Any]) -> Any:
    start, end = _pointer(operation, "from"), _pointer(operation, "path")
    value = _found(document, start)
    if start == end:
        return document
    if end[: len(start)] == start:
        raise _Failure("nothing can be moved into itself")
    return _put(_without(document, start), end, value)


def _copy(document: Any, operation: Mapping[str, Any]) -> Any:
    return _put(document, _pointer(operation, "path"), _found(document, _pointer(operation, "from")))


def _test(document: Any, operation: Mapping[str, Any]) -> Any:
    if not json_equal(_value(operation), _found(document, _pointer(operation, "path"))):
        raise _Failure("the value there is another one")
    return document


_OPERATIONS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise _Failure("the value is missing")
    return operation["value"]


def _pointer(operation: Mapping[str, Any], key: str) -> _Tokens:
    """The tokens of a JSON pointer (RFC 6901); none for the whole document."""
    text = operation.get(key)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise _Failure(f"{key} is not a JSON pointer")
    return [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]


# ── documents ──────────────────────────────────────────────────────────────────────────────────────


def _found(document: Any, tokens: _Tokens) -> Any:
    for token in tokens:
        document = document[_key(document, token)]
    return document


def _changed(document: Any, tokens: _Tokens, change: Callable[[Any], Any]) -> Any:
    """The document with the value at `tokens` replaced by the result of `change`."""
    if not tokens:
        return change(document)
    containers = []
    for token in tokens:
        containers.append((document, _key(document, token)))
        document = document[containers[-1][1]]
    document = change(document)
    for container, key in reversed(containers):
        container = container.copy()
        container[key] = document
        document = container
    return document


def _put(document: Any, tokens: _Tokens, value: Any) -> Any:
    if not tokens:
        return value

    def insert(container: Any) -> Any:
        if isinstance(container, dict):
            return {**container, tokens[-1]: value}
        if not isinstance(container, list):
            raise _Failure(f"{_kind(container)} has no members")
        if tokens[-1] == "-":
            return [*container, value]
        index = _index(tokens[-1])
        if index > len(container):
            raise _Failure(f"the list has {len(container)} items, so none can be added at {index}")
        return [*container[:index], value, *container[index:]]

    return _changed(document, tokens[:-1], insert)


def _without(document: Any, tokens: _Tokens) -> Any:
    if not tokens:
        raise _Failure("the whole document cannot be removed")

    def leave_out(container: Any) -> Any:
        key = _key(container, tokens[-1])
        container = container.copy()
        del container[key]
        return container

    return _changed(document, tokens[:-1], leave_out)


def _key(container: Any, token: str) -> Any:
    """The key or index that a token stands for in a container. Raises _Failure if the container does not have it."""
    if isinstance(container, dict):
        if token not in container:
            raise _Failure(f'there is no "{token}"')
        return token
    if not isinstance(container, list):
        raise _Failure(f"{_kind(container)} has no members")
    if token == "-":
        raise _Failure("there is nothing behind the last item of a list")
    index = _index(token)
    if index >= len(container):
        raise _Failure(f"the list has {len(container)} items, so there is none at {index}")
    return index


def _index(token: str) -> int:
    if _INDEX.fullmatch(token) is None:
        raise _Failure(f'"{token}" is not an index of a list')
    return int(token)


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "a text" if isinstance(value, str) else "a number"

"""Changes of a message that is passed on: headers, path, host and body. Pure: nothing is sent or read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from mockrec.engine.rules.model import BodyChange, HeaderChanges, HeaderPairs, Replacements, RequestChanges
from mockrec.engine.rules.patterns import ReplacedTooLong, Replacer, replacer
from mockrec.engine.rules.yaml.strings import HOST
from mockrec.engine.rules.yaml.types import InvalidValue
from mockrec.engine.steps.json_patch import PatchError, apply_patch
from mockrec.engine.wire.urls import split_host
from mockrec.formats.content.codings import UndecodableError, UnencodableError, codings_of, decode, encode
from mockrec.formats.text.json import NestedTooDeepError, parse

_MOST_TEXT = 1024 * 1024
"""Characters of a path, query or host after its replacements."""
_LEAST_BODY = 1024 * 1024
"""Bytes that a changed body may have however small the limit is."""
_NOT_IN_PATHS = re.compile(r"[^!-~]+|[?#]")
_NOT_IN_QUERIES = re.compile(r"[^!-~]+|#")


class TransformError(ValueError):
    """A message that cannot be changed as the rule wants; the text says why."""


@lru_cache(maxsize=1024)
def _replacer(pattern: str, template: str) -> Replacer:
    return replacer(pattern, template)


def _replaced(text: str, replacements: Replacements, limit: int = _MOST_TEXT) -> str:
    """The text after all replacements. Raises TransformError before a result of more than `limit` bytes is made."""
    try:
        for pattern, template in replacements:
            text = _replacer(pattern, template)(text, limit)
    except ReplacedTooLong:
        raise TransformError(f"the replacements make a text of more than {limit} characters") from None
    return text


class _Growing:
    """A replacement function that limits the length of the result."""

    def __init__(self, template: str, limit: int) -> None:
        self._template = template
        self._groups = template.count("\\")
        self._limit = self._left = limit

    def __call__(self, found: re.Match[str]) -> str:
        most = len(self._template) + self._groups * (found.end() - found.start())
        if most <= self._left:
            text = found.expand(self._template)
            self._left -= len(text)
            return text
        raise TransformError(f"the replacements make a text of more than {self._limit} characters")


# ── headers ────────────────────────────────────────────────────────────────────────────────────────


def changed_headers(pairs: Sequence[Sequence[str]], changes: HeaderChanges) -> list[list[str]]:
    """The headers as new pairs: first `remove`, then `set`, then `add`; or `replace` alone."""
    if changes.replace is not None:
        return [list(pair) for pair in changes.replace]
    gone = {name.lower() for name in changes.remove}
    kept = [list(pair) for pair in pairs if pair[0].lower() not in gone]
    if changes.set:
        kept = _with_set(kept, changes.set)
    return kept + [list(pair) for pair in changes.add]


def _with_set(pairs: list[list[str]], new: HeaderPairs) -> list[list[str]]:
    """The pairs with new values in the place of the first old one, or at the end."""
    waiting: dict[str, list[list[str]]] = {}
    for name, value in new:
        waiting.setdefault(name.lower(), []).append([name, value])
    names = set(waiting)
    result = []
    for pair in pairs:
        name = pair[0].lower()
        if name not in names:
            result.append(pair)
        else:
            result += waiting.pop(name, ())
    return result + [pair for group in waiting.values() for pair in group]


# ── where to ───────────────────────────────────────────────────────────────────────────────────────


def changed_path(path_with_query: str, changes: RequestChanges) -> str:
    """The path and query after their changes, fit for a request line; unchanged where nothing is replaced."""
    path, mark, query = path_with_query.partition("?")
    path, query = path or "/", mark + query
    new_path = _replaced(path, changes.match_replace_path)
    new_query = _replaced(query, changes.match_replace_query)
    if new_path != path:
        path = _NOT_IN_PATHS.sub(_escaped, new_path)
    if path != "*" and not path.startswith("/"):
        path = f"/{path}"
    if new_query != query:
        query = _NOT_IN_QUERIES.sub(_escaped, new_query)
    if query and not query.startswith("?"):
        query = f"?{query}"
    return path + query


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))


def changed_host(hostname: str, port: int, changes: RequestChanges) -> tuple[str, int | None]:
    """The server's name (an IPv6 address without brackets) and port after their changes; None is the default port.

    `matchReplaceHost` sees `name:port`, with brackets around an IPv6 address. Raises TransformError.
    """
    if changes.host is not None:
        return split_host(changes.host)
    if not changes.match_replace_host:
        return hostname, port
    name = f"[{hostname}]" if ":" in hostname and not hostname.startswith("[") else hostname
    before = f"{name}:{port}"
    after = _replaced(before, changes.match_replace_host)
    if after == before:
        return hostname, port
    try:
        return split_host(HOST.parse(after, False))
    except InvalidValue as fault:
        why = f" ({fault})" if str(fault) else ""
        raise TransformError(f'matchReplaceHost made "{after}" of "{before}", which is no host{why}') from None


# ── bodies ─────────────────────────────────────────────────────────────────────────────────────────


def changed_body(
    body: bytes, content_encoding: str, new_encoding: str, change: BodyChange, limit: int, file_data: bytes | None
) -> bytes:
    """The body to send instead of `body`: decoded, changed, and encoded again.

    `content_encoding` is the header's value as received, `new_encoding` after the headers were changed. `limit`
    bounds what is decoded, `file_data` is what `change.file` holds. Where nothing changes and both codings are
    the same, `body` itself is returned. Raises TransformError.
    """
    before, after = codings_of(content_encoding), codings_of(new_encoding)
    if change.data is not None:
        return _encoded(change.data, after)
    if change.file is not None:
        if file_data is None:
            raise AssertionError("a file has to be read before it can be a body")
        return _encoded(file_data, after)
    data = _decoded(body, before, limit)
    if change.match_replace is not None:
        changed = _replaced_in_text(data, change.match_replace, max(limit, _LEAST_BODY))
    else:
        changed = _changed_json(data, change, max(limit, _LEAST_BODY))
    if changed is None:
        return body if before == after else _encoded(data, after)
    return _encoded(changed, after)


def _decoded(body: bytes, codings: list[str], limit: int) -> bytes:
    try:
        data, complete = decode(body, codings, limit)
    except UndecodableError as error:
        raise TransformError(f"the body cannot be decoded ({', '.join(codings)}): {error}") from None
    if not complete or len(data) > limit:
        raise TransformError(f"the body is too large to be changed: more than {limit} bytes when decoded")
    return data


def _encoded(data: bytes, codings: list[str]) -> bytes:
    try:
        return encode(data, codings)
    except UnencodableError as error:
        raise TransformError(f"the body cannot be encoded: {error}") from None


def _replaced_in_text(data: bytes, replacements: Replacements, limit: int) -> bytes | None:
    """The body after the replacements; None if nothing changes. Bytes that are not UTF-8 are read as Latin-1, which has
    a character for every byte."""
    encoding = "utf-8"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = data.decode(encoding)
    changed = _replaced(text, replacements, limit)
    if changed == text:
        return None
    try:
        return changed.encode(encoding)
    except UnicodeEncodeError as error:
        character = changed[error.start]
        raise TransformError(f'the body is not UTF-8, so "{character}" cannot be put into it') from None


# ── JSON ───────────────────────────────────────────────────────────────────────────────────────────


def _changed_json(data: bytes, change: BodyChange, limit: int) -> bytes | None:
    """The JSON after `mergeJson` or `patchJson`; None if nothing changes."""
    try:
        document = parse(data)
        text = _json_text(document)
        if change.has_merge:
            document = _merged(document, change.merge_json)
        else:
            document = apply_patch(document, change.patch_json or ())
            if any(operation.get("op") == "copy" for operation in change.patch_json or ()):
                _check_size(document, limit)
        changed = _json_text(document)
    except TransformError:
        raise
    except PatchError as error:
        raise TransformError(f"patchJson[{error.index}] cannot be done: {error.reason}") from None
    except (RecursionError, NestedTooDeepError):
        raise TransformError("the body is JSON that is nested too deeply") from None
    except ValueError as error:
        raise TransformError(f"the body is not JSON that can be changed: {_why(data, error)}") from None
    if changed == text:
        return None
    try:
        return changed.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can express
        return _json_text(document, ascii_only=True).encode()


def _check_size(document: Any, limit: int) -> None:
    """Raise TransformError for more than `limit` values and characters: `copy` shares what it copies, so that forty of
    them can mean 2⁴⁰ values, too many to be written out."""
    left = limit
    waiting = [document]
    while waiting:
        value = waiting.pop()
        left -= 2
        if isinstance(value, dict):
            left -= sum(map(len, value)) + 2 * len(value)
            waiting += value.values()
        elif isinstance(value, (list, tuple)):
            waiting += value
        elif isinstance(value, str):
            left -= len(value)
        if left < 0 or len(waiting) > limit:
            raise TransformError(f"the patch makes a body of more than {limit} bytes")


def _why(data: bytes, error: ValueError) -> str:
    if not data.strip():
        return "it is empty"
    return "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)


def _json_text(document: Any, *, ascii_only: bool = False) -> str:
    """Compact JSON. Raises ValueError for numbers such as `1e999`, which would be written as Infinity."""
    return json.dumps(document, ensure_ascii=ascii_only, separators=(",", ":"), allow_nan=False)


def _merged(target: Any, source: Any) -> Any:
    """`source` merged into `target`: mappings key by key, lists item by item; other values replace (also null)."""
    if isinstance(source, Mapping):
        old = target if isinstance(target, dict) else {}
        new = {key: _merged(old.get(key), value) for key, value in source.items()}
        return {**old, **new}
    if isinstance(source, (list, tuple)):
        items = target if isinstance(target, list) else []
        pairs = [_merged(items[i] if i < len(items) else None, value) for i, value in enumerate(source)]
        return [*pairs, *items[len(pairs) :]]
    return source

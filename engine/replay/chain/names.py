"""Decide which values are worth chaining: values that look generated, and other values under the same name.

A *strong* value looks generated (a token, a UUID, a long number, a redaction mark) and is recognised at any place. Any
other value, such as the id 7, is recognised only under its *name*: the key, parameter or field that holds it, with the
entity as a prefix if the key is only `id`. So `id` in the response to `POST /users`, `user.id`, `userId`, `user_id` and
the 7 of `/users/7` have the same name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from mockrec.engine.replay.session.editable import MARK

LONGEST: Final = 8192
"""The longest value that may be chained, in characters."""
_SHORTEST: Final = 8
_TOKEN: Final = re.compile(r"[\w\-.~+/=:%|!$*,]+", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE: Final = re.compile(r"\d{4}-?[01]\d-?[0-3]\d(?:T[\d:.]{4,}(?:Z|[+-][\d:]{2,5})?)?")
_NUMBER: Final = re.compile(r"[\d.:,%+-]*[.:,][\d.:,%+-]*")
_TYPE: Final = re.compile(r"(?:application|audio|font|image|message|model|multipart|text|video)/.*", re.DOTALL)
_PIECE: Final = re.compile(r"[A-Za-z0-9]+")
_SWITCH: Final = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_CASE: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[a-z])")


def is_strong(text: str) -> bool:
    """Whether a value looks generated, so that it is recognised without the same name in response and request."""
    if not _SHORTEST <= len(text) <= LONGEST or not _TOKEN.fullmatch(text):
        return False
    if MARK.fullmatch(text):
        return True
    if _UUID.fullmatch(text):
        return len(set(text)) >= 7  # not a made-up one, such as 00000000-0000-0000-0000-000000000001
    if text.startswith("/") or "://" in text:  # a link; its parts are examined separately
        return False
    if _DATE.fullmatch(text) or _NUMBER.fullmatch(text) or _TYPE.fullmatch(text):
        return False
    pieces = _PIECE.findall(text)
    if any(_is_strong_piece(piece) for piece in pieces):
        return True
    switches = sum(len(_SWITCH.findall(piece)) + len(_CASE.findall(piece)) for piece in pieces)
    return len(text) >= 20 and switches >= 6 and any(piece.isdigit() or _SWITCH.search(piece) for piece in pieces)


def _is_strong_piece(piece: str) -> bool:
    if piece.isdigit():
        return len(piece) >= 10 and len(set(piece)) > 2
    if len(piece) < _SHORTEST:
        return False
    if _SWITCH.search(piece):
        return len(_SWITCH.findall(piece)) >= 2 or len(piece) >= 24
    return len(_CASE.findall(piece)) >= 4 and len(piece) >= 12


# ── names ──────────────────────────────────────────────────────────────────────────────────────────

_BETWEEN: Final = re.compile(r"[\W_]+")
_ID: Final = re.compile(
    r"(?:^|[_\-.\s\[])(?:id|ID|Id|pk|uuid|UUID|guid|GUID)\]?$|[a-z0-9](?:Id|ID|Uuid|UUID|Guid|GUID)$"
)
_BARE: Final = frozenset({"id", "pk", "uuid", "guid"})
_SECRET: Final = re.compile(
    r"(?:token|csrf|xsrf|nonce|cursor|ticket|session|sessid|sid|viewstate|eventvalidation|verifier|challenge|otp|pin"
    r"|code|state|etag|key|handle|reference|signature)$"
)
_WORTH: Final = re.compile(r"(?=.*\d)[\w\-.:~@+/=]{4,128}|[\w\-.:~@+/=]{6,128}", re.ASCII)
_TRIVIAL_VALUES: Final = frozenset({
    "", "0", "-1", "true", "false", "null", "none", "undefined", "nan", "me", "self", "all", "new", "current",
    "default",
})  # fmt: skip
_WRAPPERS: Final = frozenset({
    "data", "result", "results", "item", "items", "attributes", "response", "payload", "body", "content", "value",
    "values", "object", "objects", "entity", "node", "nodes", "edges", "list", "rows", "hits", "records", "embedded",
    "variables", "input", "params", "json", "source",
})  # fmt: skip
_VERB: Final = re.compile(r"(?:create|add|new|get|update|insert|register|find|fetch)(?=[A-Z_])")
_VERSION: Final = re.compile(r"v\d+(?:\.\d+)?")
_SHORT_ID: Final = re.compile(r"[\w\-.:~@+=]{1,128}")


_CACHE_SIZE: Final = 4096
"""The size of the name caches: a session repeats its names."""


def plain(name: str) -> str:
    """Return a name without the conventions of a language: `user_id`, `userId`, `User-ID` → `userid`."""
    return _BETWEEN.sub("", name[:128]).lower()


@lru_cache(_CACHE_SIZE)
def entity_of(name: str) -> str:
    """Return the entity that a key or path segment names: `orders`, `createOrder` → `order`; empty for a number."""
    bare = plain(_VERB.sub("", name))
    if bare.isdigit():
        return ""
    for plural, singular in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if bare.endswith(plural) and len(bare) > len(plural) + 1:
            return bare[: -len(plural)] + singular
    return bare[:-1] if bare.endswith("s") and not bare.endswith(("ss", "us", "is")) and len(bare) > 2 else bare


@lru_cache(_CACHE_SIZE)
def entity_of_key(key: str) -> str:
    """Return the entity that the key of an object names; empty for a mere wrapper such as `data`."""
    return "" if plain(key) in _WRAPPERS else entity_of(key)


def entity_of_path(path: str) -> str:
    """Return the entity of a URL: that of the last path segment that does not look like an id."""
    for part in reversed(path.partition("?")[0].split("/")[-8:]):
        if part and not looks_like_id(part := unquote(part)):
            return entity_of(part)
    return ""


def looks_like_id(part: str) -> bool:
    """Whether a path segment identifies one of many resources."""
    return (any(character.isdigit() for character in part) and not re.fullmatch(r"v\d+(?:\.\d+)?", part)) or is_strong(
        part
    )


@lru_cache(_CACHE_SIZE)
def name_of(key: str, entity: str) -> str:
    """Return the name of a value under `key` in an object of `entity`; empty if values of that name are not chained."""
    bare = plain(key)
    if bare in _BARE:
        return f"{entity}id"
    if _ID.search(key):
        return re.sub(r"(?:uuid|guid|pk)$", "id", bare)
    return bare if _SECRET.search(bare) else ""


def is_of_secret(name: str) -> bool:
    """Whether a name denotes a token, code or the like, of which a session has one at a time."""
    return _SECRET.search(name) is not None


def is_worth(name: str, text: str) -> bool:
    """Whether a value that is not strong may be chained under this name."""
    if not name or text.lower() in _TRIVIAL_VALUES:
        return False
    if name.endswith("id") and not name.endswith(("sid", "sessionid")):
        return _SHORT_ID.fullmatch(text) is not None and len(name) > 2
    return _WORTH.fullmatch(text) is not None

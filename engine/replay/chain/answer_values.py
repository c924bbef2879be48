"""Extract the values of a response that a later request may use, each with its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mockrec.engine.replay.chain.json_scan import Level, scalars
from mockrec.engine.replay.chain.markup import html_values
from mockrec.engine.replay.chain.names import (
    LONGEST,
    entity_of_key,
    entity_of_path,
    is_of_secret,
    is_strong,
    is_worth,
    name_of,
)
from mockrec.engine.replay.chain.urls import fields, is_link, target_of, url_parts

LARGEST: Final = 1024 * 1024
"""The largest body that is searched for values, in bytes."""
_IGNORED_HEADERS: Final = frozenset({
    "date", "server", "via", "age", "vary", "expires", "connection", "keep-alive", "content-length", "content-type",
    "content-encoding", "transfer-encoding", "cache-control", "pragma", "alt-svc", "strict-transport-security",
    "content-security-policy", "content-security-policy-report-only", "report-to", "nel", "permissions-policy",
    "referrer-policy", "accept-ranges", "trailer", "p3p", "server-timing",
})  # fmt: skip
_BINARY: Final = re.compile(
    r"(?:audio|font|image(?!/svg)|video)/|application/(?:octet-stream|pdf|wasm|zip|gzip|protobuf|grpc)", re.IGNORECASE
)
_LINK_FIELD: Final = re.compile(r"<([^<>]*)>\s*(;[^,<]*)?")
_REL: Final = re.compile(r'rel\s*=\s*"?([\w-]{1,40})', re.IGNORECASE)
_ASSIGNED: Final = re.compile(
    r"""(?<![\w.-])([A-Za-z_][\w.-]{0,63})["']?\s{0,8}[:=]\s{0,8}["']([^"'\s<>]{4,8192})["']"""
)


@dataclass(slots=True)
class Value:
    """One value of a response."""

    key: str
    """The key by which requests look it up; empty if the value is too common, so a match may be a coincidence."""
    text: str
    place: str
    """In the notation of selectors: `json:$.id`, `header:location/query:code`, `cookie:sid`, `html:input[csrf]`."""


def strong_key(text: str) -> str:
    """Return the key of a value that is recognised at any place."""
    return text


def named_key(name: str, text: str) -> str:
    """Return the key of a value that is recognised only under its name."""
    return f"{name}\0{text}"


def name_key(name: str) -> str:
    """Return the key of any value under a name; it finds redacted values whose real value a new response contains."""
    return f"\0name\0{name}"


def link_key(target: str) -> str:
    """Return the key of a whole link, by its request target."""
    return f"\0link\0{target}"


def cookie_key(name: str, text: str) -> str:
    """Return the key of a cookie, which clients send back whatever its value is."""
    return f"\0cookie\0{name}\0{text}"


def values_of(target: str, head: Sequence[Sequence[str]], body: str, *, every: bool) -> Iterator[Value]:
    """Yield the values of the response to a request for `target`; `body` is decoded, and empty if it is not text.

    `every`: include the values of a JSON document that have no key (those of other formats are always included).
    """
    entity = entity_of_path(target)
    seen: Counter[str] = Counter()
    media = ""
    for name, value in head:
        lower = name.lower()
        if lower == "content-type":
            media = value.lower()
        elif lower not in _IGNORED_HEADERS and not lower.startswith(("access-control-", ":", "cf-")):
            yield from _numbered(_in_header(lower, value, target, entity), seen)
    if not body:
        return
    if _is_json(body, media):
        yield from _in_json(body, entity, every)  # each place of a JSON document occurs once
    else:
        yield from _numbered(_in_body(body, media, entity), seen)


def has_text(head: Sequence[Sequence[str]]) -> bool:
    """Whether the body of a response with this head is searched: all content-types but binary ones."""
    media = next((value for name, value in head if name.lower() == "content-type"), "")
    return not _BINARY.match(media.strip())


def _numbered(values: Iterable[Value], seen: Counter[str]) -> Iterator[Value]:
    """Add a number to the place of a value from the second one at the same place on: `#2`, `#3`, …"""
    last = Value("", "", "")
    place = ""
    for one in values:
        # A value with several keys is yielded once per key, in succession; it counts as one.
        if one.place != last.place or one.text != last.text:
            seen[one.place] += 1
            count = seen[one.place]
            place = one.place if count == 1 else f"{one.place}#{count}"
        last = one
        yield one if place == one.place else Value(one.key, one.text, place)


def scalar_values(text: str, place: str, name: str) -> Iterator[Value]:
    """Yield a value once for each of its keys, and the parts of the value if it is a link."""
    text = text.strip()
    if len(text) > LONGEST:
        return
    yield from _keyed(text, place, name)
    if is_link(text):
        yield from _link_values(text, place)


def _keyed(text: str, place: str, name: str) -> Iterator[Value]:
    strong, named = is_strong(text), is_worth(name, text)
    if strong:
        yield Value(strong_key(text), text, place)
    if named:
        yield Value(named_key(name, text), text, place)
        if is_of_secret(name):
            yield Value(name_key(name), text, place)
    if not strong and not named:
        yield Value("", text, place)


def _link_values(link: str, place: str) -> Iterator[Value]:
    target = target_of(link)
    varies = "?" in target or any(character.isdigit() for character in target)
    yield Value(link_key(target) if varies else "", target, f"{place}/url")
    for part in url_parts(link):
        yield from _keyed(part.text, f"{place}/{part.place}", part.name)


def _in_header(name: str, value: str, target: str, entity: str) -> Iterator[Value]:
    if name == "set-cookie":
        cookie, mark, rest = value.partition("=")
        text, place = rest.partition(";")[0].strip(), f"cookie:{cookie.strip()}"
        if mark and text:
            yield Value(cookie_key(cookie.strip(), text), text, place)
            if is_strong(text):
                yield Value(strong_key(text), text, place)
    elif name in ("etag", "last-modified"):
        yield Value(named_key(f"{name} {target.partition('?')[0]}", value.strip()), value.strip(), f"header:{name}")
    elif name == "link":
        for found in _LINK_FIELD.finditer(value):
            rel = _REL.search(found[2] or "")
            yield from _link_values(found[1], f"header:link[{rel[1].lower() if rel else ''}]")
    elif name == "authorization":
        yield from scalar_values(value.rpartition(" ")[2], f"header:{name}", "authorization")
    else:
        yield from scalar_values(value, f"header:{name}", name_of(name.removeprefix("x-"), entity))


def _is_json(body: str, media: str) -> bool:
    if "event-stream" in media or "ndjson" in media or "jsonl" in media:
        return False  # a sequence of documents
    return body[:64].lstrip("\ufeff \t\r\n")[:1] in ("{", "[", '"') or "json" in media


def _in_body(body: str, media: str, entity: str) -> Iterator[Value]:
    if body[:64].lstrip("\ufeff \t\r\n")[:1] == "<":
        for text, place, name in html_values(body):
            yield from scalar_values(text, place, name_of(name, entity))
        if "html" in media:
            yield from _in_script(body, entity)
    elif "x-www-form-urlencoded" in media:
        for part in fields(body, 0, entity):
            yield from scalar_values(part.text, part.place.replace("query:", "form:", 1), part.name)
    elif len(body) <= 8192 and not any(character.isspace() for character in body.strip()):
        yield from scalar_values(body, "body", "")
    else:
        yield from _in_script(body, entity)


def _in_json(body: str, entity: str, every: bool) -> Iterator[Value]:
    for one in scalars(body):
        if one.is_key:
            continue
        key, parent = own_name(one.levels)
        name = name_of(key, parent or entity) if key else ""
        # Building the path costs more than these checks, so it is built only for values that may be chained.
        if every or is_strong(one.text) or is_worth(name, one.text) or (one.is_text and is_link(one.text)):
            yield from scalar_values(one.text, f"json:{one.path}", name)


def own_name(levels: Sequence[Level]) -> tuple[str, str]:
    """Return the member name of a JSON value, and the entity that the object around it represents."""
    own = ""
    for level in reversed(levels):
        if level.is_array:
            continue
        if not own:
            own = level.key
        elif entity := entity_of_key(level.key):
            return own, entity
    return own, ""


def _in_script(body: str, entity: str) -> Iterator[Value]:
    """Yield the strings that are assigned to names in a script or any other text: `token = "…"`, `"token": "…"`."""
    for found in _ASSIGNED.finditer(body):
        yield from scalar_values(found[2], f"text:{found[1]}", name_of(found[1], entity))

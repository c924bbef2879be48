"""Restore Cookie, Set-Cookie and Location fields from an entry that lists cookies or a redirect but not the field."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mockrec.formats.har.fields import items, text
from mockrec.formats.har.imported_fields import as_bytes_text, is_latin1
from mockrec.formats.har.imported_repairs import EntryRepairs
from mockrec.formats.text.syntax import TOKEN

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_CONTROLS = re.compile(r"[^\x00-\x1f\x7f]+")
_VALUE = re.compile(r"[^\x00-\x1f\x7f;]*")


def request_field(cookies: Any, headers: list[list[str]], repairs: EntryRepairs) -> list[list[str]]:
    """Return a `Cookie` field if the entry lists cookies and has no such field."""
    pairs = [] if _names(headers, "cookie") else [_pair(cookie) for cookie in items(cookies)]
    pairs = [pair for pair in pairs if pair]
    if not pairs:
        return []
    repairs.add("cookies-list", "request.cookies")
    return [["Cookie", "; ".join(pairs)]]


def response_fields(cookies: Any, headers: list[list[str]], repairs: EntryRepairs) -> list[list[str]]:
    """Return `Set-Cookie` fields if the entry lists cookies and has no such field."""
    if _names(headers, "set-cookie"):
        return []
    made = [["Set-Cookie", pair + _attributes(cookie)] for cookie in items(cookies) if (pair := _pair(cookie))]
    if made:
        repairs.add("cookies-list", "response.cookies")
    return made


def location_field(url: Any, status: int, headers: list[list[str]], repairs: EntryRepairs) -> list[list[str]]:
    """Return a `Location` field if the response is a redirect with a `redirectURL` and without such a field."""
    location = text(url).strip()
    if (
        status not in _REDIRECTS
        or not location
        or not _VALUE.fullmatch(location.replace(";", ""))
        or _names(headers, "location")
    ):
        return []
    repairs.add("redirect-url", "response.redirectURL", location)
    return [["Location", location if is_latin1(location) else as_bytes_text(location)]]


def _names(headers: list[list[str]], wanted: str) -> bool:
    return any(name.lower() == wanted for name, _ in headers)


def _pair(cookie: Any) -> str:
    if not isinstance(cookie, Mapping):
        return ""
    name, value = text(cookie.get("name")), text(cookie.get("value"))
    if not TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        return ""
    return f"{name}={value if is_latin1(value) else as_bytes_text(value)}"


def _attributes(cookie: Mapping[str, Any]) -> str:
    attributes = ""
    for key in ("path", "domain"):
        value = text(cookie.get(key))
        if value and value.isascii() and _VALUE.fullmatch(value):
            attributes += f"; {key.capitalize()}={value}"
    attributes += _expires(cookie.get("expires"))
    attributes += "; HttpOnly" if cookie.get("httpOnly") is True else ""
    attributes += "; Secure" if cookie.get("secure") is True else ""
    same_site = text(cookie.get("sameSite"))
    return attributes + (f"; SameSite={same_site}" if same_site.isalpha() and same_site.isascii() else "")


def _expires(value: Any) -> str:
    try:
        moment = datetime.fromisoformat(value)
        return f"; Expires={email.utils.format_datetime(moment.astimezone(UTC), usegmt=True)}"
    except (ValueError, TypeError, OverflowError):
        return ""

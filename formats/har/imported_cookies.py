"""Cookies and redirects that an entry has and no header of it names → the fields that carried them."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mockrec.formats.har.fields import items, text
from mockrec.formats.har.imported_fields import as_bytes_text, is_latin1
from mockrec.formats.har.imported_repairs import EntryNotes
from mockrec.formats.text.syntax import TOKEN

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_CONTROLS = re.compile(r"[^\x00-\x1f\x7f]+")
_VALUE = re.compile(r"[^\x00-\x1f\x7f;]*")


def request_field(cookies: Any, headers: list[list[str]], notes: EntryNotes) -> list[list[str]]:
    """The `Cookie` field, where there is none and there were cookies."""
    pairs = [] if _names(headers, "cookie") else [_pair(cookie) for cookie in items(cookies)]
    pairs = [pair for pair in pairs if pair]
    if not pairs:
        return []
    notes.repaired("cookies-list", "request.cookies")
    return [["Cookie", "; ".join(pairs)]]


def response_fields(cookies: Any, headers: list[list[str]], notes: EntryNotes) -> list[list[str]]:
    """The `Set-Cookie` fields, where there are none and cookies were set."""
    if _names(headers, "set-cookie"):
        return []
    made = [["Set-Cookie", pair + _attributes(cookie)] for cookie in items(cookies) if (pair := _pair(cookie))]
    if made:
        notes.repaired("cookies-list", "response.cookies")
    return made


def location_field(url: Any, status: int, headers: list[list[str]], notes: EntryNotes) -> list[list[str]]:
    """The `Location` field of a redirect, where only `redirectURL` has it."""
    told = text(url).strip()
    if (
        status not in _REDIRECTS
        or not told
        or not _VALUE.fullmatch(told.replace(";", ""))
        or _names(headers, "location")
    ):
        return []
    notes.repaired("redirect-url", "response.redirectURL", told)
    return [["Location", told if is_latin1(told) else as_bytes_text(told)]]


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
    told = ""
    for key in ("path", "domain"):
        value = text(cookie.get(key))
        if value and value.isascii() and _VALUE.fullmatch(value):
            told += f"; {key.capitalize()}={value}"
    told += _expires(cookie.get("expires"))
    told += "; HttpOnly" if cookie.get("httpOnly") is True else ""
    told += "; Secure" if cookie.get("secure") is True else ""
    same_site = text(cookie.get("sameSite"))
    return told + (f"; SameSite={same_site}" if same_site.isalpha() and same_site.isascii() else "")


def _expires(value: Any) -> str:
    try:
        moment = datetime.fromisoformat(value)
        return f"; Expires={email.utils.format_datetime(moment.astimezone(UTC), usegmt=True)}"
    except (ValueError, TypeError, OverflowError):
        return ""

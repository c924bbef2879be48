"""The small parts of an entry: headers, cookies, queries, URLs, times. No function fails, whatever a record contains.

Some readers refuse a whole HAR for one value of a wrong type (Chrome for a date or a number), so every value has the
right type here, whatever was recorded.
"""

from __future__ import annotations

import email.utils
import ipaddress
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit

from mockrec.formats.text.fields import header_table
from mockrec.formats.text.syntax import BREAKS_VALUE, TOKEN
from mockrec.formats.text.urls import DEFAULT_PORTS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 253_402_300_799_000.0
"""The end of the year 9999."""
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z")
_ABSOLUTE = re.compile(
    r"[a-zA-Z][a-zA-Z0-9+.-]*://([^@/?#\s]*@)?([a-zA-Z0-9._~-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(?=[/?#]|$)"
)
"""Readers refuse the whole file for an invalid host."""
_LEGAL = "%:/?[]@!$&'()*+,;=-._~"
UNKNOWN_URL = "http://unknown.invalid/"


def text(value: Any, default: str = "") -> str:
    """Return the value if it is a string, otherwise `default`."""
    return value if isinstance(value, str) else default


def whole(value: Any, default: int = -1) -> int:
    """Return the value if it is an integer from 0 to 2^53 - 1, otherwise `default`."""
    return value if type(value) is int and 0 <= value < 2**53 else default


def number(value: Any) -> float | None:
    """Return the value if it is a finite number, otherwise None."""
    return value if type(value) in (int, float) and math.isfinite(value) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return the value if it is a list, otherwise an empty one."""
    return value if isinstance(value, list) else []


# ── headers ────────────────────────────────────────────────────────────────────────────────────────


def header_list(raw: Any, table: Any = None) -> list[dict[str, str]]:
    """Convert `rawHeaders` (or, without them, `headers`) to HAR; wire order, case and duplicates stay."""
    if _is_pairs(raw):
        return [{"name": name, "value": value} for name, value in raw]
    found: list[dict[str, str]] = []
    for name, value in mapping(table).items():
        values = value if isinstance(value, list) else [value]
        found += [{"name": name, "value": one} for one in values if isinstance(one, str)]
    return found


def _is_pairs(raw: Any) -> bool:
    return isinstance(raw, list) and all(
        type(pair) is list and len(pair) == 2 and type(pair[0]) is str and type(pair[1]) is str for pair in raw
    )


def raw_headers(headers: Any) -> list[list[str]]:
    """Convert a HAR's headers to `rawHeaders`. Elements that are not headers are left out."""
    found: list[list[str]] = []
    for header in items(headers):
        if isinstance(header, dict) and isinstance(header.get("name"), str):
            value = header.get("value", "")
            found.append([header["name"], value if isinstance(value, str) else str(value)])
    return found


def named_headers(raw: list[list[str]]) -> dict[str, Any]:
    """`rawHeaders` → `headers` without pseudo-headers (RFC 9113, 8.3), which a HAR keeps elsewhere."""
    return header_table([pair for pair in raw if not pair[0].startswith(":")])


def shown_headers(headers: list[dict[str, str]]) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Return the headers that every reader accepts, and custom members with the rest: `_pseudoHeaders`, `_oddHeaders`.

    Browsers refuse a response with any of the rest, so that Playwright waits forever, and programs cannot send them.
    """
    if all(_is_name(header["name"]) for header in headers) and not BREAKS_VALUE.search(
        "".join([header["value"] for header in headers])
    ):
        return headers, {}
    apart: dict[str, Any] = {}
    shown = []
    for header in headers:
        if header["name"].startswith(":"):
            apart.setdefault("_pseudoHeaders", []).append(header)
        elif not _is_name(header["name"]) or BREAKS_VALUE.search(header["value"]):
            apart.setdefault("_oddHeaders", []).append(header)
        else:
            shown.append(header)
    return shown, apart


@lru_cache(4096)
def _is_name(name: str) -> bool:
    """True if the name is a token (RFC 9110, 5.6.2)."""
    return TOKEN.fullmatch(name) is not None


def all_headers(message: Mapping[str, Any]) -> list[list[str]]:
    """Return `rawHeaders` of a request or response that mockrec has written, without `_oddHeaders`, whose places are
    unknown."""
    return raw_headers(message.get("_pseudoHeaders")) + raw_headers(message.get("headers"))


def find_header(headers: list[dict[str, str]], name: str, default: str = "") -> str:
    """Return the first value of a header in the HAR's form."""
    return next((header["value"] for header in headers if header["name"].lower() == name), default)


# ── cookies and queries ────────────────────────────────────────────────────────────────────────────


def request_cookies(headers: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return the cookies of the Cookie headers."""
    cookies = []
    for header in headers:
        if header["name"].lower() == "cookie":
            for pair in header["value"].split(";"):
                name, equals, value = pair.strip().partition("=")
                if equals:
                    cookies.append({"name": name, "value": value})
    return cookies


def response_cookies(headers: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return the cookies of the Set-Cookie headers. `expires` is left out unless it is a date, because readers refuse
    the file otherwise."""
    cookies = []
    for header in headers:
        if header["name"].lower() == "set-cookie":
            first, *attributes = header["value"].split(";")
            name, _, value = first.strip().partition("=")
            cookie: dict[str, Any] = {"name": name, "value": value}
            for attribute in attributes:
                _add_attribute(cookie, *attribute.strip().partition("=")[::2])
            cookies.append(cookie)
    return cookies


def _add_attribute(cookie: dict[str, Any], name: str, value: str) -> None:
    known = name.lower()
    if known in ("path", "domain"):
        cookie[known] = value
    elif known == "httponly":
        cookie["httpOnly"] = True
    elif known == "secure":
        cookie["secure"] = True
    elif known == "samesite":
        cookie["sameSite"] = value
    elif known == "expires":
        try:
            moment = email.utils.parsedate_to_datetime(value.replace("-", " ")).astimezone(UTC)
            cookie["expires"] = f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}.000Z"
        except (ValueError, TypeError, IndexError, OverflowError):
            pass


def parameters(query: str) -> list[dict[str, str]]:
    """Parse a query like `a=1&b=x+y`: decoded names and values, in order."""
    found = []
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            found.append({"name": unquote_plus(name), "value": unquote_plus(value)})
    return found


def form_parameters(body: str) -> list[dict[str, str]] | None:
    """Return the fields of an urlencoded form, or None if the form could not be restored from them."""
    found = []
    for pair in body.split("&"):
        name, equals, value = pair.partition("=")
        if not equals or not name:
            return None
        try:
            found.append({"name": unquote_plus(name, errors="strict"), "value": unquote_plus(value, errors="strict")})
        except UnicodeDecodeError:
            return None
    return found


# ── URLs ───────────────────────────────────────────────────────────────────────────────────────────


def har_url(url: Any) -> str:
    """Return an absolute, legal URL without a fragment, whatever was recorded."""
    return _legal_url(url) if isinstance(url, str) else UNKNOWN_URL


@lru_cache(256)
def _legal_url(url: str) -> str:
    if not _ABSOLUTE.match(url) or not parts_of(url):
        return UNKNOWN_URL
    return quote(url.partition("#")[0], safe=_LEGAL)


def query_of(url: str) -> str:
    """Return the part of a URL after the question mark."""
    return url.partition("?")[2]


@lru_cache(256)
def parts_of(url: str) -> Mapping[str, Any]:
    """Return `protocol`, `path`, `host` and `destination` of a URL. The result is shared: do not change it."""
    try:
        split = urlsplit(url)
        protocol, hostname, port = split.scheme, split.hostname or "", split.port
    except ValueError:
        return {}
    path = split.path or "/"
    default = DEFAULT_PORTS.get(protocol)
    shown = f"[{hostname}]" if ":" in hostname else hostname
    return {
        "protocol": protocol,
        "path": f"{path}?{split.query}" if split.query else path,
        "host": shown if port in (None, default) else f"{shown}:{port}",
        "destination": {"hostname": hostname, "port": port if port is not None else default or 0},
    }


def is_address(value: Any) -> bool:
    """True if the value is an IP address without a zone: validators accept nothing else."""
    try:
        return isinstance(value, str) and "%" not in value and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


# ── times ──────────────────────────────────────────────────────────────────────────────────────────


def iso(milliseconds: float, *, digits: int = 3) -> str:
    """Format milliseconds since the epoch in ISO 8601, in UTC, with `digits` decimal places of the second."""
    moment = _EPOCH + timedelta(milliseconds=min(max(milliseconds, 0.0), _LATEST_MS))
    return f"{moment.strftime('%Y-%m-%dT%H:%M:%S')}.{moment.microsecond:06d}"[: 20 + digits] + "Z"


def started(timing: Mapping[str, Any], timestamp: Any) -> str:
    """Return the start of an exchange: from its timing, otherwise the timestamp of the record."""
    start = number(timing.get("startTime"))
    if start is not None and 0 <= start <= _LATEST_MS:
        return iso(start)
    if isinstance(timestamp, str) and _TIMESTAMP.fullmatch(timestamp):
        return f"{timestamp[:23]}Z"
    return iso(0)


def span(timing: Mapping[str, Any], first: str, *last: str) -> float:
    """Return the milliseconds between two milestones, never negative. The first milestone of `last` that exists is the
    end."""
    start = number(timing.get(first))
    end = next((found for name in last if (found := number(timing.get(name))) is not None), None)
    if start is None or end is None:
        return 0
    return round(min(max(end - start, 0), _LATEST_MS), 4)

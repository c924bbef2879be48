"""Read single values of other tools' entries: dates, sizes, statuses, URLs, in all the forms that tools write."""

from __future__ import annotations

import email.utils
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import urlencode

from mockrec.formats.har import fields
from mockrec.formats.har.fields import items, mapping, text
from mockrec.formats.har.imported_fields import is_status_line, sendable_reason, without_status_line
from mockrec.formats.har.imported_repairs import EntryRepairs
from mockrec.formats.text.hostnames import to_ascii
from mockrec.formats.text.syntax import TOKEN
from mockrec.formats.text.urls import DEFAULT_PORTS, normal_target, quoted_target

_SECONDS_END = 1e11
"""Numbers from here on are not seconds since the epoch (year 5138) …"""
_MILLISECONDS_END = 1e14
"""… and from here on not milliseconds either."""
_MICROSECONDS_END = 1e17
_NANOSECONDS_END = 1e20
_EPOCH_START = 1e8
"""Smaller numbers are not accepted as dates: 1973 in seconds."""
_NUMBER = re.compile(r"[0-9]{9,20}(?:\.[0-9]{1,9})?")
_DOTNET = re.compile(r"/Date\((-?[0-9]{1,15})(?:[+-][0-9]{4})?\)/")
_JAVASCRIPT = re.compile(r"(\w{3} \w{3} \d{1,2} \d{4} \d\d:\d\d:\d\d) (?:GMT|UTC)([+-]\d{4})?(?: \(.*\))?")
_RUBY_AND_GO = re.compile(
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,9})?) (?:UTC|Z|([+-]\d\d:?\d\d))(?: [A-Z]{1,5})?(?: m=.{1,40})?"
)
_VERSION = re.compile(r"(?:http/|h)?([0-3](?:\.[0-9])?)(?:c|-[0-9]{1,2})?")
_SLASHES = re.compile(r"\d{4}/\d\d/\d\d\b")
_STATUS = re.compile(r"([1-9][0-9]{2})(?:\.0+)?(?:[ \t]+(.*))?", re.DOTALL)
_LARGEST = 2**53
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]+)(?::([0-9]{0,8}))?")
_FORBIDDEN_IN_HOST = re.compile(r"""[\x00-\x20\x7f"#%/:<>?@\[\\\]^`{|}]""")
_FORBIDDEN_IN_USER = re.compile(r"""[^!-~]|["#/<>?@\[\\\]^`{|}]""")
_LONGEST_HOST = 260
_AROUND_URLS = "".join(map(chr, range(0x21))) + "\xa0\ufeff\u2028\u2029"


def moment_of(value: Any, repairs: EntryRepairs | None = None) -> float:
    """Convert a date in any form to milliseconds since the epoch. Raises `ValueError` if it is not a date."""
    repairs = repairs or EntryRepairs("")
    if isinstance(value, str):
        value = value.strip()
        if _NUMBER.fullmatch(value):  # before ISO 8601: in its basic format, some numbers are dates of the year 1712
            return _other_moment(value, repairs)
        try:
            moment = datetime.fromisoformat(value[:-1] + "Z" if value.endswith("z") else value)
        except ValueError:
            return _other_moment(value, repairs)
        if moment.tzinfo is None:
            repairs.add("no-zone", "startedDateTime", value)
            moment = moment.replace(tzinfo=UTC)
        return _milliseconds_of(moment, value)
    if type(value) in (int, float) and _EPOCH_START <= value < _NANOSECONDS_END:
        repairs.add("date-form", "startedDateTime", str(value))
        return _epoch(value)
    raise _no_date(value)


def _other_moment(value: str, repairs: EntryRepairs) -> float:
    milliseconds: float | None = None
    if _NUMBER.fullmatch(value):
        number = float(value)
        milliseconds = _epoch(number) if _EPOCH_START <= number < _NANOSECONDS_END else None
    elif found := _DOTNET.fullmatch(value):
        milliseconds = float(found[1])
    elif found := _JAVASCRIPT.fullmatch(value):
        milliseconds = _milliseconds_of(_parsed(f"{found[1]} {found[2] or '+0000'}", value), value)
    elif found := _RUBY_AND_GO.fullmatch(value):
        return moment_of(found[1] + (found[2] or "+00:00"), repairs)
    elif _SLASHES.match(value):
        milliseconds = moment_of(value.replace("/", "-"), repairs)
    elif value[:3].isalpha():
        milliseconds = _milliseconds_of(_rfc_date(value), value)
    if milliseconds is None:
        raise _no_date(value)
    repairs.add("date-form", "startedDateTime", value)
    return milliseconds


def _parsed(value: str, given: str) -> datetime:
    try:
        return datetime.strptime(value, "%a %b %d %Y %H:%M:%S %z")
    except ValueError:
        raise _no_date(given) from None


def _rfc_date(value: str) -> datetime:
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise _no_date(value) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _milliseconds_of(moment: datetime, value: str) -> float:
    try:
        return round(moment.timestamp() * 1000, 3)
    except (OverflowError, OSError, ValueError):
        raise _no_date(value) from None


def _epoch(value: float) -> float:
    if value < _SECONDS_END:
        return round(value * 1000.0, 3)
    if value < _MILLISECONDS_END:
        return round(float(value), 3)
    return round(value / (1000 if value < _MICROSECONDS_END else 1_000_000), 3)


def _no_date(value: Any) -> ValueError:
    return ValueError(f"startedDateTime is no date: {value!r:.60}")


def number_of(value: Any) -> float | None:
    """Convert a number, or a text with one; None if it is neither."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return fields.number(value)


def size_of(value: Any) -> int | None:
    """Convert a size in bytes, also a float or a text; None if it is unknown (-1, null) or not a size."""
    given = number_of(value)
    if given is None or not math.isfinite(given) or not 0 <= given < _LARGEST:
        return None
    return int(given)


def status_of(response: Mapping[str, Any], repairs: EntryRepairs) -> tuple[int, str]:
    """Return status and reason; the status is 0 if there is no response."""
    value, reason = response.get("status"), text(response.get("statusText"))
    if isinstance(value, str) and (found := _STATUS.fullmatch(value.strip())):
        repairs.add("status-form", "response.status", value)
        value, reason = int(found[1]), reason or text(found[2])
    elif isinstance(value, float) and value.is_integer():
        repairs.add("status-form", "response.status", str(value))
        value = int(value)
    if type(value) is not int or not 100 <= value <= 999:
        is_none = value in (None, "", "0", "-1", False) or (type(value) in (int, float) and value <= 0)
        if not is_none:
            repairs.add_lost("status", "response.status", f"{value!r:.60}")
        return 0, reason
    if is_status_line(reason):
        repairs.add("reason-form", "response.statusText", reason)
        reason = without_status_line(reason)
    sendable = sendable_reason(reason)
    if sendable != reason:
        repairs.add("reason-form", "response.statusText", reason)
    return value, sendable


def version_of(value: Any, repairs: EntryRepairs) -> str:
    """Return the HTTP version as `1.0`, `1.1`, `2.0` or `3.0`; `1.1` if it is unknown."""
    given = text(value).strip().lower()
    found = _VERSION.fullmatch(given)
    if "quic" in given:
        return "3.0"
    if found is None:
        if given:
            repairs.add("version", "request.httpVersion", given)
        return "1.1"
    return found[1] if "." in found[1] else f"{found[1]}.{1 if found[1] == '1' else 0}"


def method_of(request: Mapping[str, Any], repairs: EntryRepairs) -> str:
    """Return the method. Raises `ValueError` if it is missing or not valid in a request line."""
    value = text(request.get("method"))
    method = value.strip()
    if not method:
        raise ValueError("request.method or request.url is missing")
    if not TOKEN.fullmatch(method):
        raise ValueError(f"request.method is no method: {value[:60]!r}")
    if method != value:
        repairs.add("method-form", "request.method", value)
    return method


def url_of(
    request: Mapping[str, Any], repairs: EntryRepairs, headers: list[list[str]] | None = None
) -> tuple[str, str]:
    """Return the URL as the recorder writes it, without its fragment, and the request target.

    They differ in dot segments, which only the request target keeps. Raises `ValueError` if there is no valid URL.
    """
    given = text(request.get("url"))
    if not given:
        raise ValueError("request.method or request.url is missing")
    stripped = given.strip(_AROUND_URLS)
    url = stripped.partition("#")[0]
    if url.startswith("/") and headers is not None:
        url = _absolute(url, headers, repairs)
    scheme, _, rest = url.partition("://")
    before, question, query = rest.partition("?")
    host, slash, path = before.partition("/")
    good_host = _host(host, scheme.lower()) if scheme.lower() in DEFAULT_PORTS else ""
    if not good_host:
        raise ValueError(f"request.url is no HTTP URL: {given[:60]!r}")
    if not question and (pairs := _query_list(request.get("queryString"))):
        repairs.add("query-list", "request.url", given)
        question, query = "?", urlencode(pairs)
    target = f"/{path}{question}{query}"
    made = f"{scheme.lower()}://{good_host}{normal_target(target)}"
    if made != f"{scheme}://{host}{target}" or not slash or given != stripped:
        repairs.add("url-form", "request.url", given)
    return made, quoted_target(target)


def _absolute(url: str, headers: list[list[str]], repairs: EntryRepairs) -> str:
    table = fields.named_headers([[name.lstrip(":"), value] for name, value in headers])
    host = "" if url.startswith("//") else text(table.get("authority")) or text(table.get("host"))
    if not host and not url.startswith("//"):
        return url
    repairs.add("relative-url", "request.url", url)
    scheme = text(table.get("scheme")) or "http"
    return f"{scheme}:{url}" if url.startswith("//") else f"{scheme}://{host}{url}"


def _host(authority: str, scheme: str) -> str:
    """Normalize user, name and port, without the scheme's default port; "" if the authority is not valid."""
    user, at, host = authority.rpartition("@")
    found = _HOST.fullmatch(host)
    if found is None or len(host) > _LONGEST_HOST or _FORBIDDEN_IN_USER.search(user):
        return ""
    name, port = found[1], found[2] or ""
    try:
        name = f"[{IPv6Address(name[1:-1])}]" if name.startswith("[") else to_ascii(name)
    except ValueError:
        return ""
    if not name or (not name.startswith("[") and _FORBIDDEN_IN_HOST.search(name)):  # the normal form of ℀ is a/c
        return ""
    if port and int(port) != DEFAULT_PORTS.get(scheme):
        name = f"{name}:{int(port)}"
    return user + at + name


def _query_list(value: Any) -> list[tuple[str, str]]:
    pairs = [mapping(one) for one in items(value)]
    return [(text(pair.get("name")), str(pair.get("value") or "")) for pair in pairs if text(pair.get("name"))]

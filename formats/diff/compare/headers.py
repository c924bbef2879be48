"""Compare header fields by class: hop-by-hop fields, volatile fields, security fields, all others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.model.finding import ABSENT, DifferenceKind, Finding, Severity, Subject


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


HOP_BY_HOP = _names(
    "connection keep-alive proxy-connection te trailer transfer-encoding upgrade via content-length "
    "sec-websocket-key sec-websocket-accept"
)
"""Never compared: they concern the connection. Content-Length depends on the coding, and bodies are compared decoded.
The key of a WebSocket is random, and browsers do not save the accept value that depends on it."""
VOLATILE = _names(
    "date age expires last-modified etag x-request-id request-id x-correlation-id correlation-id x-trace-id "
    "traceparent tracestate x-b3-traceid x-b3-spanid x-b3-parentspanid x-b3-sampled x-cloud-trace-context "
    "x-amzn-trace-id x-amzn-requestid x-amz-request-id x-amz-id-2 x-amz-cf-id x-amz-cf-pop x-github-request-id "
    "server-timing x-runtime x-response-time x-process-time x-envoy-upstream-service-time x-timer x-served-by "
    "x-cache x-cache-hits cf-ray cf-cache-status x-vercel-id fly-request-id x-ratelimit-remaining "
    "x-ratelimit-reset x-ratelimit-used ratelimit-remaining ratelimit-reset x-rate-limit-remaining "
    "x-rate-limit-reset"
)
"""Compared only by presence and type, not by value."""
DATES = frozenset({"date", "expires", "last-modified"})
_LENGTH_OF_DATE = 29
"""`Sun, 06 Nov 1994 08:49:37 GMT`."""
_MAY_COME_AND_GO = frozenset({"age", "x-cache", "x-cache-hits", "cf-cache-status"})
SECURITY = _names(
    "content-security-policy content-security-policy-report-only strict-transport-security x-frame-options "
    "x-content-type-options referrer-policy permissions-policy cross-origin-opener-policy "
    "cross-origin-embedder-policy cross-origin-resource-policy access-control-allow-origin "
    "access-control-allow-credentials access-control-allow-methods access-control-allow-headers www-authenticate "
    "proxy-authenticate clear-site-data x-xss-protection"
)
"""A changed or removed field is a breaking difference."""
_ENCODING = "content-encoding"
_NONCE = re.compile(r"'nonce-[^']*'")
_BOUNDARY = re.compile(r'boundary=(?:"[^"]*"|[^;\s]*)', re.IGNORECASE)

_LISTS = _names(
    "vary cache-control pragma allow accept accept-charset accept-encoding accept-language accept-ranges accept-ch "
    "accept-patch accept-post access-control-allow-methods access-control-allow-headers "
    "access-control-expose-headers access-control-request-headers timing-allow-origin clear-site-data content-language "
    "surrogate-control cdn-cache-control permissions-policy"
)
"""Lists whose order is meaningless, or overruled by `q` (RFC 9110, 12.4)."""
_ONE_TYPE = frozenset({"content-type", "content-disposition"})
_DIRECTIVES = frozenset({"strict-transport-security", "x-xss-protection"})
"""Directives between semicolons, in any order (RFC 6797, 6.1)."""
_CASE_COUNTS = frozenset({"allow", "access-control-allow-methods", "timing-allow-origin"})
"""Lists of methods and origins, which are case-sensitive."""
_WEIGHT = re.compile(r"[01](?:\.\d{0,3})?")

Fields = Mapping[str, Any]


def for_key(headers: Fields, strict: bool) -> dict[str, Any]:
    """Return the fields for a content's key: messages with equal keys need no further comparison."""
    if strict:
        return {name: value for name, value in headers.items() if name not in HOP_BY_HOP}
    kept: dict[str, Any] = {}
    for name, value in headers.items():
        if name not in HOP_BY_HOP:
            kept[name] = value if name not in VOLATILE else without_date(value) if name in DATES else ""
    return kept


def is_kept(name: str, strict: bool) -> bool:
    """True if `for_key` keeps a field with its value, whatever the value is."""
    return name not in HOP_BY_HOP and (strict or name not in VOLATILE)


def without_date(value: str) -> str:
    """Return "" for a date, otherwise the value: an invalid date is a difference of type, see `_same_type`."""
    return "" if len(value) == _LENGTH_OF_DATE else value


def compare(
    a: Fields, b: Fields, values: ValueComparer, message: str, area: str = "header", skip: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """Yield the differences of fields, in A's order, then fields that only B has. Cookies: see `cookies.py`."""
    for name in (*a, *(name for name in b if name not in a)):
        if name in HOP_BY_HOP or name in skip or name in ("set-cookie", "cookie"):
            continue
        value_a, value_b = a.get(name, ABSENT), b.get(name, ABSENT)
        severity = _severity(name, value_a, value_b, values)
        if severity is not None:
            subject = Subject(message, area, name)
            path = f"{message}.{area}:{name}"
            yield Finding(DifferenceKind.header, severity, path, subject, value_a, value_b)


def _severity(name: str, a: Any, b: Any, values: ValueComparer) -> Severity | None:
    """Return the severity of a field's difference; None if the values are equal."""
    if a is ABSENT or b is ABSENT:
        return _severity_of_presence(name, b is ABSENT)
    if a == b or (name in VOLATILE and not values.strict and _same_type(name, a, b)):
        return None
    if values.same_text(_comparable(name, str(a)), _comparable(name, str(b))):
        return None
    if name == "content-type":
        same_type = media_type(str(a)) == media_type(str(b))
        return Severity.changed if same_type else Severity.breaking
    if name == _ENCODING:
        return Severity.info
    return Severity.breaking if name in SECURITY else Severity.changed


def _severity_of_presence(name: str, gone: bool) -> Severity:
    if name in _MAY_COME_AND_GO or name == _ENCODING:
        return Severity.info
    if name in SECURITY or name == "content-type":
        return Severity.breaking if gone else Severity.changed
    return Severity.changed


def _same_type(name: str, a: Any, b: Any) -> bool:
    return name not in DATES or _is_date(str(a)) == _is_date(str(b))


def _is_date(text: str) -> bool:
    try:
        parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return False
    return True


def _comparable(name: str, value: str) -> str:
    if name.startswith("content-security-policy"):
        return _NONCE.sub("'nonce-…'", value)
    if name == "content-type":
        value = _BOUNDARY.sub("boundary=…", value)
    if name in _ONE_TYPE:
        return _plain_item(value, name)
    if name in _LISTS:
        return ",".join(sorted(filter(None, (_plain_item(item, name) for item in _items(value, ",")))))
    if name in _DIRECTIVES:
        return ";".join(sorted(filter(None, (_plain_item(item, name) for item in _items(value, ";")))))
    return value


def _plain_item(value: str, header: str) -> str:
    """Return a list item in a normal form: without blanks around `;` and `=`, without quotes, in lower case where case
    is meaningless (types, names of parameters, charsets; RFC 9110, 5.6.6 and 8.3.1)."""
    first, *parameters = (piece.strip() for piece in _items(value, ";"))
    plain = [_setting(first, whole=header not in _CASE_COUNTS)]
    named = [_setting(parameter, whole=False) for parameter in parameters if parameter]
    return ";".join([*plain, *sorted(named)])


def _setting(text: str, *, whole: bool) -> str:
    """Normalise `Name = "value"` to `name=value`. `whole`: a single word is case-insensitive too."""
    name, equals, content = (piece.strip() for piece in text.partition("="))
    if not equals:
        return name.lower() if whole else name
    if len(content) > 1 and content[0] == content[-1] == '"' and "\\" not in content:
        content = content[1:-1]
    name = name.lower()
    if name == "charset":
        content = content.lower()
    elif name == "q" and _WEIGHT.fullmatch(content):
        content = f"{float(content):g}"
    return f"{name}={content}"


def _items(value: str, separator: str) -> list[str]:
    """Split a field's value, but not at separators between quotes."""
    if '"' not in value:
        return value.split(separator)
    pieces, start = [], 0
    for match in re.finditer(rf'"(?:[^"\\]|\\.)*"|{separator}', value):
        if match[0] == separator:
            pieces.append(value[start : match.start()])
            start = match.end()
    return [*pieces, value[start:]]


def media_type(content_type: str) -> str:
    """Return the media type without parameters, in lower case: `Text/HTML; charset=utf-8` → `text/html`."""
    return content_type.partition(";")[0].strip().lower()

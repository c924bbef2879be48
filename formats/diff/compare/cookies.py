"""Compare cookies: of Set-Cookie fields by name and attribute, of Cookie fields by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.compare.volatile import looks_like_token
from mockrec.formats.diff.model.finding import ABSENT, DifferenceKind, Finding, Severity, Subject

_LIFETIME_SLACK = 0.01
_LIFETIME_SLACK_SECONDS = 5.0
"""`Expires` is compared as a duration from the response's Date, with this tolerance."""
_SAFETY = frozenset({"secure", "httponly", "samesite"})

Fields = Mapping[str, Any]


def set_cookies(a: Fields, b: Fields, values: ValueComparer) -> Iterator[Finding]:
    """Yield the differences between the cookies that two responses set."""
    set_a, set_b = _parsed(a), _parsed(b)
    for name in (*set_a, *(name for name in set_b if name not in set_a)):
        attributes_a, attributes_b = set_a.get(name), set_b.get(name)
        path = f"response.cookie:{name}"
        subject = Subject("response", "cookie", name)
        if attributes_a is None or attributes_b is None:
            gone = Severity.breaking if attributes_b is None else Severity.changed
            yield Finding(DifferenceKind.header, gone, path, subject, _shown(attributes_a), _shown(attributes_b))
            continue
        for attribute in (*attributes_a, *(key for key in attributes_b if key not in attributes_a)):
            value_a, value_b = attributes_a.get(attribute, ABSENT), attributes_b.get(attribute, ABSENT)
            if _same(attribute, value_a, value_b, (a, b), values):
                continue
            severity = Severity.breaking if attribute in _SAFETY else Severity.changed
            where = path if attribute == "" else f"{path} ({attribute})"
            yield Finding(DifferenceKind.header, severity, where, subject, value_a, value_b)


def request_cookies(a: Fields, b: Fields, values: ValueComparer) -> Iterator[Finding]:
    """Yield the differences between the cookies of two requests."""
    sent_a, sent_b = _pairs(a.get("cookie", "")), _pairs(b.get("cookie", ""))
    for name in (*sent_a, *(name for name in sent_b if name not in sent_a)):
        value_a, value_b = sent_a.get(name, ABSENT), sent_b.get(name, ABSENT)
        if value_a is ABSENT or value_b is ABSENT or not _same_value(str(value_a), str(value_b), values):
            subject = Subject("request", "cookie", name)
            yield Finding(DifferenceKind.header, Severity.changed, f"request.cookie:{name}", subject, value_a, value_b)


def _parsed(headers: Fields) -> dict[str, dict[str, str]]:
    """Return name → its value under "" and its attributes. Of several cookies with one name the last one counts, as
    for browsers."""
    lines = headers.get("set-cookie", ())
    found: dict[str, dict[str, str]] = {}
    for line in lines if isinstance(lines, Sequence) and not isinstance(lines, str) else [str(lines)]:
        first, *rest = str(line).split(";")
        name, _, value = first.strip().partition("=")
        attributes = {"": value}
        for part in rest:
            key, _, setting = part.strip().partition("=")
            if key:
                attributes[key.strip().lower()] = setting.strip()
        found[name] = attributes
    return found


def _pairs(line: Any) -> dict[str, str]:
    parts = [part.strip().partition("=") for part in str(line).split(";") if part.strip()]
    return {name: value for name, _, value in parts}


def _shown(attributes: Mapping[str, str] | None) -> Any:
    if attributes is None:
        return ABSENT
    rest = [f"{key}={value}" if value else key for key, value in attributes.items() if key]
    return "; ".join([attributes[""], *rest])


def _same(attribute: str, a: Any, b: Any, headers: tuple[Fields, Fields], values: ValueComparer) -> bool:
    if a is ABSENT or b is ABSENT:
        return False
    if attribute == "":
        return _same_value(a, b, values)
    if attribute == "expires" and not values.strict:
        one, two = _lifetime(a, headers[0]), _lifetime(b, headers[1])
        if one is not None and two is not None:
            slack = max(_LIFETIME_SLACK_SECONDS, _LIFETIME_SLACK * max(abs(one), abs(two)))
            return abs(one - two) <= slack or max(one, two) < 0  # a date in the past deletes the cookie
    if attribute == "samesite":
        return str(a).lower() == str(b).lower()
    if attribute == "domain":  # RFC 6265, 5.2.3: no leading dot, no case
        a, b = a.removeprefix(".").lower(), b.removeprefix(".").lower()
    return values.same_text(a, b)


def _same_value(a: str, b: str, values: ValueComparer) -> bool:
    if values.same_text(a, b):
        return True
    return not values.strict and looks_like_token(a) and looks_like_token(b)


def _lifetime(expires: str, headers: Fields) -> float | None:
    """Return the seconds from the response to the cookie's end; None if one of the dates is invalid."""
    try:
        return (_date(expires) - _date(str(headers.get("date", "")))).total_seconds()
    except (ValueError, TypeError):
        return None


def _date(text: str) -> datetime:
    found = parsedate_to_datetime(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

"""Conditional requests (RFC 9110, 13): whether a recorded 304 applies to the representation that a client has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

VALIDATORS = ("if-none-match", "if-modified-since")
_TAG = re.compile(r'(?:W/)?"[^"]*"|[^\s,"]+')
_MOST_TAGS = 100


def entity_tags(value: str | None) -> frozenset[str]:
    """Return the tags of an `If-None-Match` or `ETag`, for weak comparison (RFC 9110, 8.8.3.2).

    Tags without quotes are accepted, because some servers omit them.
    """
    found = _TAG.findall(value or "")[:_MOST_TAGS]
    return frozenset(tag.removeprefix("W/").strip('"') for tag in found)


def is_conditional(fields: Mapping[str, str]) -> bool:
    """Return whether a request has `If-None-Match` or `If-Modified-Since`."""
    return any(fields.get(name) for name in VALIDATORS)


def confirms(asked: Mapping[str, str], recorded: Mapping[str, str], etag: str, modified: str) -> bool:
    """Return whether the client's stored representation is the one that a recorded 304 confirmed.

    `asked` are the fields of the new request, `recorded` those of the recorded one; `etag` and `modified` are the
    recorded 304's own `ETag` and `Last-Modified`.
    """
    tags = asked.get("if-none-match")
    if tags:
        if tags.strip() == "*":
            return True
        known = entity_tags(etag) | entity_tags(recorded.get("if-none-match"))
        return bool(known & entity_tags(tags)) or not (known or modified or recorded.get("if-modified-since"))
    since = asked.get("if-modified-since")
    if not since:
        return False
    then = recorded.get("if-modified-since") or modified
    if not then:
        return not (etag or recorded.get("if-none-match"))
    return since.strip() == then.strip() or _is_later(since, modified or then)


def same_validator(condition: str, etag: str, modified: str) -> bool:
    """Return whether an `If-Range` matches the recorded representation, so a part may be sent (RFC 9110, 13.1.5)."""
    condition = condition.strip()
    if condition.startswith(("W/", '"')):
        return condition == etag.strip() and not condition.startswith("W/")
    return bool(modified) and condition == modified.strip()


def _is_later(since: str, then: str) -> bool:
    try:
        return parsedate_to_datetime(since) >= parsedate_to_datetime(then)
    except (ValueError, TypeError, IndexError):
        return False

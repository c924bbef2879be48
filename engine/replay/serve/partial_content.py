"""Cut a part from a recorded response for a request with a range other than the recorded one (RFC 9110, 14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.replay.serve.conditions import same_validator
from mockrec.engine.replay.serve.ranges import ContentRange, inside, parse_content_range, parse_range, resolve
from mockrec.engine.replay.serve.variants import Variant, ignores_ranges
from mockrec.engine.upstream.headers import with_length, without

_OF_THE_WHOLE: Final = ("content-range", "content-digest", "content-md5", "digest")
_OF_416: Final = ("accept-ranges", "cache-control", "date", "etag", "last-modified", "vary")


def partial_response(response: PreparedResponse, asked: Mapping[str, str], variant: Variant) -> PreparedResponse | None:
    """Return the response to a GET with these fields (names in lower case); None if the recorded one is served as is.

    A request for several ranges gets the whole representation, as RFC 9110, 14.2 permits.
    """
    recorded = {name.lower(): value for name, value in response.headers}
    ranges = parse_range(asked.get("range"))
    if response.status == 206:
        return _from_part(response, asked.get("range", ""), variant, recorded)
    if response.status != 200 or ranges is None or len(ranges) > 1 or ignores_ranges(variant):
        return None
    if recorded.get("accept-ranges", "").strip().lower() == "none":
        return None
    condition = asked.get("if-range")
    if condition and not same_validator(condition, recorded.get("etag", ""), recorded.get("last-modified", "")):
        return None
    total = len(response.body)
    found = resolve(ranges[0], total)
    if found is None:
        kept = [pair for pair in response.headers if pair[0].lower() in _OF_416]
        return _build(416, [*kept, ("Content-Range", f"bytes */{total}")], b"")
    return _cut(response, ContentRange(0, total - 1, total), found)


def _from_part(
    response: PreparedResponse, asked: str, variant: Variant, recorded: Mapping[str, str]
) -> PreparedResponse | None:
    part = parse_content_range(recorded.get("content-range"))
    ranges = parse_range(asked)
    if part is None or part.first is None or part.last is None or asked == variant.fields.get("range"):
        return None
    if len(response.body) != part.last - part.first + 1:
        return None
    if not asked and part.is_whole:
        return _build(200, without(response.headers, "content-range"), response.body)
    found = inside(ranges[0], part) if ranges is not None and len(ranges) == 1 else None
    return None if found is None else _cut(response, part, found)


def _cut(response: PreparedResponse, part: ContentRange, found: tuple[int, int]) -> PreparedResponse:
    first, last = found
    start = first - (part.first or 0)
    total = "*" if part.total is None else part.total
    fields = [*without(response.headers, *_OF_THE_WHOLE), ("Content-Range", f"bytes {first}-{last}/{total}")]
    return _build(206, fields, response.body[start : start + last - first + 1])


def _build(status: int, fields: Sequence[Sequence[str]], body: bytes) -> PreparedResponse:
    headers = tuple([(name, value) for name, value in with_length(fields, len(body))])
    return PreparedResponse(status, headers, body, relayed=True)

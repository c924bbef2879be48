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


def partly(answer: PreparedResponse, asked: Mapping[str, str], variant: Variant) -> PreparedResponse | None:
    """Return the response to a GET with these fields (names in lower case); None if the recorded one is served as is.

    A request for several ranges gets the whole representation, as RFC 9110, 14.2 permits.
    """
    told = {name.lower(): value for name, value in answer.headers}
    ranges = parse_range(asked.get("range"))
    if answer.status == 206:
        return _of_part(answer, asked.get("range", ""), variant, told)
    if answer.status != 200 or ranges is None or len(ranges) > 1 or ignores_ranges(variant):
        return None
    if told.get("accept-ranges", "").strip().lower() == "none":
        return None
    condition = asked.get("if-range")
    if condition and not same_validator(condition, told.get("etag", ""), told.get("last-modified", "")):
        return None
    total = len(answer.body)
    found = resolve(ranges[0], total)
    if found is None:
        kept = [pair for pair in answer.headers if pair[0].lower() in _OF_416]
        return _made(416, [*kept, ("Content-Range", f"bytes */{total}")], b"")
    return _cut(answer, ContentRange(0, total - 1, total), found)


def _of_part(
    answer: PreparedResponse, asked: str, variant: Variant, told: Mapping[str, str]
) -> PreparedResponse | None:
    part = parse_content_range(told.get("content-range"))
    ranges = parse_range(asked)
    if part is None or part.first is None or part.last is None or asked == variant.fields.get("range"):
        return None
    if len(answer.body) != part.last - part.first + 1:
        return None
    if not asked and part.is_whole:
        return _made(200, without(answer.headers, "content-range"), answer.body)
    found = inside(ranges[0], part) if ranges is not None and len(ranges) == 1 else None
    return None if found is None else _cut(answer, part, found)


def _cut(answer: PreparedResponse, part: ContentRange, found: tuple[int, int]) -> PreparedResponse:
    first, last = found
    start = first - (part.first or 0)
    total = "*" if part.total is None else part.total
    fields = [*without(answer.headers, *_OF_THE_WHOLE), ("Content-Range", f"bytes {first}-{last}/{total}")]
    return _made(206, fields, answer.body[start : start + last - first + 1])


def _made(status: int, fields: Sequence[Sequence[str]], body: bytes) -> PreparedResponse:
    headers = tuple([(name, value) for name, value in with_length(fields, len(body))])
    return PreparedResponse(status, headers, body, relayed=True)

"""Select between recordings of the same request by more than its method, path, query and body.

Recordings of one request are grouped into variants. Recordings of a variant have equal relevant values of `Range`,
conditions, `Accept`, `Accept-Language` and the fields that the response's `Vary` names. A variant is judged for a
request: it is either impossible (with the fields that differ), or possible with a rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from mockrec.engine.replay.serve.conditions import VALIDATORS, confirms, is_conditional, same_validator
from mockrec.engine.replay.serve.negotiation import first_language, language_quality, type_quality
from mockrec.engine.replay.serve.ranges import inside, is_other_unit, parse_content_range, parse_range
from mockrec.engine.replay.session.editable import MARK, raw_headers
from mockrec.engine.replay.session.fingerprint import MatchOptions, fits
from mockrec.engine.replay.session.volatile import VOLATILE_HEADERS
from mockrec.engine.rules.matching.request import RequestView
from mockrec.formats.schema.lenient import status_of

_NEGOTIATED: Final = ("accept", "accept-language")
_PRECONDITIONS: Final = ("if-match", "if-unmodified-since")
_AMBIENT: Final = frozenset({
    "accept-charset", "accept-encoding", "authorization", "cookie", "dnt", "host", "origin", "priority", "referer",
    "save-data", "user-agent", "x-requested-with",
})  # fmt: skip
"""Fields that identify the client rather than the content: a request with another value matches, although `Vary` names
them. If the session has responses for several values, the one with the equal value is preferred."""
_AMBIENT_PREFIXES: Final = ("access-control-", "sec-", "x-forwarded-")
_STATE: Final = frozenset({"range", "if-range", *VALIDATORS, *_PRECONDITIONS})
"""Fields that are compared by special rules, and preconditions on the state that the client has seen."""
_SAFE: Final = ("GET", "HEAD")
_DECIDING_IN_ANSWERS: Final = frozenset(
    {"vary", "content-type", "content-language", "etag", "last-modified", "content-range"}
)
_LONGEST_FIELD: Final = 8192
_MOST_VARY: Final = 50
_IGNORED_RANGE: Final = "bytes"

VariantDifference = tuple[str, Any, Any]
"""A place, its recorded value and the value of the request; `...` stands for no value."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The properties that are equal in recordings which are interchangeable for every client."""

    host: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    """The request's relevant fields; names in lower case."""
    vary: tuple[str, ...] = ()
    """Fields that the response's `Vary` names, without volatile ones unless matching is strict."""
    status: int | None = None
    """None: there was no response, or the request was an upgrade to WebSocket."""
    kind: str = ""
    """The `Content-Type` of a 2xx response."""
    language: str = ""
    etag: str = ""
    modified: str = ""
    """`etag` and `modified`: the `ETag` and `Last-Modified` of a 304 or 206."""
    content_range: str = ""
    left: bool = False
    """Whether the client disconnected before the end of the response; a complete response is preferred."""

    def to_list(self) -> list[Any]:
        """Return the form for JSON."""
        return [self.host, {**self.fields}, [*self.vary], self.status, self.kind, self.language, self.etag,
                self.modified, self.content_range, self.left]  # fmt: skip

    @classmethod
    def from_list(cls, stored: list[Any]) -> Variant:
        """Build a variant from `to_list`."""
        host, fields, vary, *others = stored
        return cls(host, fields, tuple(vary), *others)

    def digest(self) -> int:
        """Return a 64-bit digest; equal variants have equal digests within one process."""
        values = (self.host, *sorted(self.fields.items()), self.vary, self.status, self.kind, self.language, self.etag,
                self.modified, self.content_range, self.left)  # fmt: skip
        return hash(values) & 0xFFFF_FFFF_FFFF_FFFF

    @property
    def deciding(self) -> tuple[str, ...]:
        """The fields of `vary` whose values must be equal to those of the request."""
        return _deciding(self.vary)


@lru_cache(maxsize=256)
def _deciding(vary: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([name for name in vary if not _only_chooses(name)])


def decided(names: tuple[str, ...], fields: Mapping[str, str]) -> int:
    """Return a digest of a request's values in these fields; 0 if one holds a redaction mark (it matches any value)."""
    values = tuple([fields.get(name) for name in names])
    if any(value is not None and MARK.search(value) for value in values):
        return 0
    return hash((names, values)) & 0xFFFF_FFFF_FFFF_FFFF or 1


def range_digest(asked: str) -> int:
    """Return a 64-bit digest of a `Range`, valid within one process; 0 for no range."""
    return hash(asked) & 0xFFFF_FFFF_FFFF_FFFF or 1 if asked else 0


def _only_chooses(name: str) -> bool:
    """Return whether a field of `Vary` only ranks variants: a different value does not make the request a miss."""
    return name in _NEGOTIATED or name in _AMBIENT or name in _STATE or name.startswith(_AMBIENT_PREFIXES)


@dataclass(slots=True)
class VariantVerdict:
    """Whether a variant can answer a request, and how well."""

    reasons: list[VariantDifference] = field(default_factory=list)
    """The differences because of which it cannot answer; empty if it can."""
    rank: tuple[float, ...] = ()
    """Higher is better."""
    unlike: frozenset[str] = frozenset()
    """Fields with a value other than the recorded one; they matter if the session has variants for several values."""
    refused: str = ""
    """The request field (`accept`) that excludes this response; empty if none does."""


def request_fields(request: RequestView, match: MatchOptions) -> dict[str, str]:
    """Return the fields of a request that may select a variant; names in lower case.

    Left out are ignored fields, and those that are part of the match key.
    """
    ignored = {one.value for one in match.ignore if one.kind == "header" and one.is_about("request")}
    ignored |= {word.removeprefix("headers:").lower() for word in match.by if word.startswith("headers:")}
    fields: dict[str, str] = {}
    for name, value in request.headers.items():
        if name not in ignored:
            text = value if isinstance(value, str) else ", ".join(value)
            fields[name] = text[:_LONGEST_FIELD].strip()
    return fields


def variant_of(
    host: str,
    method: str,
    fields: Mapping[str, str],
    answer: Mapping[str, Any] | None,
    *,
    left: bool = False,
    strict: bool = False,
) -> Variant:
    """Return the variant of a recording.

    `fields` are those of its request. `answer` is its `response` record, or the incomplete response in its `abort`.
    `left`: the client disconnected before the end. `strict`: volatile fields of `Vary` count as well.
    """
    status = None if answer is None else status_of(answer)
    if answer is None or status is None:
        return Variant(host)
    headers: dict[str, str] = {}
    for name, value in raw_headers(answer):
        lower = name.lower()
        if lower in _DECIDING_IN_ANSWERS:
            headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    vary = _vary(headers["vary"][:_LONGEST_FIELD], strict) if "vary" in headers else ()
    kept = {name: fields[name] for name in (*_NEGOTIATED, *vary) if fields.get(name)}
    if method in _SAFE:
        kept |= _asked_of_state(method, fields, status)
    else:
        kept |= {name: fields[name] for name in _PRECONDITIONS if fields.get(name)}
    ok = 200 <= status < 300
    has_state = status in (206, 304)
    return Variant(
        host,
        kept,
        vary,
        status,
        headers.get("content-type", "").lower() if ok else "",
        headers.get("content-language", "") if ok else "",
        headers.get("etag", "") if has_state else "",
        headers.get("last-modified", "") if has_state else "",
        headers.get("content-range", "") if status in (206, 416) else "",
        left,
    )


@lru_cache(maxsize=256)
def _vary(value: str, strict: bool) -> tuple[str, ...]:
    """Parse a `Vary`; volatile fields are left out unless `strict`."""
    names = sorted({name.strip().lower() for name in value.split(",")} - {"", "*"})
    return tuple([name for name in names if strict or name not in VOLATILE_HEADERS])[:_MOST_VARY]


def _asked_of_state(method: str, fields: Mapping[str, str], status: int) -> dict[str, str]:
    """Return the range and the condition of a request, as far as they affected its response."""
    kept: dict[str, str] = {}
    asked = fields.get("range", "")
    if asked and method == "GET":
        if status in (206, 416) or is_other_unit(asked):
            kept["range"] = asked
            if fields.get("if-range"):
                kept["if-range"] = fields["if-range"]
        elif status == 200 and not fields.get("if-range"):
            kept["range"] = _IGNORED_RANGE  # any range: this server ignores them
    for name in VALIDATORS:
        if fields.get(name):
            # A condition that did not lead to a 304 is reduced to its presence, which ranks responses to one client.
            kept[name] = fields[name] if status == 304 else "*"
    return kept


def ignores_ranges(variant: Variant) -> bool:
    """Return whether the server answered a request for a range with the whole representation."""
    return variant.status == 200 and variant.fields.get("range") == _IGNORED_RANGE


# ── judging ────────────────────────────────────────────────────────────────────────────────────────


def judge(variant: Variant, method: str, asked: Mapping[str, str], host: str | None) -> VariantVerdict:
    """Judge a variant for a request with the fields `asked`. `host`: only recordings for this host match."""
    verdict = VariantVerdict()
    if host is not None and variant.host != host:
        verdict.reasons.append(("host", variant.host, host))
    if variant.status is None:
        verdict.rank = (1.0, 1.0, 1.0, 1.0, 0.0, 1.0)
        return verdict
    ranged = _judge_range(variant, asked, verdict) if method == "GET" else 1.0
    condition = _judge_condition(variant, asked, verdict) if method in _SAFE else 1.0
    accept = _judge_accept(variant, asked, verdict)
    language = _judge_language(variant, asked, verdict)
    others = _judge_others(variant, method, asked, verdict)
    verdict.rank = (ranged, condition, accept, language, others, float(not variant.left))
    return verdict


def _judge_range(variant: Variant, asked: Mapping[str, str], verdict: VariantVerdict) -> float:
    wanted, recorded = asked.get("range", ""), variant.fields.get("range", "")
    if _plain(wanted) == _plain(recorded):
        condition = asked.get("if-range", "")
        known = condition in ("", variant.fields.get("if-range"))
        if variant.status == 206 and not known and not same_validator(condition, variant.etag, variant.modified):
            verdict.reasons.append(("header:if-range", variant.fields.get("if-range") or variant.etag, condition))
        return 2.0
    part = parse_content_range(variant.content_range)
    ranges = parse_range(wanted)
    if variant.status == 206:
        if not wanted and part is not None and part.is_whole:
            return 0.5
        condition = asked.get("if-range", "")
        valid = not condition or same_validator(condition, variant.etag, variant.modified)
        if valid and ranges is not None and len(ranges) == 1 and part is not None and inside(ranges[0], part):
            return 0.5
    elif variant.status != 416 and not is_other_unit(recorded):
        # The whole representation: a byte range is cut from it, and other units are ignored (RFC 9110, 14.2).
        return 1.0
    verdict.reasons.append(("header:range", recorded or ..., wanted or ...))
    return 0.0


def _judge_condition(variant: Variant, asked: Mapping[str, str], verdict: VariantVerdict) -> float:
    was, now = is_conditional(variant.fields), is_conditional(asked)
    if variant.status == 304:
        if confirms(asked, variant.fields, variant.etag, variant.modified):
            return 1.0
        name = next((name for name in VALIDATORS if asked.get(name)), "if-none-match")
        recorded = variant.fields.get(name) or variant.etag or variant.modified or ...
        verdict.reasons.append((f"header:{name}", recorded, asked.get(name) or ...))
        return 0.0
    return 1.0 if was or not now or variant.status != 200 else 0.0


def _judge_accept(variant: Variant, asked: Mapping[str, str], verdict: VariantVerdict) -> float:
    now, then = asked.get("accept", ""), variant.fields.get("accept", "")
    if _plain(now) == _plain(then):
        return 2.0
    verdict.unlike |= {"accept"}
    if not now or not variant.kind:
        return 1.0
    quality = type_quality(now, variant.kind)
    if quality <= 0:
        if "accept" in variant.vary:
            verdict.reasons.append(("header:accept", then or ..., now))
        else:
            verdict.refused = "accept"
    return quality


def _judge_language(variant: Variant, asked: Mapping[str, str], verdict: VariantVerdict) -> float:
    now, then = asked.get("accept-language", ""), variant.fields.get("accept-language", "")
    if _plain(now) == _plain(then):
        return 2.0
    verdict.unlike |= {"accept-language"}
    if not now:
        return 0.5
    if variant.language:
        quality = language_quality(now, variant.language)
    else:
        quality = 0.5 if first_language(now) == first_language(then) else 0.0
    if quality <= 0 and "accept-language" in variant.vary:
        verdict.reasons.append(("header:accept-language", then or variant.language or ..., now))
    return quality


def _judge_others(variant: Variant, method: str, asked: Mapping[str, str], verdict: VariantVerdict) -> float:
    """Return how many of the other fields are equal, less one for each ambient field that only one side has."""
    names = [name for name in variant.vary if name not in _NEGOTIATED]
    if method not in _SAFE:
        names += [name for name in _PRECONDITIONS if name not in names]
    equal = 0
    for name in names:
        now, then = asked.get(name), variant.fields.get(name)
        if now == then or (then is not None and MARK.search(then) and fits(then, now or ...)):
            equal += 1
        elif _only_chooses(name):
            verdict.unlike |= {name}
            equal -= bool(now) != bool(then)  # signed in and not signed in differ most
        else:
            verdict.reasons.append(
                (f"header:{name}", then if then is not None else ..., now if now is not None else ...)
            )
    return float(equal)


def _plain(value: str) -> str:
    return value.replace(" ", "").lower() if value else ""


__all__ = [
    "Variant",
    "VariantDifference",
    "VariantVerdict",
    "decided",
    "ignores_ranges",
    "judge",
    "range_digest",
    "request_fields",
    "variant_of",
]

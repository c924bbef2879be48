"""Path templates: `/users/1042/orders/7f3a…` and `/users/7/orders/99c1…` are the same endpoint, with `{id}` for ids."""

from __future__ import annotations

import re
from functools import lru_cache

from mockrec.formats.text.urls import split_url

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T_ ].*)?")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"(?=.*\d)[0-9a-f]{8,}", re.IGNORECASE)
_TOKEN = re.compile(r"(?=(?:.*\d){3})(?=.*[A-Za-z])[A-Za-z0-9]{16,}")
"""ULIDs, object ids, nano ids: long, without a word boundary, with digits in between."""
_WITH_PREFIX = re.compile(r"([A-Za-z]{1,20}[-_])([A-Za-z0-9]+)")
_WITH_ENDING = re.compile(r"(.+?)((?:\.[A-Za-z][A-Za-z0-9]{0,5})+)")
_STANDARD = re.compile(
    r"(?:sha\d?|aes|rsa|dsa|ecdsa|ed|hmac|[hrep]s|md|blake\d?[bs]?|keccak|chacha|salsa|crc|camellia|aria|secp|curve|x"
    r"|utf|ucs|iso|iec|ieee|ietf|rfc|bcp|ansi|din|ecma|cp|ibm|windows|win|oauth|mpeg|mp)[-_]\d{1,5}"
    r"(?:[-_.][A-Za-z0-9]{1,5}){0,3}|(?:error|status|https?)[-_]\d{3}",
    re.IGNORECASE,
)
"""The name of a standard, algorithm or status with its number, which is no id."""
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_ALGORITHMS = frozenset({"sha", "rsa", "aes", "md", "hmac", "tls", "ecdsa", "dsa", "gcm", "cbc", "ccm", "utf", "iso"})
_SPOKEN = re.compile(
    r"(?=[a-z]{0,3}[aeiouy])[b-df-hj-np-tv-xz]{0,3}(?:[aeiouy]{1,3}[b-df-hj-np-tv-xz]{1,3})*[aeiouy]{0,3}",
    re.IGNORECASE,
)
_SHORTEST_WORD = 3
_MOST_NUMBERS = 3
_LONGEST_NUMBER = 4
_LONGEST = 300
"""Characters of a segment; a longer one is an id."""


def endpoint_of(url: str) -> str | None:
    """The template of the path that a request asks for; None for a text that is no URL.

    The column `endpoint` of the exchanges table is made here. The operation of a call is a column of its own.
    """
    parts = split_url(url)
    return None if parts is None else template(parts[4] or "/")


def template(path: str) -> str:
    """The path with `{id}` and `{date}` in place of segments that differ from request to request."""
    return "/".join([_segment(segment) for segment in path.split("/")])


def former_template(path: str) -> str:
    """The template of earlier versions (a word with digits was an id), which baselines of users may contain."""
    return "/".join([_segment(segment, words=False) for segment in path.split("/")])


@lru_cache(maxsize=16_384)
def _segment(segment: str, *, words: bool = True) -> str:
    if segment.isdecimal() and segment.isascii():  # most ids, without what follows
        return "{id}"
    if words and _is_word(segment):
        return segment
    if len(segment) > _LONGEST or "%40" in segment or "@" in segment[1:]:
        return "{id}"
    if _DATE.fullmatch(segment):
        return "{date}"
    if _is_id(segment) or _NUMBER.fullmatch(segment):
        return "{id}"
    prefixed = _WITH_PREFIX.fullmatch(segment)
    if prefixed and (_is_id(prefixed[2]) or (prefixed[2].isdigit() and len(prefixed[2]) > 2)):
        return f"{prefixed[1]}{{id}}"
    ended = _WITH_ENDING.fullmatch(segment)
    if ended and (short := _segment(ended[1], words=words)) != ended[1]:
        return short + ended[2]
    if "." in segment and any(_is_id(part) for part in segment.split(".")):
        return ".".join("{id}" if _is_id(part) else part for part in segment.split("."))
    return segment


def _is_word(segment: str) -> bool:
    """Whether a segment with digits is a name: `SHA-256`, `sha256WithRSA2048`, `iphone14promax2023`."""
    if len(segment) > _LONGEST:
        return False
    if _STANDARD.fullmatch(segment):
        return True
    if not segment.isalnum() or _HEX.fullmatch(segment):
        return False
    pieces = _PIECES.findall(segment)
    numbers = [piece for piece in pieces if piece.isdigit()]
    return (
        0 < len(numbers) <= (_MOST_NUMBERS if any(piece.lower() in _ALGORITHMS for piece in pieces) else 1)
        and all(len(number) <= _LONGEST_NUMBER for number in numbers)
        and len(pieces) > len(numbers)
        and all(piece.isdigit() or _is_spoken(piece) for piece in pieces)
    )


def _is_spoken(piece: str) -> bool:
    """Whether letters look like a word (vowels between consonants) or are the name of an algorithm."""
    return piece.lower() in _ALGORITHMS or (len(piece) >= _SHORTEST_WORD and _SPOKEN.fullmatch(piece) is not None)


def _is_id(text: str) -> bool:
    return any(pattern.fullmatch(text) is not None for pattern in (_UUID, _HEX, _TOKEN))

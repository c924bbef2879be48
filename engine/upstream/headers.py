"""Fields on their way through this proxy: those of one connection are removed, the others pass unchanged.

RFC 9110, 7.6.1: `Connection` and what it names; RFC 9112, 6: the framing of the body. A field that is right on the
other connection too stays where it stands, so that most messages arrive as they were sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from mockrec.engine.wire.parts import RawHeaders
from mockrec.engine.wire.syntax import CONTROLS, FRAMING_NAMES, TOKEN

_HOP_BY_HOP = frozenset({"connection", "http2-settings", "keep-alive", "proxy-connection", "upgrade"})
_OF_A_CONNECTION = _HOP_BY_HOP | {"te"}
_NEVER_NAMED = frozenset({"host", "content-length", "transfer-encoding", "content-encoding", "content-type", "te"})
"""Fields that are not removed although a `Connection` header names them."""
_NO_TRAILERS = _OF_A_CONNECTION | {*FRAMING_NAMES, "host", "trailer", "expect", "content-encoding", "content-type"}


def end_to_end(raw_headers: RawHeaders) -> list[list[str]]:
    """The end-to-end fields (RFC 9110, 7.6.1). `Connection: keep-alive` stays: it holds for the next connection too."""
    tokens = {
        token.strip().lower()
        for name, value in raw_headers
        if name.lower() == "connection"
        for token in value.split(",")
    } - {""}
    if not tokens and not any(name.lower() in _OF_A_CONNECTION for name, _ in raw_headers):
        return [list(pair) for pair in raw_headers]
    dropped = (_HOP_BY_HOP | tokens) - _NEVER_NAMED
    if tokens == {"keep-alive"}:
        dropped -= {"connection"}
    kept = [list(pair) for pair in raw_headers if pair[0].lower() not in dropped and not _asks_for_codings(pair)]
    if "te" in tokens and any(name.lower() == "te" for name, _ in kept):
        kept.append(["Connection", "TE"])  # RFC 9110, 10.1.4: trailers are forwarded, so it stays valid
    return kept


def with_upgrade(raw_headers: RawHeaders) -> list[list[str]]:
    """The fields of a WebSocket's opening handshake, or of its 101: as `end_to_end`, but `Upgrade` stays, and
    `Connection` with what it says about the upgrade."""
    named = {
        token.strip(" \t").lower()
        for name, value in raw_headers
        if name.lower() == "connection"
        for token in value.split(",")
    } - {"", "keep-alive", "upgrade"}
    dropped = ((_HOP_BY_HOP | named) - _NEVER_NAMED) - {"connection", "upgrade"}
    fields: list[list[str]] = []
    for name, value in raw_headers:
        lower = name.lower()
        if lower == "connection" and named:
            if "upgrade" in value.lower():
                fields.append([name, "Upgrade"])
        elif lower not in dropped and not _asks_for_codings((name, value)):
            fields.append([name, value])
    return fields


def _asks_for_codings(pair: Sequence[str]) -> bool:
    """Whether it is a `TE` with more than `trailers`: the only transfer coding here is chunked (RFC 9110, 10.1.4)."""
    return pair[0].lower() == "te" and pair[1].strip(" \t").lower() != "trailers"


def end_to_end_trailers(trailers: RawHeaders) -> RawHeaders:
    """The trailers that are passed on. A field that frames or routes a message must not be a trailer (RFC 9110, 6.5.1):
    a recipient that merged it into the head would see another message than this proxy did."""
    if any(name.lower() in _NO_TRAILERS for name, _ in trailers):
        trailers = [pair for pair in trailers if pair[0].lower() not in _NO_TRAILERS]
    return sendable(trailers)


def sendable(fields: RawHeaders) -> RawHeaders:
    """Fields of trailers and of interim responses as every client accepts them: without those whose names are not
    tokens, as any recipient may do with a trailer (RFC 9110, 6.5.1), and with spaces for control characters."""
    if all(TOKEN.fullmatch(name) and not CONTROLS.search(value) for name, value in fields):
        return fields
    return [[name, CONTROLS.sub(" ", value).strip(" ")] for name, value in fields if TOKEN.fullmatch(name)]


def with_length(raw_headers: RawHeaders, length: int) -> list[list[str]]:
    """The fields with this Content-Length, in the place of the framing fields, as the only framing."""
    framed: list[list[str]] = []
    placed = False
    for name, value in raw_headers:
        lower = name.lower()
        if lower not in FRAMING_NAMES:
            framed.append([name, value])
        elif not placed:
            placed = True
            framed.append([name if lower == "content-length" else "Content-Length", str(length)])
    if not placed:
        framed.append(["Content-Length", str(length)])
    return framed


def with_chunks(raw_headers: RawHeaders) -> list[list[str]]:
    """The fields with `Transfer-Encoding: chunked` as the only framing, in its old place if it had one."""
    named = [name for name, _ in raw_headers if name.lower() == "transfer-encoding"]
    if len(named) == 1 and [value.lower() for name, value in raw_headers if name == named[0]] == ["chunked"]:
        # In lower case: not every recipient compares the name without its case.
        return [
            [name, "chunked" if name == named[0] else value] for name, value in without(raw_headers, "content-length")
        ]
    return [*without(raw_headers, *FRAMING_NAMES), ["Transfer-Encoding", "chunked"]]


def without(raw_headers: RawHeaders, *names: str) -> list[list[str]]:
    """The fields without those that have one of these lower-case names."""
    return [list(pair) for pair in raw_headers if pair[0].lower() not in names]


def with_host(raw_headers: RawHeaders, authority: str, *, replace: bool) -> list[list[str]]:
    """The fields with exactly one `Host: authority`; an existing `Host` is kept unless `replace`."""
    found = any(name.lower() == "host" for name, _ in raw_headers)
    if not found:
        return [["Host", authority], *(list(pair) for pair in raw_headers)]
    if not replace:
        return [list(pair) for pair in raw_headers]
    return [[name, authority] if name.lower() == "host" else [name, value] for name, value in raw_headers]

"""The opening handshake of a WebSocket (RFC 6455, 4; RFC 8441 over HTTP/2): checks, and negotiation of extensions.

Pure functions on heads and on field values. The only extension is permessage-deflate (RFC 7692). Offers are read
strictly, and an invalid offer is declined; an invalid response of a server is an error, because the meaning of its
frames is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mockrec.engine.wire.parts import RequestHead
from mockrec.engine.wire.syntax import TOKEN_PATTERN
from mockrec.formats.text.late_regex import late_regex

BAD_METHOD = "ERR_WS_METHOD"
BAD_UPGRADE = "ERR_WS_UPGRADE"
BAD_KEY = "ERR_WS_KEY"
BAD_VERSION = "ERR_WS_VERSION"
"""The response is 426 with `Sec-WebSocket-Version: 13` (RFC 6455, 4.4); 400 for the other codes."""
BAD_EXTENSIONS = "ERR_WS_EXTENSIONS"

VERSION = "13"
DEFLATE = "permessage-deflate"

_KEY = late_regex(r"[+/0-9A-Za-z]{22}==")  # 16 bytes in base64

# RFC 6455, 9.1. A value may be quoted, but must be a token without its quotes.
_VALUE = rf'(?:{TOKEN_PATTERN}|"{TOKEN_PATTERN}")'
_PARAMETER = rf"[ \t]*;[ \t]*{TOKEN_PATTERN}(?:[ \t]*=[ \t]*{_VALUE})?"
_EXTENSION = late_regex(rf"[ \t]*(?P<text>(?P<name>{TOKEN_PATTERN})(?P<parameters>(?:{_PARAMETER})*))?[ \t]*(?:,|\Z)")
_ONE_PARAMETER = late_regex(rf";[ \t]*({TOKEN_PATTERN})(?:[ \t]*=[ \t]*({_VALUE}))?")

_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_SERVER_BITS, _CLIENT_BITS = "server_max_window_bits", "client_max_window_bits"
_BITS = late_regex(r"[89]|1[0-5]")
_MAX_BITS = 15


class Deflate(msgspec.Struct, frozen=True):
    """The parameters of permessage-deflate that both sides agreed on (RFC 7692, 7.1)."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = _MAX_BITS
    client_max_window_bits: int = _MAX_BITS


# ── the upgrade ────────────────────────────────────────────────────────────────────────────────────


def check_upgrade(head: RequestHead) -> str:
    """Return the code of why this request cannot become a WebSocket (RFC 6455, 4.2.1), or empty.

    Over HTTP/2 `head.upgrade` is the value of `:protocol`, and there is no key (RFC 8441, 5).
    """
    extended = head.version not in ("1.0", "1.1")
    headers = head.headers
    if head.method != ("CONNECT" if extended else "GET"):
        return BAD_METHOD
    if head.upgrade != "websocket":
        return BAD_UPGRADE
    if headers.get("sec-websocket-version") != VERSION:
        return BAD_VERSION
    if not extended and not _KEY.fullmatch(headers.get("sec-websocket-key", "")):
        return BAD_KEY
    if _extensions(headers.get("sec-websocket-extensions", "")) is None:
        return BAD_EXTENSIONS
    return ""


def accept_key(key: str) -> str:
    """Return the Sec-WebSocket-Accept for a client's key (RFC 6455, 4.2.2)."""
    from wsproto.utilities import generate_accept_token

    return generate_accept_token(key.encode("latin-1")).decode("ascii")


def offered_protocols(headers: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the subprotocols that a client offers, the preferred one first (RFC 6455, 4.1)."""
    names = (name.strip(" \t") for name in headers.get("sec-websocket-protocol", "").split(","))
    return tuple(name for name in names if name)


def accept_headers(key: str, protocol: str, extension: str) -> list[list[str]]:
    """Return the fields of a 101 (RFC 6455, 4.2.2), or without a key those of HTTP/2's 200 (RFC 8441, 5).

    An empty protocol or extension is left out.
    """
    fields = []
    if key:
        fields += [["Upgrade", "websocket"], ["Connection", "Upgrade"], ["Sec-WebSocket-Accept", accept_key(key)]]
    if protocol:
        fields.append(["Sec-WebSocket-Protocol", protocol])
    if extension:
        fields.append(["Sec-WebSocket-Extensions", extension])
    return fields


# ── permessage-deflate ─────────────────────────────────────────────────────────────────────────────


def negotiate(offer_header: str) -> tuple[Deflate, str] | None:
    """Return the first acceptable offer and the field value that accepts it (RFC 7692, 5.1); None if there is none."""
    for offer in _deflate_offers(offer_header):
        deflate = Deflate(
            server_no_context_takeover=_FLAGS[0] in offer,
            client_no_context_takeover=_FLAGS[1] in offer,
            server_max_window_bits=int(offer.get(_SERVER_BITS) or _MAX_BITS),
            client_max_window_bits=int(offer.get(_CLIENT_BITS) or _MAX_BITS),
        )
        # The response repeats the offer, except a `client_max_window_bits` without a value, which is only a hint.
        answer = [DEFLATE, *(flag for flag in _FLAGS if flag in offer)]
        answer += [f"{name}={offer[name]}" for name in (_SERVER_BITS, _CLIENT_BITS) if offer.get(name)]
        return deflate, "; ".join(answer)
    return None


def agreed(answer_header: str, offer_header: str) -> Deflate | None:
    """Return what a server agreed to (RFC 7692, 7.1), None for no extension. Raises ValueError if it must be refused.

    A server may leave out a limit of its own window that was offered: any window is read.
    """
    extensions = _extensions(answer_header)
    if extensions is None:
        raise ValueError(f"malformed extensions: {answer_header!r}")
    if not extensions:
        return None
    if len(extensions) > 1 or extensions[0].name != DEFLATE:
        raise ValueError(f"extensions that were not offered: {answer_header!r}")
    answer = _deflate_parameters(extensions[0].parameters)
    if answer is None or answer.get(_CLIENT_BITS) == "":
        raise ValueError(f"malformed parameters: {answer_header!r}")
    if not any(_fits(answer, offer) for offer in _deflate_offers(offer_header)):
        raise ValueError(f"{answer_header!r} is no answer to the offer {offer_header!r}")
    return Deflate(
        server_no_context_takeover=_FLAGS[0] in answer,
        client_no_context_takeover=_FLAGS[1] in answer,
        server_max_window_bits=int(answer.get(_SERVER_BITS, _MAX_BITS)),
        client_max_window_bits=int(answer.get(_CLIENT_BITS, _MAX_BITS)),
    )


def without_others(offer_header: str) -> str:
    """Return the offers of permessage-deflate as they were sent, without those of other extensions.

    Empty if there is none, or if the field is malformed (RFC 6455, 9.1).
    """
    return ", ".join(extension.text for extension in _extensions(offer_header) or () if extension.name == DEFLATE)


def _fits(answer: dict[str, str], offer: dict[str, str]) -> bool:
    """Whether a response fits an offer (RFC 7692, 7.1.2): no window is larger, and the client's was offered."""
    if _CLIENT_BITS in answer and _CLIENT_BITS not in offer:
        return False
    return int(answer.get(_SERVER_BITS, 0)) <= int(offer.get(_SERVER_BITS, _MAX_BITS))


def _deflate_offers(header: str) -> list[dict[str, str]]:
    """Return the parameters of each acceptable offer of permessage-deflate (RFC 7692, 7.1)."""
    offers = (_deflate_parameters(each.parameters) for each in _extensions(header) or () if each.name == DEFLATE)
    return [offer for offer in offers if offer is not None]


def _deflate_parameters(parameters: list[tuple[str, str]]) -> dict[str, str] | None:
    """Name → value, empty if it has none; None if a parameter is unknown, repeated or has an invalid value."""
    found: dict[str, str] = {}
    for name, value in parameters:
        if name in found:
            return None
        if name in _FLAGS:
            good = not value
        elif name == _CLIENT_BITS:
            good = not value or _BITS.fullmatch(value) is not None
        else:
            good = name == _SERVER_BITS and _BITS.fullmatch(value) is not None
        if not good:
            return None
        found[name] = value
    return found


class _Extension(msgspec.Struct):
    name: str
    parameters: list[tuple[str, str]]
    text: str
    """As it was sent."""


def _extensions(header: str) -> list[_Extension] | None:
    """Return the list of an extensions field (RFC 6455, 9.1), None if malformed. Empty elements are skipped."""
    found: list[_Extension] = []
    at = 0
    while at < len(header):
        matched = _EXTENSION.match(header, at)
        if matched is None:
            return None
        at = matched.end()
        if matched["name"]:
            parameters = [(name, value.strip('"')) for name, value in _ONE_PARAMETER.findall(matched["parameters"])]
            found.append(_Extension(matched["name"], parameters, matched["text"]))
    return found

"""Refusals of requests that cannot be served: the response says who refuses, with which code and why; the user gets a
warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mockrec.engine.wire.fault_phrases import fault_words
from mockrec.engine.wire.parts import Fault, ResponseHead, header_table

_CHALLENGE: Final = ("Proxy-Authenticate", 'Basic realm="mockrec", charset="UTF-8"')
REASONS: Final = {
    400: "Bad Request",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
_MOST_WARNINGS: Final = 20
"""Warnings about clients. There may be any number of causes; the log has all of them."""


def refusal_body(fault: Fault) -> bytes:
    """The content of the response to a refused request: plain text."""
    words = fault_words(fault)
    first = f"mockrec refused this request: {fault.status} {REASONS[fault.status]} ({fault.code})\n"
    return (f"{first}\n{words[0].upper()}{words[1:]}.\n" if words else first).encode()


def refusal_fields(fault: Fault) -> list[tuple[str, str]]:
    """The header fields of that response in every protocol version."""
    fields = [("Content-Type", "text/plain; charset=utf-8")]
    return [_CHALLENGE, *fields] if fault.status == 407 else fields


def http1_refusal(fault: Fault) -> tuple[ResponseHead, bytes, bytes]:
    """The HTTP/1 response to a refused request: its head, its content, and both encoded. It closes the connection."""
    body = refusal_body(fault)
    fields = [*refusal_fields(fault), ("Content-Length", str(len(body))), ("Connection", "close")]
    raw = [list(pair) for pair in fields]
    head = ResponseHead(fault.status, REASONS[fault.status], raw, header_table(raw))
    if fault.raw.startswith(b"HEAD "):
        body = b""
    lines = "".join(f"{name}: {value}\r\n" for name, value in raw)
    return head, body, f"HTTP/1.1 {head.status} {head.reason}\r\n{lines}\r\n".encode() + body


TLS_WARNING: Final = "tls: "
"""How a warning about a failed TLS handshake begins. Unlike others, it is repeated for each, to be counted."""
_TLS_CAUSES: Final = {
    "cert-rejected": "{who} does not trust the CA",
    "closed": "{who} closed the connection instead of sending a request, as clients do that do not trust the CA",
    "reset": "{who} reset the connection during the handshake, as clients do that do not trust the CA",
    "no-shared-cipher": "{who} and the recorder have no cipher in common",
    "handshake-timeout": "{who} did not finish the handshake in time",
}
_UNTRUSTED: Final = ("cert-rejected", "closed", "reset")


def tls_words(ip: str, cause: str, server_name: str | None) -> str:
    """The warning about a failed TLS handshake: which client, which name it asked for, and what to do."""
    words = _TLS_CAUSES.get(cause, "the handshake with {who} failed").format(who=f"a client at {ip}")
    name = f" (server name {server_name})" if server_name else ""
    remedy = "; see `mockrec ca install-hint`" if cause in _UNTRUSTED else ""
    return f"{TLS_WARNING}{words}{name}{remedy}"


class Refusals:
    """Warns the user of refused requests: once for each cause, and of a limited number of causes."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._seen: set[str] = set()
        self._seen_tls: set[str] = set()

    def warn_of_tls(self, ip: str, cause: str, server_name: str | None) -> None:
        """A TLS handshake with a client has failed. Names are the clients' choice, so their number is limited."""
        text = tls_words(ip, cause, server_name)
        if text not in self._seen_tls and len(self._seen_tls) >= _MOST_WARNINGS:
            text = f"{TLS_WARNING}more handshakes failed; the log has all of them (tls-client-error)"
        else:
            self._seen_tls.add(text)
        self._warn(text)

    def warn(self, fault: Fault, response: str) -> None:
        """A request was refused with `response`, for example `400`."""
        words = fault_words(fault)
        text = f"refused a request with {response} ({fault.code}){f': {words}' if words else ''}"
        if text in self._seen or len(self._seen) > _MOST_WARNINGS:
            return
        self._seen.add(text)
        if len(self._seen) > _MOST_WARNINGS:
            text = "more requests were refused; the log has all of them (client-error)"
        self._warn(text)

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


class Refusals:
    """Warns the user of refused requests: once for each cause, and of a limited number of causes."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._seen: set[str] = set()

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

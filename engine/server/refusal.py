"""How a request that cannot be served is refused: an answer that says who refuses it, with what and why, and a line for
the user."""

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
_MOST_LINES: Final = 20
"""What clients do may be said only so often; all of it is in the log."""


def refusal_body(fault: Fault) -> bytes:
    """The text of the answer to a request that is refused."""
    words = fault_words(fault)
    first = f"mockrec refused this request: {fault.status} {REASONS[fault.status]} ({fault.code})\n"
    return (f"{first}\n{words[0].upper()}{words[1:]}.\n" if words else first).encode()


def refusal_fields(fault: Fault) -> list[tuple[str, str]]:
    """The fields that go with it, whatever the protocol."""
    fields = [("Content-Type", "text/plain; charset=utf-8")]
    return [_CHALLENGE, *fields] if fault.status == 407 else fields


def http1_refusal(fault: Fault) -> tuple[ResponseHead, bytes, bytes]:
    """The answer of HTTP/1: its head, its body, and both as they are sent. The connection ends with it."""
    body = refusal_body(fault)
    fields = [*refusal_fields(fault), ("Content-Length", str(len(body))), ("Connection", "close")]
    raw = [list(pair) for pair in fields]
    head = ResponseHead(fault.status, REASONS[fault.status], raw, header_table(raw))
    if fault.raw.startswith(b"HEAD "):
        body = b""
    lines = "".join(f"{name}: {value}\r\n" for name, value in raw)
    return head, body, f"HTTP/1.1 {head.status} {head.reason}\r\n{lines}\r\n".encode() + body


class Refusals:
    """Tells the user of requests that were refused: each cause once, and not without end."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._told: set[str] = set()

    def tell(self, fault: Fault, answer: str) -> None:
        """A request was refused with `answer`, for example `400`."""
        words = fault_words(fault)
        text = f"refused a request with {answer} ({fault.code}){f': {words}' if words else ''}"
        if text in self._told or len(self._told) > _MOST_LINES:
            return
        self._told.add(text)
        if len(self._told) > _MOST_LINES:
            text = "more requests were refused; the log has all of them (client-error)"
        self._warn(text)

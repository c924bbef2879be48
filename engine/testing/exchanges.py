"""Exchanges as tests see them, and as a failing test shows them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

_MOST_SHOWN = 20
_MOST_BODY = 500
"""Characters of a body that a report shows."""


class Message:
    """What requests and responses have in common."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = dict(data)
        """Everything that the control API says of it."""

    @property
    def headers(self) -> dict[str, Any]:
        """Header fields by lower-case name; `set-cookie` is a list."""
        return dict(self.data.get("headers") or {})

    @property
    def raw_headers(self) -> list[tuple[str, str]]:
        """Header fields as they were sent."""
        return [(name, value) for name, value in self.data.get("rawHeaders") or ()]

    @property
    def content(self) -> bytes:
        """The body, without its content coding."""
        if "bodyBase64" in self.data:
            return base64.b64decode(self.data["bodyBase64"])
        return str(self.data.get("body", "")).encode()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body's JSON value. Raises ValueError."""
        return json.loads(self.content)


class Request(Message):
    """A request."""

    @property
    def method(self) -> str:
        return str(self.data.get("method", ""))

    @property
    def url(self) -> str:
        """The whole URL."""
        return str(self.data.get("url", ""))

    @property
    def path(self) -> str:
        """The path with its query."""
        return str(self.data.get("path", ""))


class Response(Message):
    """A response."""

    @property
    def status(self) -> int:
        return int(self.data.get("status") or 0)


class Exchange:
    """A request and its response."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = dict(data)
        """Everything that the control API says of it."""
        self.request = Request(data["request"])
        self.response = None if data["response"] is None else Response(data["response"])

    @property
    def id(self) -> str:
        """Its id in the log."""
        return str(self.data["id"])

    @property
    def scope(self) -> str | None:
        """The scope (the test) that it belongs to."""
        scope = self.data["scope"]
        return None if scope is None else str(scope)

    @property
    def rule(self) -> str | None:
        """The id of the rule that answered."""
        rule = self.data["rule"]
        return None if rule is None else str(rule)

    @property
    def duration(self) -> float:
        """Milliseconds from the start of the request to the end of the response."""
        return float(self.data["duration"] or 0.0)

    def __str__(self) -> str:
        status = "aborted" if self.data.get("aborted") else str(self.response.status if self.response else "no answer")
        by = "no rule matched" if self.rule is None else self.rule
        return f"{self.request.method} {self.request.url} → {status} ({by})"

    def __repr__(self) -> str:
        return f"<Exchange {self}>"


def report(exchanges: Iterable[Exchange]) -> str:
    """Return the exchanges of a failing test, secrets replaced, in a bounded number of lines."""
    listed = list(exchanges)
    lines: list[str] = []
    for number, exchange in enumerate(listed[:_MOST_SHOWN], 1):
        lines.append(f"{number}. {exchange}")
        lines += _body_lines("request", exchange.request)
        if exchange.response is not None:
            lines += _body_lines("response", exchange.response)
    if len(listed) > _MOST_SHOWN:
        lines.append(f"… and {len(listed) - _MOST_SHOWN} more")
    return "\n".join(lines)


def _body_lines(side: str, message: Message) -> list[str]:
    text = message.text
    if not text:
        return []
    more = f" … ({len(text)} characters)" if len(text) > _MOST_BODY else ""
    shown = "".join(char if char.isprintable() or char == " " else repr(char)[1:-1] for char in text[:_MOST_BODY])
    return [f"     {side}: {shown}{more}"]

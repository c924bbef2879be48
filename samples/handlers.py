"""The functions that python.yaml names. A rule file imports this file once, when mockrec starts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sys
from collections import Counter
from typing import Any

SECRET = b"secret"

notes: list[str] = []
statuses: Counter[int] = Counter()


def add_note(request: Any) -> dict[str, Any]:
    """An answer: the keys are those of the step `reply`."""
    try:
        notes.append(request.json["text"])
    except (ValueError, KeyError, TypeError):
        return {"status": 400, "json": {"error": "send a JSON object with a text"}}
    return {
        "status": 201,
        "headers": {"Location": f"/notes/{len(notes)}"},
        "json": {"id": len(notes), "text": notes[-1]},
    }


def list_notes(request: Any) -> dict[str, Any]:
    """`request.query` maps a name to the list of its values."""
    wanted = request.query.get("contains", [""])[0]
    return {"json": [text for text in notes if wanted in text]}


async def slow_notes(request: Any) -> dict[str, Any]:
    """An async function may wait without holding up other requests."""
    await asyncio.sleep(0.3)
    return list_notes(request)


def cut(request: Any) -> str:
    """`close` and `reset` end the connection without an answer."""
    return "close"


def broken(request: Any) -> dict[str, Any]:
    """What a function raises becomes a 500, and stands in the log with its traceback."""
    raise RuntimeError("this handler is broken on purpose")


def has_valid_signature(request: Any) -> bool:
    """A matcher: true or false. The body is complete when it is called."""
    expected = hmac.new(SECRET, request.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), request.headers.get("x-signature", "").encode())


def on_response(event: Any) -> None:
    """A callback: it gets the typed event, with attributes in snake_case."""
    statuses[event.status_code] += 1
    sys.stderr.write(f"{event.method} {event.url}: {dict(statuses)}\n")

"""Write sessions by hand, for tests of `replay --to`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def session_of(path: Path, *requests: dict[str, Any], apart: float = 0.0) -> Path:
    """Write a session of these requests, each with the response 200; they begin `apart` seconds after each other."""
    lines: list[dict[str, Any]] = []
    for number, given in enumerate(requests):
        identity = f"00000000-0000-7000-8000-{number:012d}"
        body = given.get("body", "")
        stamp = f"2026-01-01T00:00:{number * apart:09.6f}Z"
        base = {"id": identity, "connectionId": given.get("connection", "c"), "timestamp": stamp}
        head = {
            "method": given.get("method", "GET"),
            "url": f"http://{given.get('host', 'shop.test')}{given.get('path', '/')}",
            "path": given.get("path", "/"),
            "httpVersion": "1.1",
            "rawHeaders": [["Host", given.get("host", "shop.test")], *given.get("headers", [])],
        }
        logged = body if isinstance(body, dict) else {"size": len(body), "text": body}
        lines.append({"type": "request-initiated", **base, **head})
        lines.append({"type": "request", **base, **head, "body": logged})
        if given.get("left") is not None:
            lines.append({"type": "abort", **base, **head, **given["left"]})
        else:
            lines.append({"type": "response", **base, "statusCode": 200, "body": {"size": 0, "text": ""}})
    path.write_text("".join(json.dumps({"seq": n, **line}) + "\n" for n, line in enumerate(lines)), encoding="utf-8")
    return path

"""Writes the rule files the benchmarks run mockrec with, and the payload of the body benchmark.

Each rule is one line of JSON, which is YAML too: no YAML writer is needed here.
"""

from __future__ import annotations

import json
from pathlib import Path

PAYLOAD_BYTES = 100 * 1024
Rule = dict[str, object]


def _rule(name: str, method: str, path: str, body: str, content_type: str) -> Rule:
    # The content type is explicit so that mockrec and its peers send the same headers.
    reply = {"status": 200, "headers": {"content-type": content_type}, "body": body}
    return {"id": name, "when": {"method": method, "path": path}, "then": {"reply": reply}}


def payload() -> str:
    """Exactly 100 KiB of JSON as an API sends it, so that whatever looks into bodies has work to do."""
    item = {"name": "round table", "price": 12.5, "tags": ["wood", "oak"], "inStock": True}
    items: list[dict[str, object]] = []
    size = 0
    while size < PAYLOAD_BYTES - 200:
        items.append({"id": len(items), **item})
        size += len(json.dumps(items[-1])) + 2
    return json.dumps({"items": items}).ljust(PAYLOAD_BYTES)


def write_rules(folder: Path, *, count: int = 1, upload: bool = False, echo: bool = False, body: str = "Hello") -> Path:
    """`rules.yaml` with GET /hello as the last of `count` rules, and POST /upload or a WebSocket if it is asked for.
    `body` is that of the response to GET /hello.

    The rule that answers comes last: for a matcher that scans, that is the worst place.
    """
    rules = [_rule(f"other-{n}", "GET", f"/other/{n}", "Other", "text/plain") for n in range(count - 1)]
    rules.append(_rule("greet", "GET", "/hello", body, "text/plain"))
    if upload:
        rules.append(_rule("upload", "POST", "/upload", payload(), "application/json"))
    if echo:
        rules.append({"id": "echo", "when": {"path": "/echo"}, "then": {"echo": {}}})
    path = folder / "rules.yaml"
    lines = "".join(f"  - {json.dumps(rule)}\n" for rule in rules)
    path.write_text(f"version: 1\nrules:\n{lines}", encoding="utf-8")
    return path


def write_payload(folder: Path) -> Path:
    """The payload as a file, for the load generator and for peers."""
    path = folder / "payload.json"
    path.write_text(payload(), encoding="utf-8")
    return path

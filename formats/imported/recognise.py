"""Recognise the format of a file by its first bytes."""

from __future__ import annotations

import re

NET_LOG = (
    "this is a NetLog of Chrome (chrome://net-export): it holds events of the network stack, no exchanges with their "
    "bodies. Export a HAR instead: developer tools, Network, Export HAR (with sensitive data); or record with "
    "`mockrec run`"
)
RULES = "this is a rule file, no session: `mockrec run FILE` serves it, `mockrec check FILE` checks it"

_KEY = rb"""["']?(?:http_interactions|interactions|recorded_with)["']?[ \t]*:"""
_LEADING = re.compile(rb"(?:[ \t]*(?:#[^\n]*|%YAML[^\n]*|---[ \t]*(?:#[^\n]*)?)?\r?(?:\n|\Z))*")
"""Blank lines, comments, and the marker that begins a YAML document."""
_CASSETTE = re.compile(
    rb"(?:---[ \t]+)?(?:"
    + _KEY
    + rb"|-\s+(?:!\S+\s+)?[\"']?(?:request|response|recorded_at)[\"']?[ \t]*:"
    + rb"|version[ \t]*:[^\n]*\n(?:[ \t\r]*(?:#[^\n]*)?\n)*"
    + _KEY
    + rb")"
)
_JSON_CASSETTE = re.compile(
    rb"\s*(?:\{\s*\"(?:http_)?interactions\"\s*:\s*\["
    rb"|\{\s*\"(?:version|recorded_with|name|test_name)\"\s*:\s*(?:\"[^\"]*\"|[\d.]+|null)\s*,\s*"
    rb"\"(?:http_)?interactions\"\s*:\s*\["
    rb"|\[\s*\{\s*\"(?:request|response)\"\s*:\s*\{)"
)
_FLOWS = re.compile(rb"\d{1,12}:\d{1,3}:[a-z_]{2,40}[,;]")
_NET_LOG = re.compile(rb"\s*\{\s*\"constants\"\s*:\s*\{")
_RULES = re.compile(rb"version[ \t]*:[^\n]*\n(?:[ \t\r]*(?:#[^\n]*)?\n)*[a-z]+[ \t]*:")


def recognise(start: bytes) -> str:
    """Return `cassette` (YAML), `json-cassette`, `flows`, `netlog`, `rules`, or "" for any other file.

    `start` has no byte order mark; a few hundred bytes are enough unless comments come before the first key.
    """
    if _FLOWS.match(start):
        return "flows"
    if start.lstrip()[:1] in (b"{", b"["):
        if _JSON_CASSETTE.match(start):
            return "json-cassette"
        return "netlog" if _NET_LOG.match(start) else ""
    leading = _LEADING.match(start)
    rest = start[leading.end() if leading else 0 :]
    if _CASSETTE.match(rest):
        return "cassette"
    return "rules" if _RULES.match(rest) else ""

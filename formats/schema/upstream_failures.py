"""Why a server could not be asked, in words: of the tag `passthrough-error:CODE` that its exchange has."""

from __future__ import annotations

from typing import Any, Final

FAILED_TAG: Final = "passthrough-error:"
KINDS: Final = {
    "ENOTFOUND": "dns",
    "EAI_AGAIN": "dns",
    "EPROTO": "tls",
    "ECONNREFUSED": "connect",
    "EHOSTUNREACH": "connect",
    "ENETUNREACH": "connect",
    "EADDRNOTAVAIL": "connect",
    "ETIMEDOUT": "timeout",
    "ECONNRESET": "reset",
    "EPIPE": "reset",
    "ERR_PROXY_FAILED": "proxy",
}
"""Code of an upstream error → the part of the way to the server that failed."""
PLAIN: Final = {
    "ENOTFOUND": "no such host",
    "EAI_AGAIN": "no name server answers",
    "ECONNREFUSED": "refused",
    "ECONNRESET": "by the server",
    "ETIMEDOUT": "no answer in time",
}
"""Code of an upstream error → a short sentence, where the kind says the rest."""


def failure_code(tags: Any) -> str | None:
    """Return the code of the upstream error that tags name; None if they name none."""
    if not isinstance(tags, list | tuple | set | frozenset | dict):
        return None
    found = (tag for tag in tags if isinstance(tag, str) and tag.startswith(FAILED_TAG))
    return next((tag.removeprefix(FAILED_TAG) for tag in found), None)


def failure_kind(code: str | None) -> str:
    """Return the part of the way to the server that failed; empty without a code."""
    return "" if code is None else KINDS.get(code, "server")


def failure_words(code: str, sentence: str = "") -> str:
    """Return `dns: no such host` for `ENOTFOUND`; a code without words of its own has `sentence`, or stands itself."""
    return f"{failure_kind(code)}: {PLAIN.get(code) or sentence or code}"

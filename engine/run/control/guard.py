"""Who may use the control API: programs of this machine that know the token, and no page in a browser."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

_SCHEME: Final = "bearer "
_OF_A_PAGE: Final = frozenset({"cross-site", "same-site", "same-origin"})
"""Values of `Sec-Fetch-Site` that browsers send for the requests of pages."""


def refusal(headers: Mapping[str, Any], hostname: str, token: str) -> tuple[int, str] | None:
    """Return the status and the reason if a request is refused. `hostname` is that of its target URI.

    A page can send a request here, and even read the answer if its own name leads to this machine (DNS rebinding). Its
    requests have an `Origin`, or its own name as `Host`, and never the token.
    """
    if "origin" in headers:
        return 403, "requests of web pages are refused: this one has an Origin"
    if str(headers.get("sec-fetch-site", "")).lower() in _OF_A_PAGE:
        return 403, "requests of web pages are refused: this one has Sec-Fetch-Site"
    host = headers.get(":authority") or headers.get("host") or hostname
    if not (is_loopback_name(_name_of(str(host))) and is_loopback_name(hostname)):
        return 403, "the Host of a request must be localhost or a loopback address"
    given = str(headers.get("authorization", ""))
    if given[: len(_SCHEME)].lower() != _SCHEME:
        return 401, "the token is missing: Authorization: Bearer TOKEN, from the ready file or MOCKREC_CONTROL_TOKEN"
    if not hmac.compare_digest(given[len(_SCHEME) :].strip().encode("latin-1", "replace"), token.encode()):
        return 401, "the token is wrong; it is another one in every run"
    return None


def is_loopback_name(name: str) -> bool:
    """Whether a host name without port always means this machine."""
    name = name.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    """Return the name in `name:port`; the whole text if it is nothing of the kind."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and (":" not in name or name.endswith("]")) else host

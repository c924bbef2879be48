"""Volatile values, which differ in each run: OAuth codes and states, signatures and dates of signed URLs, idempotency
keys; also the notation of numbers and escapes.

Most names are ambiguous (`state` may be that of an order), so they count as volatile only together with certain other
names, or if the value looks random.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

VOLATILE: Final = "<volatile>"
"""The placeholder for a volatile value, on both sides of a comparison."""

VOLATILE_HEADERS: Final = frozenset({
    "amz-sdk-invocation-id", "amz-sdk-request", "date", "dpop", "idempotency-key", "traceparent", "tracestate",
    "x-amz-content-sha256", "x-amz-date", "x-amzn-trace-id", "x-b3-spanid", "x-b3-traceid", "x-correlation-id",
    "x-goog-api-client", "x-idempotency-key", "x-ms-client-request-id", "x-ms-date", "x-request-id",
})  # fmt: skip

_ALWAYS: Final = frozenset({
    "clientassertion", "clientmutationid", "clientrequesttoken", "clienttoken", "codechallenge", "codeverifier",
    "idempotencykey", "idempotencytoken", "xidempotencykey",
})  # fmt: skip
"""Names that are always volatile; in lower case, without `_` and `-`."""

_SIGNED: Final = (
    # Amazon, signature version 4, in URLs and in forms for uploads
    ({"xamzsignature"}, {"xamzsignature", "xamzdate", "xamzcredential", "xamzsecuritytoken", "xamzexpires", "policy"}),
    ({"xgoogsignature"}, {"xgoogsignature", "xgoogdate", "xgoogcredential", "xgoogexpires", "policy"}),
    ({"xosssignature"}, {"xosssignature", "xossdate", "xosscredential", "xosssecuritytoken", "xossexpires", "policy"}),
    ({"xtossignature"}, {"xtossignature", "xtosdate", "xtoscredential", "xtossecuritytoken", "xtosexpires", "policy"}),
    ({"qsignature"}, {"qsignature", "qsigntime", "qkeytime", "xcossecuritytoken"}),
    # Amazon version 2, Google version 2, CloudFront, Alibaba, Huawei
    ({"signature", "expires"},
     {"signature", "expires", "policy", "awsaccesskeyid", "ossaccesskeyid", "securitytoken", "xamzsecuritytoken"}),
    ({"signature", "policy"}, {"signature", "policy", "expires"}),
    ({"signature", "timestamp"}, {"signature", "timestamp", "signaturenonce", "securitytoken"}),
    # Azure shared access signatures
    ({"sig", "se"}, {"sig", "se", "st", "ske", "skt"}),
    ({"sig", "sv"}, {"sig", "st", "ske", "skt"}),
    ({"oauthsignature"}, {"oauthsignature", "oauthnonce", "oauthtimestamp"}),
)  # fmt: skip
"""Names that together mark a signed request, and the names whose values change with each signature."""

_OAUTH: Final = frozenset({"code", "state", "nonce", "assertion", "sessionstate"})
_OAUTH_SURE: Final = frozenset(
    {"granttype", "responsetype", "codeverifier", "codechallenge", "codechallengemethod", "redirecturi"}
)
"""Names that prove an OAuth request (RFC 6749, 4; RFC 7636, 4; OpenID Connect Core, 3.1)."""
_OAUTH_PATH: Final = re.compile(
    r"(?i)[/._-](?:callback|cb|oauth2?|oidc|openid|authorize|redirect|signin|sign-in|login|logged-in|auth|sso)(?![a-z])"
)
_REQUEST_IDS: Final = frozenset({"requestid"})
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_HINTS: Final = frozenset().union(_ALWAYS, _OAUTH, _REQUEST_IDS, *(needed for needed, _ in _SIGNED))
_RANDOM: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9._~+/=:%-]{10,}|[A-Za-z0-9._~+/=:%-]{24,}")
_UNRESERVED: Final = re.compile(r"%(?:2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])")
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_EXACT: Final = 2.0**53


def loosened(match_key: dict[str, Any]) -> dict[str, Any]:
    """Return a match key with `VOLATILE` in place of volatile values; the same object if it has none."""
    path = match_key.get("path")
    path = path if isinstance(path, str) else ""
    changes = match_key.get("method") not in _SAFE_METHODS
    found = dict(match_key)
    if "%" in path:
        plain = _UNRESERVED.sub(lambda escape: chr(int(escape[0][1:], 16)), path)
        found["path"] = found["path"] if plain == path else plain
    if found.get("query"):
        found["query"] = _loose_fields(found["query"], path, changes)
    body = found.get("body")
    if isinstance(body, dict) and body.get("text") is None:
        loose = _loose_body(body, path, changes)
        if not all(map(_is, loose.values(), body.values())):
            found["body"] = loose
    return match_key if all(map(_is, found.values(), match_key.values())) else found


def _loose_body(body: dict[str, Any], path: str, changes: bool) -> dict[str, Any]:
    if "json" in body:
        return {"json": _loose_json(body["json"], path, changes)}
    if "form" in body:
        return {"form": _loose_fields(body["form"], path, changes)}
    if "part" in body:
        values = {name: content for name, filename, content in body["part"] if name and not filename}
        names = _volatile_names(values, lambda name: values[name], path, changes)
        if not names:
            return body
        return {"part": [[name, file, VOLATILE if name in names else content] for name, file, content in body["part"]]}
    if "parts" in body:
        return {"parts": [_loose_part(part, path, changes) for part in body["parts"]]}
    return body


def _loose_part(part: dict[str, Any], path: str, changes: bool) -> dict[str, Any]:
    return {**part, "content": _loose_body(part["content"], path, changes)}


def _loose_fields(fields: Mapping[str, list[str]], path: str, changes: bool) -> Mapping[str, list[str]]:
    names = _volatile_names(fields, lambda name: fields[name][0], path, changes)
    if not names:
        return fields
    return {name: [VOLATILE] if name in names else values for name, values in fields.items()}


def _loose_json(value: Any, path: str, changes: bool) -> Any:
    """Replace volatile values in JSON; return the same object if it has none. The depth is limited by the match key."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and -_EXACT <= value <= _EXACT else value
    if isinstance(value, list):
        loose = [_loose_json(item, path, changes) for item in value]
        return value if all(map(_is, loose, value)) else loose
    if isinstance(value, dict):
        scalars = {name: item for name, item in value.items() if isinstance(item, (str, int, float))}
        names = _volatile_names(scalars, lambda name: str(scalars[name]), path, changes)
        members = {
            name: VOLATILE if name in names else _loose_json(item, path, changes) for name, item in value.items()
        }
        return value if all(map(_is, members.values(), value.values())) else members
    return value


def _is(one: Any, other: Any) -> bool:
    return one is other


def _volatile_names(
    names: Collection[str], value: Callable[[str], str], path: str, changes: bool
) -> frozenset[str] | set[str]:
    """Return the names whose values are volatile. `changes`: the method is not a safe one."""
    plain = {name: name.lower().replace("_", "").replace("-", "") for name in names}
    present = set(plain.values())
    if present.isdisjoint(_HINTS):
        return frozenset()
    volatile = present & _ALWAYS
    for needed, changing in _SIGNED:
        if needed <= present:
            volatile |= present & changing
    original = {plain_name: name for name, plain_name in plain.items()}
    if present & _OAUTH:
        volatile |= _oauth(present, lambda plain_name: value(original[plain_name]), path)
    if changes:
        volatile |= {one for one in present & _REQUEST_IDS if _UUID.fullmatch(value(original[one]))}
    return {name for name, plain_name in plain.items() if plain_name in volatile}


def _oauth(present: set[str], value: Callable[[str], str], path: str) -> set[str]:
    found = present & _OAUTH
    if present & _OAUTH_SURE:
        return found
    if {"code", "state"} <= present and (_OAUTH_PATH.search(path) or _RANDOM.fullmatch(value("code"))):
        return found
    if "clientid" in present or _OAUTH_PATH.search(path):
        return {one for one in found if _RANDOM.fullmatch(value(one))}
    return {"nonce"} if "nonce" in present and _RANDOM.fullmatch(value("nonce")) else set()

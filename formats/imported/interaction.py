"""Convert one interaction of a cassette to an exchange.

Supported are VCR.py 0.x to 9 (both serialisers, its httpx form before version 5, Pydantic AI's and other serialisers
with `parsed_body`), cassetter, Ruby's VCR 1 to 6, betamax, vcr for R, go-vcr 1 to 4 and php-vcr. The values come from
`yaml_values.py`, or from JSON.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from mockrec.formats.imported.session import ImportedExchange
from mockrec.formats.imported.yaml_values import UnreadValue, is_null, plain_value

_FORM = "application/x-www-form-urlencoded"
_PORTS = {"http": 80, "https": 443}
_BASE64_KEYS = ("base64_string", "base64")
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,12}(?:\.\d{1,12})?)(ns|us|µs|ms|s))?")
_UNITS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1000.0}
_STATUS = re.compile(r"\s*(\d{3})(?:\s+(.*\S))?\s*")
_VERSION = re.compile(r"(?:HTTP/|h)?([0-3](?:\.[0-9])?)", re.IGNORECASE)


def exchange_of(interaction: Any) -> ImportedExchange:
    """Return the exchange of an interaction, without its time. Raises `ValueError` if it cannot be converted."""
    request, response = _mapping(interaction, "request"), _mapping(interaction, "response")
    guessed: list[str] = []
    duration = _duration(response.get("duration"))
    status, reason = _status(response)
    headers = list(_headers(request.get("headers"), "request.headers"))
    request_body, response_body = _request_body(request, headers, guessed), _response_body(response)
    entry: dict[str, Any] = {
        "time": duration,
        "timings": {"wait": duration},
        "request": {
            "method": _method(request),
            "url": _url(request),
            "httpVersion": _version(request.get("proto"), response),
            "headers": headers,
        },
        "response": {
            "status": status,
            "statusText": reason,
            "headers": list(_headers(response.get("headers"), "response.headers")),
        },
    }
    for side, message in (("request", request), ("response", response)):
        if trailers := list(_headers(message.get("trailer"), f"{side}.trailer")):
            entry[side]["_trailers"] = trailers
    return ImportedExchange(entry, request_body, response_body, guessed=guessed)


def moment_of(interaction: Any, found: ImportedExchange) -> float | None:
    """Return the time in milliseconds: `recorded_at`, which few cassettes have, otherwise the response's Date field."""
    recorded_at = interaction.get("recorded_at")
    moment = None if is_null(recorded_at) else _date(str(recorded_at))
    if moment is None:
        headers = found.entry["response"]["headers"]
        moment = _date(next((one["value"] for one in headers if one["name"].lower() == "date"), ""))
    return moment


# ── heads ──────────────────────────────────────────────────────────────────────────────────────────


def _mapping(owner: Any, key: str) -> dict[str, Any]:
    value = owner.get(key) if isinstance(owner, dict) else None
    if isinstance(value, UnreadValue):
        raise ValueError(value.problem)
    if not isinstance(value, dict):
        raise ValueError(f"{key} is {'missing' if is_null(value) else 'no mapping'}")
    return value


def _text(value: Any, place: str) -> str:
    if isinstance(value, UnreadValue):
        raise ValueError(value.problem)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{place} is no text")
    return str(value)


def _optional(value: Any, place: str) -> str:
    return "" if is_null(value) else _text(value, place)


def _method(request: dict[str, Any]) -> str:
    # Ruby's symbols are written `:get`.
    method = _optional(request.get("method"), "request.method").removeprefix(":")
    if not method:
        raise ValueError("request.method is missing")
    return method.upper() if method.islower() else method


def _url(request: dict[str, Any]) -> str:
    for key in ("uri", "url"):
        if not is_null(request.get(key)):
            return _text(request[key], f"request.{key}")
    scheme, host = (_optional(request.get(key), f"request.{key}") for key in ("protocol", "host"))
    if not scheme or not host:
        raise ValueError("request.uri is missing")
    port, path = (_optional(request.get(key), f"request.{key}") for key in ("port", "path"))
    there = "" if port in ("", str(_PORTS.get(scheme))) else f":{port}"
    return f"{scheme}://{host}{there}{path or '/'}"


def _headers(headers: Any, place: str) -> Iterator[dict[str, str]]:
    """Yield header fields from a mapping of names to values or lists of values, a list of pairs, or a list of lines."""
    if isinstance(headers, UnreadValue):
        raise ValueError(headers.problem)
    if isinstance(headers, dict):
        for name, values in headers.items():
            for value in values if isinstance(values, list) else [values]:
                if isinstance(value, list):  # Ruby's VCR sometimes nests lists
                    yield from ({"name": name, "value": _text(one, f"{place}.{name}")} for one in value)
                elif not is_null(value):
                    yield {"name": name, "value": _text(value, f"{place}.{name}")}
        return
    if is_null(headers):
        return
    if not isinstance(headers, list):
        raise ValueError(f"{place} is no mapping")
    items = headers[0] if len(headers) == 1 and isinstance(headers[0], list) and _is_pairs(headers[0]) else headers
    for item in items:
        if _is_pairs([item]):
            yield {"name": _text(item[0], place), "value": _text(item[1], place)}
            continue
        name, colon, value = _text(item, place).partition(":")
        if colon:
            yield {"name": name, "value": value.strip()}


def _is_pairs(items: list[Any]) -> bool:
    return bool(items) and all(
        isinstance(item, list) and len(item) == 2 and not any(isinstance(one, (list, dict)) for one in item)
        for item in items
    )


def _status(response: dict[str, Any]) -> tuple[int, str]:
    """Return status and reason from `status: {code, message}`, from `status: 200 OK` and `code`, from `status_code` and
    `reason`, or from a number."""
    status = response.get("status")
    if isinstance(status, dict):
        code = status.get("code")
        reason = _optional(status.get("message"), "response.status.message")
    else:
        code = next((response[key] for key in ("status_code", "code") if not is_null(response.get(key))), status)
        line = _STATUS.fullmatch(_optional(status, "response.status"))
        reason = (line[2] or "") if line else _optional(response.get("reason"), "response.reason")
    found = _STATUS.fullmatch(_optional(code, "response.status.code"))
    if found is None:
        raise ValueError(f"response.status is no status: {plain_value(code)!r:.60}")
    return int(found[1]), reason


def _version(proto: Any, response: dict[str, Any]) -> str:
    status = response.get("status")
    of_status = status.get("http_version") if isinstance(status, dict) else None
    for version in (response.get("http_version"), of_status, proto, response.get("protocol")):
        if isinstance(version, str) and _VERSION.fullmatch(version):
            return str(version)
    return "HTTP/1.1"


def _date(date: str) -> float | None:
    """Convert a date of RFC 1123 or ISO 8601 (UTC by default) to milliseconds since the epoch; None if invalid."""
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(date)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    try:
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000, 3)
    except (ValueError, OverflowError):
        return None


def _duration(duration: Any) -> float:
    """Convert a duration in Go's form to milliseconds."""
    found = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if found is None:
        return 0.0
    hours, minutes, seconds = found[1] or 0, found[2] or 0, found[3] or 0
    return int(hours) * 3_600_000 + int(minutes) * 60_000 + float(seconds) * _UNITS.get(found[4], 0.0)


# ── bodies ─────────────────────────────────────────────────────────────────────────────────────────


def _request_body(request: dict[str, Any], headers: list[dict[str, str]], guessed: list[str]) -> bytes:
    body = request.get("body")
    if is_null(body) and "parsed_body" in request:
        return _json(request["parsed_body"])
    data = _bytes(body, "request.body")
    if data is None:
        # Data from which a client library makes the body, such as aiohttp's `json=` and `data=`.
        content_type = next((one["value"] for one in headers if one["name"].lower() == "content-type"), "")
        if isinstance(body, dict) and content_type.lower().startswith(_FORM):
            return _form(body)
        if "json" not in content_type.lower():
            guessed.append("repaired: request bodies that are data and no text are written as JSON")
        return _json(body)
    form = request.get("form")
    return _form(form) if not data and isinstance(form, dict) else data


def _response_body(response: dict[str, Any]) -> bytes:
    for key in ("body", "content"):
        if not is_null(response.get(key)):
            body = response[key]
            if isinstance(body, dict) and "parsed_body" in body:
                return _json(body["parsed_body"])
            data = _bytes(body, f"response.{key}")
            if data is None:
                raise ValueError(f"response.{key} has neither string nor base64_string")
            return data
    return _json(response["parsed_body"]) if "parsed_body" in response else b""


def _bytes(body: Any, place: str) -> bytes | None:
    """Return the bytes of a body's value; None for structured data."""
    if isinstance(body, UnreadValue):
        raise ValueError(body.problem)
    if is_null(body):
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    if isinstance(body, dict):
        return _bytes_of_mapping(body, place)
    if isinstance(body, list) and all(isinstance(one, (str, bytes)) for one in body):
        return b"".join(one if isinstance(one, bytes) else one.encode("utf-8", "surrogatepass") for one in body)
    return None


def _bytes_of_mapping(body: dict[str, Any], place: str) -> bytes | None:
    for key in _BASE64_KEYS:
        if not is_null(body.get(key)):
            return _decoded("".join(_text(body[key], f"{place}.{key}").split()), f"{place}.{key}")
    if "string" in body:
        return _encoded(_bytes(body["string"], f"{place}.string"), body.get("encoding"), body["string"])
    # A pickled BytesIO: its content, its position, its attributes.
    if isinstance(body.get("state"), list) and body["state"]:
        return _bytes(body["state"][0], f"{place}.state")
    if isinstance(body.get("args"), list) and body["args"]:
        return _bytes(body["args"][0], f"{place}.args")
    return None if body else b""


def _encoded(data: bytes | None, encoding: Any, text: Any) -> bytes | None:
    """Encode a text in the encoding that Ruby's VCR names; ASCII-8BIT is Ruby's name for bytes."""
    if isinstance(encoding, str) and isinstance(text, str) and encoding.upper() not in ("ASCII-8BIT", "UTF-8"):
        try:
            return text.encode(encoding)
        except (LookupError, ValueError):
            return data
    return data


def _decoded(encoded: str, place: str) -> bytes:
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{place} is no base64") from None


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(plain_value(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"its body is no JSON: {error}") from None


def _form(fields: dict[str, Any]) -> bytes:
    pairs = [
        (name, _text(one, f"request.form.{name}"))
        for name, values in fields.items()
        for one in (values if isinstance(values, list) else [values])
    ]
    return urlencode(pairs).encode()

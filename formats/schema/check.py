"""Checks an object of the log against its class: missing keys and wrong JSON types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from mockrec.formats.schema.body import FILE_NAME, Body
from mockrec.formats.schema.codec import LogObject, element, specs
from mockrec.formats.schema.errors import SessionError

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
"""The log's form of a time."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BODY_TEXTS = ("text", "base64", "file", "sha256", "contentEncoding", "charset", "raw")
_BODY_FLAGS = ("truncated", "redacted", "undecodable", "incomplete")

_JSON_NAMES = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    list: "a list",
    dict: "an object",
}


def check_object(cls: type[LogObject], record: Mapping[str, Any], where: str = "") -> list[str]:
    """Every problem of an object, each as `path: problem`."""
    problems: list[str] = []
    for spec in specs(cls):
        place = where + spec.key
        if spec.key in record:
            problems += _check(spec.hint, record[spec.key], place)
        elif spec.required:
            problems.append(f"{place}: is missing")
    stamp = record.get("timestamp")
    if not where and isinstance(stamp, str) and not TIMESTAMP.fullmatch(stamp):
        problems.append(f"timestamp: {stamp!r} is not ISO 8601 in UTC with six fraction digits")
    return problems


def check_body(body: Any, where: str) -> list[str]:
    """Every problem of a body in the log's form."""
    if not isinstance(body, Mapping):
        return [_expected(dict, body, where)]
    size = body.get("size")
    if not _is_size(size):
        return [f"{where}.size: expected a size in bytes, found {size!r}"]
    problems = [
        _expected(str, body[key], f"{where}.{key}")
        for key in _BODY_TEXTS
        if key in body and not isinstance(body[key], str)
    ]
    if "encodedSize" in body and not _is_size(body["encodedSize"]):
        problems.append(f"{where}.encodedSize: expected a size in bytes, found {body['encodedSize']!r}")
    problems += [
        f"{where}.{key}: expected true or no such key, found {body[key]!r}"
        for key in _BODY_FLAGS
        if key in body and body[key] is not True
    ]
    kept = [key for key in ("text", "base64", "file") if key in body]
    if len(kept) != 1:
        found = " and ".join(kept) or "none"
        problems.append(f"{where}: expected one of text, base64 and file, found {found}")
    return problems or _check_content(body, kept[0], where)


def _check_content(body: Mapping[str, Any], kept: str, where: str) -> list[str]:
    """Check that the recorded bytes agree with `size`. Bytes in a file are checked where the file is read."""
    if "sha256" in body and not _SHA256.fullmatch(body["sha256"]):
        return [f"{where}.sha256: {body['sha256']!r} is no SHA-256 hash"]
    if kept == "file":
        if not FILE_NAME.fullmatch(body["file"]):
            return [f"{where}.file: {body['file']!r} is no name of a kept body"]
        return [] if "sha256" in body else [f"{where}.sha256: is missing beside file"]
    try:
        known = Body.from_record(body)
        data, _ = known.bytes, known.raw
    except SessionError as error:
        return [f"{where}: {error.message}"]
    if kept == "base64" and is_utf8(data):
        return [f"{where}.base64: these bytes are valid UTF-8, expected text"]
    if problem := size_problem(body, len(data)):
        return [f"{where}.size: {problem}"]
    return []


def size_problem(body: Mapping[str, Any], kept: int) -> str:
    """The problem of a `size` that differs from the `kept` bytes that were recorded; empty if there is none."""
    if kept == body["size"] or any(flag in body for flag in _BODY_FLAGS):
        return ""
    return f"says {body['size']}, but {kept} bytes are kept"


def _is_size(value: Any) -> bool:
    return type(value) is int and value >= 0


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are valid UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _check(hint: Any, value: Any, where: str) -> list[str]:
    marker = ""
    if get_origin(hint) is Annotated:
        hint, marker = get_args(hint)
    if marker == "headers":
        return _check_headers(value, where)
    if marker == "pairs":
        return _check_pairs(value, where)
    if isinstance(hint, type) and get_origin(hint) is None:
        if issubclass(hint, Body):
            return check_body(value, where)
        if issubclass(hint, LogObject):
            if not isinstance(value, Mapping):
                return [_expected(dict, value, where)]
            return check_object(hint, value, f"{where}.") if value else [f"{where}: is an empty object"]
        return [] if _is(hint, value) else [_expected(hint, value, where)]
    origin = get_origin(hint)
    if not isinstance(value, origin):
        return [_expected(origin, value, where)]
    if origin is list:
        return _check_list(hint, value, where)
    if not value and marker != "free":
        return [f"{where}: is an empty object"]
    wanted = get_args(hint)[1]
    if wanted is Any:
        return []
    return [_expected(wanted, item, f"{where}.{key}") for key, item in value.items() if not _is(wanted, item)]


def _check_list(hint: Any, value: list[Any], where: str) -> list[str]:
    shape = element(hint)
    wanted = shape or get_args(hint)[0]
    problems: list[str] = []
    for index, item in enumerate(value):
        problems += _check(wanted, item, f"{where}[{index}]")
    return problems


def _check_headers(value: Any, where: str) -> list[str]:
    if not isinstance(value, Mapping):
        return [_expected(dict, value, where)]
    if not value:
        return [f"{where}: is an empty object"]
    problems: list[str] = []
    for name, item in value.items():
        place = f"{where}.{name}"
        if name != name.lower():
            problems.append(f"{place}: the name is not in lower case")
        if name == "set-cookie":
            problems += _check(list[str], item, place)
        elif not isinstance(item, str):
            problems.append(_expected(str, item, place))
    return problems


def _check_pairs(value: Any, where: str) -> list[str]:
    if not isinstance(value, list):
        return [_expected(list, value, where)]
    return [
        f"{where}[{index}]: expected [name, value], found {pair!r}"
        for index, pair in enumerate(value)
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair))
    ]


def _is(wanted: type, value: Any) -> bool:
    if wanted is float:
        return type(value) in (int, float)
    return type(value) is wanted


def _expected(wanted: type, value: Any, where: str) -> str:
    if value is None:
        return f"{where}: is null"
    return f"{where}: expected {_JSON_NAMES[wanted]}, found {value!r}"[:200]

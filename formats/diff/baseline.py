"""Accepted differences, by fingerprint: an earlier JSON report, or a list that a person has written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mockrec.formats.files.small_file import REPORT_LIMIT, read_small
from mockrec.formats.schema.errors import FormatError


class BaselineError(FormatError):
    """A baseline that cannot be read."""


def read_baseline(path: str) -> frozenset[str]:
    """Return the fingerprints of a file: a report of `--as json`, or
    `{"accepted": [{"fingerprint": …, "reason": …}, …]}`. Raises `BaselineError`."""
    try:
        content = json.loads(read_small(path, REPORT_LIMIT))
    except OSError as error:
        raise BaselineError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict) or not any(key in content for key in ("accepted", "differences")):
        raise BaselineError(f"{path}: expected the JSON report of an earlier diff, or an object with `accepted`")
    return frozenset(_fingerprints(content, path))


def _fingerprints(content: dict[str, Any], path: str) -> Iterator[str]:
    for key in ("accepted", "differences", "onlyInA", "onlyInB"):
        entries = content.get(key, [])
        if not isinstance(entries, list):
            raise BaselineError(f"{path}: {key}: expected a list")
        for number, entry in enumerate(entries, 1):
            fingerprint = entry.get("fingerprint") if isinstance(entry, dict) else entry
            if not isinstance(fingerprint, str):
                raise BaselineError(f"{path}: {key}, entry {number}: expected a fingerprint")
            yield fingerprint
            endpoints = entry.get("endpoints", []) if isinstance(entry, dict) else []
            for endpoint in endpoints if isinstance(endpoints, list) else []:
                accepted = endpoint.get("fingerprint") if isinstance(endpoint, dict) else None
                if not isinstance(accepted, str):
                    raise BaselineError(
                        f"{path}: {key}, entry {number}: endpoints: expected objects with a fingerprint"
                    )
                yield accepted

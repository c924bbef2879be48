"""Fixtures of all tests: an authority of the test run instead of the user's own, and a validator of HAR files."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from hypothesis import settings
from referencing import Registry
from referencing.jsonschema import DRAFT6
from skips import pytest_sessionfinish, pytest_terminal_summary

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary"]

# How long one example takes is the machine's, not the program's.
settings.register_profile("mockrec", deadline=None)
settings.load_profile("mockrec")


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of processes of `-n auto`: two for each processor, because tests wait half of their time."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2 * processors, 16)


@pytest.fixture(scope="session", autouse=True)
def _authority_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make the programs that tests start create their authority in a folder of the test run."""
    before = os.environ.get("MOCKREC_CA_DIR")
    os.environ["MOCKREC_CA_DIR"] = str(tmp_path_factory.mktemp("authority") / "ca")
    yield
    if before is None:
        del os.environ["MOCKREC_CA_DIR"]
    else:
        os.environ["MOCKREC_CA_DIR"] = before


# ── valid HAR files ───────────────────────────────────────────────────────────────────────────


def _is_moment(value: Any) -> bool:
    return not isinstance(value, str) or datetime.datetime.fromisoformat(value).tzinfo is not None


def _is_absolute(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    return bool(
        re.fullmatch(r"[!-~]+", value) and "#" not in value and urlsplit(value).scheme and urlsplit(value).netloc
    )


def _of_version(version: int) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, str) or ipaddress.ip_address(value).version == version


@pytest.fixture(scope="session")
def har_problems() -> Callable[[Any], list[str]]:
    """Return a function that lists the violations in a HAR: of the JSON Schema of HAR 1.2, and of further needs of readers."""
    path = Path(__file__).parent / "data" / "har" / "schema.json"
    schemas = {name: schema for name, schema in json.loads(path.read_text("utf-8")).items() if name != "$comment"}
    registry: Registry[Any] = Registry().with_resources(
        (f"{name}#", DRAFT6.create_resource(schema)) for name, schema in schemas.items()
    )
    registry = registry.with_resources((name, DRAFT6.create_resource(schema)) for name, schema in schemas.items())
    formats = jsonschema.FormatChecker(())
    formats.checks("date-time", raises=ValueError)(_is_moment)
    formats.checks("uri", raises=ValueError)(_is_absolute)
    formats.checks("ipv4", raises=ValueError)(_of_version(4))
    formats.checks("ipv6", raises=ValueError)(_of_version(6))
    validator = jsonschema.Draft6Validator(schemas["har.json"], registry=registry, format_checker=formats)

    def problems(har: Any) -> list[str]:
        found = [f"{error.json_path}: {error.message}"[:300] for error in validator.iter_errors(har)]
        for index, entry in enumerate([] if found else har["log"]["entries"]):
            timings = entry["timings"]
            # The schema has `min` instead of `minimum`, so that negative times pass it.
            found += [
                f"{index}: timings.{name} is negative" for name in ("send", "wait", "receive") if timings[name] < 0
            ]
            found += [f"{index}: time is negative"] * (entry["time"] < 0)
            # Chrome and mitmproxy fail without `text`; haralyzer converts `connection` to a number.
            found += [f"{index}: postData without text"] * (
                "text" not in entry["request"].get("postData", {"text": ""})
            )
            found += [f"{index}: content without text"] * ("text" not in entry["response"]["content"])
            found += [f"{index}: connection is no port"] * (not entry.get("connection", "0").isdecimal())
        return found

    return problems

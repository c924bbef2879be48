"""Which header fields the rules of one request ask for."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.replay.serve.variants import variant_of
from mockrec.engine.replay.to_rules.headers import header_conditions

MARK = "redacted-0123abcd"


def conditions(*told: tuple[dict[str, str], int, dict[str, str]], method: str = "GET") -> list[dict[str, Any]]:
    """Of recordings given as fields of the request, status, and fields of the answer."""
    return header_conditions(
        [
            variant_of("h", method, fields, {"statusCode": status, "rawHeaders": [*map(list, head.items())]})
            for fields, status, head in told
        ]
    )


def part(asked: str) -> tuple[dict[str, str], int, dict[str, str]]:
    return {"range": asked}, 206, {"Content-Range": f"{asked.replace('=', ' ')}/12"}


def test_parts_are_for_their_ranges() -> None:
    assert conditions(part("bytes=0-3"), ({}, 200, {}), part("bytes=4-7")) == [
        {"Range": "bytes=0-3"},
        {},
        {"Range": "bytes=4-7"},
    ]
    assert conditions(part("bytes=0-3")) == [{"Range": "bytes=0-3"}]
    assert conditions(({"range": "bytes=99-"}, 416, {}), ({"range": "bytes=0-"}, 200, {})) == [
        {"Range": "bytes=99-"},
        {},
    ]


def test_304_is_for_its_state() -> None:
    known = {"if-none-match": '"1"', "if-modified-since": "Thu, 01 Jan 2026 00:00:00 GMT"}
    assert conditions((known, 304, {}), (known, 200, {})) == [
        {"If-None-Match": '"1"', "If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"},
        {},
    ]


def test_the_first_type_answers_whoever_prefers_none_of_them() -> None:
    json, xml = {"Content-Type": "application/json"}, {"Content-Type": "application/xml"}
    asked = ({"accept": "*/*"}, 200, json), ({"accept": "text/xml"}, 200, xml), ({}, 200, json)
    assert conditions(*asked) == [{}, {"Accept": "text/xml"}, {}]
    same = ({"accept": "a/b"}, 200, json), ({"accept": "*/*"}, 200, json)
    assert conditions(*same) == [{}, {}]
    varied = [(fields, status, {**head, "Vary": "Accept"}) for fields, status, head in same]
    assert conditions(*varied) == [{}, {"Accept": "*/*"}]
    german = (
        ({"accept-language": "en"}, 200, {"Content-Language": "en"}),
        (
            {"accept-language": "de"},
            200,
            {"Content-Language": "de"},
        ),
    )
    assert conditions(*german) == [{}, {"Accept-Language": "de"}]


def test_fields_of_vary_that_decide() -> None:
    vary = {"Vary": "X-Tenant, Cookie, Accept-Encoding"}
    asked = [({"x-tenant": one, "cookie": f"a={one}"}, 200, vary) for one in ("a", "b", MARK)]
    assert conditions(*asked, ({}, 200, vary)) == [
        {"X-Tenant": "a"},
        {"X-Tenant": "b"},
        {"X-Tenant": {"present": True}},
        {"X-Tenant": {"absent": True}},
    ]
    assert conditions(*asked[:1] * 2) == [{}, {}]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_preconditions(method: str) -> None:
    asked = ({"if-match": '"1"'}, 412, {}), ({"if-match": '"2"'}, 204, {})
    assert conditions(*asked, method=method) == [{"If-Match": '"1"'}, {"If-Match": '"2"'}]

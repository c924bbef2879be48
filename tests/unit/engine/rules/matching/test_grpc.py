"""The matcher `grpc`: the method, and the first message as soon as it has arrived."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.rules.matching.deferral import Deferral
from mockrec.engine.rules.matching.match import compile_when
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import GrpcCall, When
from mockrec.formats.operations.grpc.frames import join_frames
from mockrec.formats.operations.grpc.wire_format import encode_fields

RequestOf = Callable[..., RequestView]
URL = "http://example.test/shop.v1.Cart/AddItem"
GRPC = [("content-type", "application/grpc")]
MESSAGE = encode_fields({1: "x1", 2: 3})


def matches(request: RequestView, method: str, message: Any = None) -> bool | None:
    call = GrpcCall(method, message, message)
    return compile_when(When(given=("grpc",), grpc=call), lambda name: lambda view: True).match(request)


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("shop.v1.Cart/AddItem", True),
        ("shop.v1.Cart", True),
        ("shop.v1.Cart/Other", False),
        ("shop.v1.Other", False),
        ("Cart/AddItem", False),
    ],
)
def test_the_method_needs_no_body(request_of: RequestOf, method: str, answer: bool) -> None:
    assert matches(request_of("POST", URL, GRPC, complete=False), method) is answer


def test_other_content_types_are_no_calls(request_of: RequestOf) -> None:
    assert matches(request_of("POST", URL, [("content-type", "application/json")]), "shop.v1.Cart") is False


def test_the_first_message_is_matched(request_of: RequestOf) -> None:
    body = join_frames([MESSAGE, encode_fields({1: "x2"})])
    request = request_of("POST", URL, GRPC, body)
    assert matches(request, "shop.v1.Cart/AddItem", {"1": "x1"}) is True
    assert matches(request, "shop.v1.Cart/AddItem", {"1": "x2"}) is False
    assert matches(request_of("POST", URL, GRPC, b""), "shop.v1.Cart/AddItem", {"1": "x1"}) is False
    assert matches(request_of("POST", URL, GRPC, b"\0\0\0\0\x09a"), "shop.v1.Cart/AddItem", {"1": "x1"}) is False


def test_compressed_messages_are_matched(request_of: RequestOf) -> None:
    body = join_frames([gzip.compress(MESSAGE)], flags=1)
    request = request_of("POST", URL, [*GRPC, ("grpc-encoding", "gzip")], body)
    assert matches(request, "shop.v1.Cart/AddItem", {"2": 3}) is True


def test_a_stream_is_matched_before_its_end(request_of: RequestOf) -> None:
    body = join_frames([MESSAGE])
    for size in (0, 4, 5, len(body) - 1):
        assert matches(request_of("POST", URL, GRPC, body[:size], complete=False), "shop.v1.Cart", {"1": "x1"}) is None
    assert matches(request_of("POST", URL, GRPC, body, complete=False), "shop.v1.Cart", {"1": "x1"}) is True
    assert matches(request_of("POST", URL, GRPC, body, complete=False), "shop.v1.Other", {"1": "x1"}) is False


def test_a_long_message_is_left_to_a_helper(request_of: RequestOf) -> None:
    body = join_frames([encode_fields({1: "x" * 70_000})])
    request = request_of("POST", URL, GRPC, body, complete=False)
    assert matches(request, "shop.v1.Cart", {"1": "x1"}) is None
    request.body_complete = True
    request.deferral = Deferral(lambda size: len(body) <= size)
    assert matches(request, "shop.v1.Cart", {"1": "x1"}) is None
    assert [question.key for question in request.deferral.wanted] == ["grpc"]
    request.deferral = None
    assert matches(request, "shop.v1.Cart", {"1": "x" * 70_000}) is True


def test_so_is_a_message_that_is_long_when_decompressed(request_of: RequestOf) -> None:
    plain = encode_fields({1: "x" * 70_000})
    body = join_frames([gzip.compress(plain)], flags=1)
    request = request_of("POST", URL, [*GRPC, ("grpc-encoding", "gzip")], body, complete=False)
    request.deferral = Deferral(lambda size: len(body) <= size)
    assert matches(request, "shop.v1.Cart", {"1": "x1"}) is None
    assert request.deferral.wanted == []
    request.body_complete = True
    assert matches(request, "shop.v1.Cart", {"1": "x1"}) is None
    assert [question.key for question in request.deferral.wanted] == ["grpc"]
    request.deferral = None
    assert matches(request, "shop.v1.Cart", {"1": "x" * 70_000}) is True


def test_reading_the_beginning_does_not_keep_it_as_the_body(request_of: RequestOf) -> None:
    arrived = bytearray(join_frames([MESSAGE]))
    request = request_of("POST", URL, GRPC, b"", complete=False)
    request._read_body = lambda: bytes(arrived)
    assert matches(request, "shop.v1.Cart", {"1": "x1"}) is True
    arrived += b"more"
    request.body_complete = True
    assert request.body.endswith(b"more")

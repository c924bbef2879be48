"""Frames of gRPC and gRPC-Web, and messages in them: whole, cut, malformed, compressed, hostile."""

from __future__ import annotations

import base64
import gzip
import zlib

import pytest

from mockrec.formats.operations.grpc.frames import TRAILERS, join_frames, split_frames
from mockrec.formats.operations.grpc.media import GrpcKind, grpc_kind, is_protobuf, method_of
from mockrec.formats.operations.grpc.messages import read_body, status_of
from mockrec.formats.operations.grpc.protocol import is_hash, messages_key
from mockrec.formats.operations.grpc.status import decode_message, encode_message, status_name, status_number

GRPC = {"content-type": "application/grpc"}


def compressed(data: bytes) -> bytes:
    return join_frames([data], flags=1)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("application/grpc", GrpcKind.GRPC),
        ("application/grpc+proto", GrpcKind.GRPC),
        ("Application/GRPC; charset=utf-8", GrpcKind.GRPC),
        ("application/grpc-web+proto", GrpcKind.WEB),
        ("application/grpc-web-text", GrpcKind.WEB_TEXT),
        ("application/grpcx", None),
        ("application/json", None),
        ("", None),
    ],
)
def test_the_content_type_names_the_kind(text: str, kind: GrpcKind | None) -> None:
    assert grpc_kind(text) is kind


def test_only_protobuf_is_decoded_as_protobuf() -> None:
    assert is_protobuf("application/grpc")
    assert is_protobuf("application/grpc-web+proto")
    assert not is_protobuf("application/grpc+json")


def test_a_path_names_a_method() -> None:
    assert method_of("/shop.v1.Cart/AddItem") == "shop.v1.Cart/AddItem"
    assert method_of("/api/shop.v1.Cart/AddItem?x=1") == "api/shop.v1.Cart/AddItem"
    assert [method_of(path) for path in ("/", "/a", "//a", "/a/", "")] == [""] * 5


def test_messages_are_split_and_decompressed() -> None:
    body = join_frames([b"\x08\x01", b""]) + compressed(gzip.compress(b"\x08\x02"))
    found = read_body(body, {**GRPC, "grpc-encoding": "gzip"})
    assert found is not None
    assert [(one.data, one.is_compressed) for one in found.messages] == [
        (b"\x08\x01", False),
        (b"", False),
        (b"\x08\x02", True),
    ]
    assert found.problems == []
    deflated = read_body(compressed(zlib.compress(b"\x08\x03")), {**GRPC, "grpc-encoding": "deflate"})
    assert deflated is not None
    assert deflated.messages[0].value() == {"1": 3}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"\0\0\0\0\x05abc", "frame 1 is cut: 3 of 5 bytes"),
        (b"\0\0\0", "frame 1 is cut: 3 of 5 bytes of its prefix"),
        (b"\0\xff\xff\xff\xffa", "frame 1 is cut: 1 of 4294967295 bytes"),
        (b"\0\0\0\0\0hello", "frame 2 at byte 5 has the flags 0x68"),
        (b"\x80\0\0\0\0", "frame 1 at byte 0 has the flags 0x80"),
        (b"\1\0\0\0\1a", "message 1: it is marked as compressed, but no grpc-encoding is named"),
    ],
)
def test_what_is_malformed_is_a_finding(body: bytes, problem: str) -> None:
    found = read_body(body, GRPC)
    assert found is not None
    assert problem in found.problems[0]


def test_a_message_that_is_not_compressed_as_it_says_is_kept() -> None:
    found = read_body(compressed(b"plain"), {**GRPC, "grpc-encoding": "gzip"})
    assert found is not None
    assert found.messages[0].data == b"plain"
    assert "it is no gzip" in found.problems[0]
    assert found.messages[0].value()["problem"].startswith("it is no gzip")


def test_compression_bombs_are_cut_off() -> None:
    bomb = gzip.compress(bytes(100_000_000), 9)
    found = read_body(compressed(bomb) * 3, {**GRPC, "grpc-encoding": "gzip"})
    assert found is not None
    assert all(len(one.data) == len(bomb) for one in found.messages)
    assert len(found.problems) == 3


def test_frames_are_counted_up_to_a_limit() -> None:
    found = split_frames(bytes(5 * 100_001))
    assert len(found.frames) == 100_000
    assert found.problem == "it has more than 100000 frames"


def test_web_bodies_end_with_their_trailers() -> None:
    trailers = join_frames([b"grpc-status: 5\r\nGrpc-Message: no%20item\r\n"], flags=TRAILERS)
    body = join_frames([b"\x08\x01"]) + trailers
    found = read_body(body, {"content-type": "application/grpc-web+proto"})
    assert found is not None
    assert found.trailers == [("grpc-status", "5"), ("grpc-message", "no%20item")]
    status = status_of({}, {}, found)
    assert status is not None
    assert (status.name, status.message) == ("NOT_FOUND", "no item")


def test_web_text_is_base64_in_pieces() -> None:
    first, second = join_frames([b"a"]), join_frames([b"bc"])
    text = base64.b64encode(first) + base64.b64encode(second)
    headers = {"content-type": "application/grpc-web-text"}
    found = read_body(text, headers)
    assert found is not None
    assert [one.data for one in found.messages] == [b"a", b"bc"]
    cut = read_body(text[:-1], headers)
    assert cut is not None
    assert [one.data for one in cut.messages] == [b"a"]
    assert cut.problems
    wrong = read_body(b"!!!!", headers)
    assert wrong is not None
    assert "invalid base64" in wrong.problems[0]


def test_the_key_of_a_beginning_begins_the_key_of_the_whole() -> None:
    messages = (
        [bytes([8, number]) for number in range(5)] + [b"\x0a\xff\xff\x03" + b"x" * 65535] * 2 + [b"\x08\x01"] * 3
    )
    whole = read_body(join_frames(messages), GRPC)
    assert whole is not None
    key = messages_key(whole)
    assert key[:2] == [{"1": 0}, {"1": 1}]
    assert [is_hash(one) for one in key] == [False] * 5 + [True] * 5
    for count in range(len(messages)):
        part = read_body(join_frames(messages[:count]), GRPC)
        assert part is not None
        assert messages_key(part) == messages_key(whole, count) == key[:count]


def test_statuses_have_names() -> None:
    assert [status_name(text) for text in ("0", "5", "16", "17", "x", "")] == [
        "OK",
        "NOT_FOUND",
        "UNAUTHENTICATED",
        "17",
        "x",
        "",
    ]
    assert [status_number(text) for text in ("NOT_FOUND", "not-found", "CANCELED", "7", "17", "x")] == [
        5,
        5,
        1,
        7,
        None,
        None,
    ]
    assert status_of({"grpc-status": "12"}, {}) == status_of({}, {"grpc-status": "12"})
    assert status_of({}, {}) is None


def test_messages_of_statuses_are_percent_encoded() -> None:
    text = "ü 100 % \n"
    assert encode_message(text) == "%C3%BC 100 %25 %0A"
    assert decode_message(encode_message(text)) == text
    assert decode_message("%ff%zz") == "\ufffd%zz"

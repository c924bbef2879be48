"""Secrets in gRPC bodies: what is decompressed to find them is bounded, for all messages together."""

from __future__ import annotations

import gzip

import pytest

from mockrec.engine.redaction import grpc_bodies
from mockrec.engine.redaction.grpc_bodies import LongMessageError, redacted_grpc
from mockrec.formats.operations.grpc.frames import join_frames, split_frames
from mockrec.formats.operations.grpc.media import GrpcKind
from mockrec.formats.operations.grpc.wire_format import decode_fields, encode_fields

MESSAGE = gzip.compress(encode_fields({1: "secret", 2: "x" * 1000}))


def redact(data: bytes) -> bytes:
    return data.replace(b"secret", b"redacted") if b"secret" in data else data


def test_a_compressed_message_with_a_secret_becomes_a_plain_one() -> None:
    found = split_frames(redacted_grpc(join_frames([MESSAGE], flags=1), GrpcKind.GRPC, redact))
    assert [frame.flags for frame in found.frames] == [0]
    assert decode_fields(found.frames[0].data) == {"1": "redacted", "2": "x" * 1000}


def test_messages_are_decompressed_up_to_a_bound_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_bodies, "LARGEST_SUM", 3500)
    seen: list[bytes] = []

    def look(data: bytes) -> bytes:
        seen.append(data)
        return data

    body = join_frames([MESSAGE] * 50, flags=1)
    assert redacted_grpc(body, GrpcKind.GRPC, look) is body
    assert seen.count(b"secret") == 3


def test_more_than_may_be_decompressed_at_once_is_refused() -> None:
    body = join_frames([MESSAGE] * 3, flags=1)
    assert redacted_grpc(body, GrpcKind.GRPC, lambda data: data, 4000) is body
    with pytest.raises(LongMessageError):
        redacted_grpc(body, GrpcKind.GRPC, lambda data: data, 3000)

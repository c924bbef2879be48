"""gRPC bytes, cut anywhere: the scanner finds the messages of the reader, garbage never raises, redaction keeps frames."""

from __future__ import annotations

import base64
import gzip
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockrec.engine.redaction.grpc_bodies import redacted_grpc
from mockrec.formats.operations.grpc.frames import join_frames, split_frames
from mockrec.formats.operations.grpc.media import GrpcKind
from mockrec.formats.operations.grpc.messages import read_body
from mockrec.formats.operations.grpc.scanner import MessageScanner
from mockrec.formats.operations.grpc.wire_format import decode_fields, encode_fields

ORDINARY = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
KINDS = st.sampled_from(list(GrpcKind))
HEADERS = {
    GrpcKind.GRPC: "application/grpc",
    GrpcKind.WEB: "application/grpc-web",
    GrpcKind.WEB_TEXT: "application/grpc-web-text",
}
SCALARS = st.one_of(st.text("ab€ ", max_size=9), st.integers(0, 2**64 - 1), st.booleans())
FIELDS = st.recursive(
    st.dictionaries(st.integers(1, 40), SCALARS, max_size=4),
    lambda inner: st.dictionaries(st.integers(1, 40), st.one_of(inner, st.lists(SCALARS, max_size=3)), max_size=3),
    max_leaves=8,
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


@ORDINARY
@given(st.lists(st.binary(max_size=40), max_size=6), KINDS, st.lists(st.integers(0, 1000)))
def test_any_division_gives_the_same_messages(messages: list[bytes], kind: GrpcKind, cuts: list[int]) -> None:
    body = join_frames(messages)
    if kind is GrpcKind.WEB_TEXT:
        body = base64.b64encode(body)
    scanner = MessageScanner(kind)
    found = [one for piece in pieces(body, cuts) for one in scanner.feed(piece)]
    assert [one.data for one in found] == messages
    assert not scanner.broken
    read = read_body(body, {"content-type": HEADERS[kind]})
    assert read is not None
    assert [one.data for one in read.messages] == messages


@ORDINARY
@given(st.binary(max_size=200), KINDS, st.lists(st.integers(0, 1000), max_size=4))
def test_garbage_is_a_finding(body: bytes, kind: GrpcKind, cuts: list[int]) -> None:
    read = read_body(body, {"content-type": HEADERS[kind], "grpc-encoding": "gzip"})
    assert read is not None
    for message in read.messages:
        message.value()
    scanner = MessageScanner(kind)
    for piece in pieces(body, cuts):
        scanner.feed(piece)
    redacted_grpc(body, kind, lambda part: part)


@ORDINARY
@given(FIELDS, st.booleans())
def test_redaction_keeps_frames_and_fields(fields: dict[int, object], is_compressed: bool) -> None:
    secret = "secret-" + "s" * 30
    message = encode_fields({**fields, 50: {1: secret, 2: 7}, 51: f"a {secret}"})
    body = join_frames([gzip.compress(message)], flags=1) if is_compressed else join_frames([message])

    def redact(part: bytes) -> bytes:
        return part.replace(secret.encode(), b"mark") if secret.encode() in part else part

    found = split_frames(redacted_grpc(body, GrpcKind.GRPC, redact))
    assert not found.problem
    (frame,) = found.frames
    expected = decode_fields(encode_fields({**fields, 50: {1: "mark", 2: 7}, 51: "a mark"}))
    assert decode_fields(frame.data) == expected


@ORDINARY
@given(FIELDS)
def test_a_body_without_secrets_stays_the_same_object(fields: dict[int, object]) -> None:
    body = join_frames([encode_fields(fields), b"\xff\xfe\xfd"])
    assert redacted_grpc(body, GrpcKind.GRPC, lambda part: part) is body

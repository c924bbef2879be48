"""Bytes cut anywhere give the same frames, and what does not begin as HTTP/2 gives none."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, PingFrame, SettingsFrame

from mockrec.engine.wire.http2.frames import BAD_PREFACE, PREFACE, Frame, FrameReader, Violation

PROTOCOL, SIZE = 1, 6
FRAMES = [SettingsFrame(0).serialize(), PingFrame(0).serialize(), DataFrame(1, b"a" * 300).serialize()]
BYTES = PREFACE + b"".join(FRAMES)


@pytest.mark.parametrize("step", [1, 2, 7, 9, 24, 30, 400])
def test_cut_anywhere(step: int) -> None:
    reader = FrameReader(preface=True)
    found: list[Frame | Violation] = []
    for at in range(0, len(BYTES), step):
        assert reader.settled is bool(found)
        found += reader.receive(BYTES[at : at + step])
    assert found == [Frame(FRAMES[0], 4, 0, 0), Frame(FRAMES[1], 6, 0, 0), Frame(FRAMES[2], 0, 0, 1)]
    assert reader.receive_eof() is None


def test_the_reserved_bit_is_ignored() -> None:
    (frame,) = FrameReader(preface=False).receive(b"\0\0\0\4\0\x80\0\0\5")
    assert isinstance(frame, Frame) and frame.stream == 5


@pytest.mark.parametrize("size", range(1, 24))
def test_a_preface_is_judged_by_its_first_wrong_byte(size: int) -> None:
    wrong = PREFACE[: size - 1] + b"?"
    reader = FrameReader(preface=True)
    assert reader.receive(wrong[:-1]) == []
    (violation,) = reader.receive(wrong[-1:])
    assert isinstance(violation, Violation) and (violation.code, violation.tag) == (PROTOCOL, BAD_PREFACE)


@pytest.mark.parametrize("first", [PingFrame(0), SettingsFrame(0, flags=["ACK"])])
def test_the_first_frame_must_be_settings(first: PingFrame | SettingsFrame) -> None:
    (violation,) = FrameReader(preface=False).receive(first.serialize()[:9])
    assert isinstance(violation, Violation) and violation.code == PROTOCOL


def test_what_stands_before_a_frame_that_is_too_large() -> None:
    good, bad = FrameReader(preface=False).receive(FRAMES[0] + b"\0\x40\1\0\0\0\0\0\1" + FRAMES[1])
    assert good == Frame(FRAMES[0], 4, 0, 0)
    assert isinstance(bad, Violation) and bad.code == SIZE
    (frame,) = FrameReader(preface=False).receive(b"\0\x40\0\4\0\0\0\0\0" + bytes(16384))
    assert isinstance(frame, Frame) and len(frame.raw) == 9 + 16384


@pytest.mark.parametrize(
    ("said", "tag"), [(b"", None), (PREFACE, None), (PREFACE[:3], BAD_PREFACE), (PREFACE + FRAMES[0][:5], "")]
)
def test_the_end(said: bytes, tag: str | None) -> None:
    reader = FrameReader(preface=True)
    assert reader.receive(said) == []
    violation = reader.receive_eof()
    assert (None if violation is None else violation.tag) == tag

"""Compressed logs: when a frame is closed, and that each stands for itself."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from mockrec.formats.files.frames import FRAME_AGE_MS, FRAME_BYTES, FrameSink, gzip_member, zstd_frames
from mockrec.formats.files.outfile import open_output
from mockrec.formats.schema.errors import OutputError


def plain(data: bytes) -> bytes:
    """In place of a compressor: marks where a frame begins and ends."""
    return b"<" + data + b">"


@pytest.fixture
def sink(tmp_path: Path) -> FrameSink:
    return FrameSink(open_output(tmp_path / "log", force=False, file_mode=0o600), plain)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[], bytes]:
    return (tmp_path / "log").read_bytes


def test_the_sink_has_the_name_of_its_file(sink: FrameSink, tmp_path: Path) -> None:
    assert sink.name == str(tmp_path / "log")


def test_lines_wait_for_their_frame(sink: FrameSink, written: Callable[[], bytes]) -> None:
    sink.write(b"a\n")
    sink.write(b"b\n")
    assert written() == b""
    sink.close()
    assert written() == b"<a\nb\n>"


def test_a_sync_point_without_a_time_closes_the_frame(sink: FrameSink, written: Callable[[], bytes]) -> None:
    sink.write(b"a\n")
    sink.sync_point()
    assert written() == b"<a\n>"


def test_a_frame_is_closed_before_its_lines_are_a_second_old(sink: FrameSink, written: Callable[[], bytes]) -> None:
    sink.sync_point(0.0)
    sink.write(b"a\n")
    sink.sync_point(FRAME_AGE_MS - 1)
    assert written() == b""
    sink.sync_point(FRAME_AGE_MS)
    assert written() == b"<a\n>"


def test_age_counts_from_the_last_time_nothing_waited(sink: FrameSink, written: Callable[[], bytes]) -> None:
    sink.sync_point(0.0)
    sink.sync_point(5000.0)
    sink.write(b"a\n")
    sink.sync_point(5000.0 + FRAME_AGE_MS - 1)
    assert written() == b""
    sink.sync_point(5000.0 + FRAME_AGE_MS)
    assert written() == b"<a\n>"


def test_age_counts_from_the_first_sync_point_when_there_was_none_before(
    sink: FrameSink, written: Callable[[], bytes]
) -> None:
    sink.write(b"a\n")
    sink.sync_point(100.0)
    assert written() == b""
    sink.sync_point(100.0 + FRAME_AGE_MS)
    assert written() == b"<a\n>"


def test_the_next_frame_has_its_own_age(sink: FrameSink, written: Callable[[], bytes]) -> None:
    sink.sync_point(0.0)
    sink.write(b"a\n")
    sink.sync_point(FRAME_AGE_MS)
    sink.write(b"b\n")
    sink.sync_point(2 * FRAME_AGE_MS - 1)
    assert written() == b"<a\n>"
    sink.sync_point(2 * FRAME_AGE_MS)
    assert written() == b"<a\n><b\n>"


def test_a_big_frame_is_closed_at_once(sink: FrameSink, written: Callable[[], bytes]) -> None:
    line = b"x" * 999 + b"\n"
    for _ in range(FRAME_BYTES // 1000):
        sink.write(line)
    assert written() == b""
    sink.write(line)
    assert written().startswith(b"<x")
    assert written().endswith(b"\n>")
    sink.write(b"b\n")
    sink.close()
    assert written().endswith(b"\n><b\n>")


def test_no_frame_is_empty(sink: FrameSink, written: Callable[[], bytes]) -> None:
    sink.sync_point()
    sink.sync_point(5000.0)
    sink.close()
    assert written() == b""


def test_closing_twice_is_fine(sink: FrameSink, written: Callable[[], bytes]) -> None:
    sink.write(b"a\n")
    sink.close()
    sink.close()
    assert written() == b"<a\n>"


def full(_fd: int, _data: bytes) -> int:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("write", [None, full])
def test_the_file_is_closed_even_when_the_last_frame_fails(
    sink: FrameSink, monkeypatch: pytest.MonkeyPatch, write: Callable[[int, bytes], int] | None
) -> None:
    closed: list[int] = []
    close = os.close
    monkeypatch.setattr("mockrec.formats.files.outfile.os.close", lambda fd: (closed.append(fd), close(fd)))
    sink.write(b"a\n")
    if write is None:
        sink.close()
    else:
        monkeypatch.setattr("mockrec.formats.files.outfile.os.write", write)
        with pytest.raises(OutputError, match="No space left on device"):
            sink.close()
    sink.close()
    assert len(closed) == 1


def test_no_part_of_a_frame_stays_on_a_full_disk(
    sink: FrameSink, written: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.write(b"a\n")
    sink.sync_point()
    sink.write(b"b\nc\n")
    write = os.write
    monkeypatch.setattr(
        "mockrec.formats.files.outfile.os.write",
        lambda fd, data: write(fd, data[:4]) if len(data) > 4 else full(fd, data),
    )
    with pytest.raises(OutputError, match="No space left on device"):
        sink.sync_point()
    monkeypatch.undo()
    sink.close()
    assert written() == b"<a\n>"


def test_gzip_members_stand_for_themselves() -> None:
    assert gzip.decompress(gzip_member(b"a\n") + gzip_member(b"b\n")) == b"a\nb\n"


def test_equal_logs_are_equal_files() -> None:
    member = gzip_member(b"a\n")
    assert member[4:8] == b"\0\0\0\0", "the member has a time"
    assert zstd_frames()(b"a\n") == zstd_frames()(b"a\n")


def test_zstd_frames_stand_for_themselves() -> None:
    compress = zstd_frames()
    first, second = compress(b"a\n"), compress(b"b\n")
    assert zstandard.ZstdDecompressor().decompress(first) == b"a\n"
    assert zstandard.ZstdDecompressor().decompress(second) == b"b\n"


def test_a_damaged_zstd_frame_is_noticed() -> None:
    frame = bytearray(zstd_frames()(b"abcdefgh\n"))
    place = frame.index(b"c")
    frame[place] ^= 1
    with pytest.raises(zstandard.ZstdError, match="checksum"):
        zstandard.ZstdDecompressor().decompress(bytes(frame))

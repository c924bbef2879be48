"""The bytes of a session file: decompressed whatever way it is packed, wrong files refused."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from mockrec.formats.files.reader import CHUNK
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.inputs import Source, open_source

LINES = b'{"seq":0,"type":"gap"}\n{"seq":1,"type":"gap"}\n'
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
compressed = pytest.mark.parametrize("compression", list(COMPRESSORS))


def source_of(data: bytes) -> Source:
    return Source("s.jsonl", io.BytesIO(data))


def read(data: bytes) -> bytes:
    """All of a source that is whole."""
    source = source_of(data)
    content = b"".join(source)
    assert source.torn == ""
    return content


class Stdin:
    """In place of `sys.stdin`."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


# ── whole files ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("data", [b"", b"\n", b"  \n\n", LINES, LINES[:-1], LINES.replace(b"\n", b"\r\n")])
def test_a_plain_file_is_read_as_it_is(data: bytes) -> None:
    assert read(data) == data


@compressed
def test_frames_one_after_another(compression: str) -> None:
    compress = COMPRESSORS[compression]
    assert read(compress(LINES) + compress(b"") + compress(LINES)) == LINES * 2


@compressed
def test_many_frames_in_one_piece(compression: str) -> None:
    assert read(COMPRESSORS[compression](LINES) * 500) == LINES * 500


@pytest.mark.parametrize("compression", [None, *COMPRESSORS])
def test_a_byte_order_mark_is_left_out(compression: str | None) -> None:
    data = b"\xef\xbb\xbf" + LINES
    assert read(COMPRESSORS[compression](data) if compression else data) == LINES


def test_a_byte_order_mark_counts_only_at_the_beginning() -> None:
    data = LINES + b"\xef\xbb\xbf"
    assert read(data) == data


@pytest.mark.parametrize("compression", [None, *COMPRESSORS])
def test_a_big_file_comes_in_bounded_pieces(compression: str | None) -> None:
    data = b"".join(b'{"seq":%d,"type":"gap"}\n' % number for number in range(CHUNK // 2))
    pieces = list(source_of(COMPRESSORS[compression](data) if compression else data))
    assert b"".join(pieces) == data
    assert len(pieces) > 2
    assert max(map(len, pieces)) < 2 * CHUNK < len(data)


# ── cut-off files ──────────────────────────────────────────────────────────────────────────────────


@compressed
def test_a_frame_cut_anywhere_is_torn_and_told_by_its_place(compression: str) -> None:
    compress = COMPRESSORS[compression]
    first, second = compress(LINES), compress(LINES)
    for length in range(1, len(second)):
        source = source_of(first + second[:length])
        content = b"".join(source)
        assert content.startswith(LINES)
        assert (LINES * 2).startswith(content)
        assert source.torn == f"the last {compression} frame (at byte {len(first)}) is cut off"


@compressed
def test_a_file_cut_at_the_end_of_a_frame_is_whole(compression: str) -> None:
    assert read(COMPRESSORS[compression](LINES)) == LINES


@compressed
def test_the_first_byte_is_enough_to_say_that_a_frame_is_cut_off(compression: str) -> None:
    frame = COMPRESSORS[compression](LINES)
    for length in range(1, 5):
        source = source_of(frame[:length])
        assert b"".join(source) == b""
        assert source.torn == f"the last {compression} frame (at byte 0) is cut off"


# ── damaged and wrong files ────────────────────────────────────────────────────────────────────────


@compressed
def test_a_damaged_frame_is_told_by_its_place(compression: str) -> None:
    frame = COMPRESSORS[compression](LINES)
    damaged = frame[:-4] + bytes(4)  # the checksum, or the length
    source = source_of(frame + damaged)
    with pytest.raises(SessionError, match=rf"^s\.jsonl: the {compression} frame at byte {len(frame)} is damaged: "):
        b"".join(source)


@compressed
def test_what_follows_the_frames_must_be_a_frame(compression: str) -> None:
    frame = COMPRESSORS[compression](LINES)
    with pytest.raises(SessionError, match=f"the {compression} frame at byte {len(frame)} is damaged: "):
        b"".join(source_of(frame + b"something else"))


def test_a_frame_is_told_by_its_place_in_a_long_file() -> None:
    frame = gzip.compress(LINES)
    many = frame * 1000
    source = source_of(many + frame[:-1])
    assert b"".join(source).startswith(LINES * 1000)
    assert source.torn == f"the last gzip frame (at byte {len(many)}) is cut off"


@pytest.mark.parametrize("data", [b"hello", b"\x00\x01", b"[1]\n", b"<html>", LINES.decode().encode("utf-16"), b"\xff"])
def test_a_file_that_is_no_session(data: bytes) -> None:
    with pytest.raises(SessionError, match=r"^s\.jsonl: expected a mockrec session \(JSON Lines"):
        b"".join(source_of(data))


@compressed
def test_what_is_packed_must_be_a_session_too(compression: str) -> None:
    with pytest.raises(SessionError, match=r"found a file that begins with b'hello'$"):
        b"".join(source_of(COMPRESSORS[compression](b"hello")))


@pytest.mark.parametrize("data", [b'{"log":{"version":"1.2"}}', b'\xef\xbb\xbf {\n  "log" : {', b'\r\n{"log":'])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_har_file_is_read_as_lines(data: bytes, compress: Callable[[bytes], bytes]) -> None:
    source = source_of(compress(data))
    started, *rest = b"".join(source).splitlines()
    assert b'"type":"session-started"' in started
    assert [b'"type":"session-ended"' in line for line in rest] == [True] * (not source.torn)
    assert source.torn == ("" if data.endswith(b"}}") else "the file ends before its first entry")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"constants":{"logEventTypes":{}},"events":[]}', r"^s\.jsonl: this is a NetLog of Chrome .* Export a HAR"),
        (b"# mine\nversion: 1\n\nrules:\n- reply: {}\n", r"^s\.jsonl: this is a rule file, no session: `mockrec run"),
        (b"PAR1\x15\x04", r"^s\.jsonl: expected a mockrec session"),
    ],
)
def test_other_files_are_named(data: bytes, message: str) -> None:
    with pytest.raises(SessionError, match=message):
        b"".join(source_of(data))


def test_a_disk_that_fails_while_reading() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read(size)

    source = Source("s.jsonl", Failing(LINES))
    with pytest.raises(SessionError, match=r"^s\.jsonl: Input/output error$"):
        b"".join(source)


# ── opening by name ────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_opened_by_its_name_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(LINES)
    source = open_source(str(path))
    assert source.name == str(path)
    assert b"".join(source) == LINES
    source.close()
    path.write_bytes(b"")
    assert open_and_read(path) == b""


def open_and_read(path: Path) -> bytes:
    source = open_source(str(path))
    try:
        return b"".join(source)
    finally:
        source.close()


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(gzip.compress(LINES))
    assert open_and_read(path) == LINES


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"nowhere\.jsonl: No such file or directory$") as caught:
        open_source(str(tmp_path / "nowhere.jsonl"))
    assert caught.value.exit_code == 2


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="this is a folder, but no session"):
        open_source(str(tmp_path))


def test_a_file_that_is_refused_is_closed(tmp_path: Path) -> None:
    """An open file that is forgotten is a warning, and warnings are errors here."""
    path = tmp_path / "s.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(SessionError):
        open_source(str(path))


@pytest.mark.parametrize("data", [LINES, gzip.compress(LINES)], ids=["plain", "gzip"])
def test_stdin_is_read_and_stays_open(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    stdin = Stdin(data)
    monkeypatch.setattr("sys.stdin", stdin)
    source = open_source("-")
    assert source.name == "stdin"
    assert b"".join(source) == LINES
    source.close()
    assert not stdin.buffer.closed


def test_a_stdin_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SessionError, match=r"^stdin: it is closed$"):
        open_source("-")


def test_a_file_needs_no_stdin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(LINES)
    monkeypatch.setattr("sys.stdin", None)
    assert open_and_read(path) == LINES


def test_a_folder_that_may_not_be_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> bool:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("mockrec.formats.sessions.inputs.is_table_place", refuse)
    with pytest.raises(SessionError, match=r"^session/: Permission denied$"):
        open_source("session/")


def test_an_empty_name() -> None:
    with pytest.raises(SessionError, match=r"^session: expected the name of a file, found an empty one$"):
        open_source("")


def test_an_address_of_the_web_is_no_file_system() -> None:
    with pytest.raises(SessionError, match=r"^https://x/s\.jsonl: https:// is no file system; download the file"):
        open_source("https://x/s.jsonl")

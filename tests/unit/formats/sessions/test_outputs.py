"""The output of each format, opened by its name or by the format that is asked for."""

from __future__ import annotations

import gzip
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from mockrec.formats.files.frames import FrameSink
from mockrec.formats.files.jsonl import JsonlSink
from mockrec.formats.schema.errors import FormatError, OutputError, OutputExistsError
from mockrec.formats.sessions.outputs import open_sink

LINES = b'{"a":1}\n{"b":2}\n'


@pytest.mark.parametrize("name", ["s.jsonl", "s", "s.gz.jsonl", "s.txt"])
def test_plain_lines_are_in_the_file_at_once(tmp_path: Path, name: str) -> None:
    sink = open_sink(tmp_path / name)
    sink.write(LINES)
    assert (tmp_path / name).read_bytes() == LINES
    sink.sync_point()
    sink.close()
    assert (tmp_path / name).read_bytes() == LINES
    assert sink.name == str(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "decompress"),
    [
        ("s.jsonl.gz", gzip.decompress),
        ("s.JSONL.GZ", gzip.decompress),
        ("s.jsonl.zst", zstandard.ZstdDecompressor().decompress),
    ],
)
def test_the_extension_compresses(tmp_path: Path, name: str, decompress: Callable[[bytes], bytes]) -> None:
    sink = open_sink(tmp_path / name)
    sink.write(LINES)
    sink.close()
    assert decompress((tmp_path / name).read_bytes()) == LINES


@pytest.mark.parametrize(
    ("asked", "decompress"),
    [
        ("jsonl", bytes),
        ("jsonl.gz", gzip.decompress),
        ("jsonl.zst", zstandard.ZstdDecompressor().decompress),
    ],
)
def test_a_format_that_is_asked_for_wins(tmp_path: Path, asked: str, decompress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "s.har.gz.zst"
    sink = open_sink(path, output_format=asked)
    sink.write(LINES)
    sink.close()
    assert decompress(path.read_bytes()) == LINES


@pytest.mark.parametrize(
    ("name", "asked", "meant"),
    [
        ("-", "csv", "csv"),
    ],
)
def test_other_formats_are_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, asked: str | None, meant: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match=f"^{name}: writing {meant} is not available in this version") as caught:
        open_sink(name, output_format=asked)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_overwritten_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl.gz"
    path.write_bytes(b"precious")
    with pytest.raises(OutputExistsError):
        open_sink(path)
    assert path.read_bytes() == b"precious"
    sink = open_sink(path, force=True)
    sink.write(LINES)
    sink.close()
    assert gzip.decompress(path.read_bytes()) == LINES


def test_the_mode_of_the_file(tmp_path: Path) -> None:
    open_sink(tmp_path / "private").close()
    open_sink(tmp_path / "shared", file_mode=0o640).close()
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o640


def test_stdout(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    sink = open_sink("-")
    sink.write(LINES)
    assert capfdbinary.readouterr().out == LINES
    sink.close()
    more = open_sink("-")
    more.write(LINES)
    assert capfdbinary.readouterr().out == LINES
    assert sink.name == "stdout"


@pytest.mark.parametrize("asked", ["jsonl.gz", "jsonl.zst"])
def test_stdout_is_never_compressed(asked: str) -> None:
    with pytest.raises(FormatError, match=r"^stdout takes plain JSON Lines only"):
        open_sink("-", output_format=asked)


def test_a_failure_is_told_again_at_each_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    sink = open_sink(tmp_path / "s.jsonl")
    sink.write(LINES)
    with monkeypatch.context() as patch:
        patch.setattr("mockrec.formats.files.outfile.os.write", full)
        with pytest.raises(OutputError):
            sink.write(LINES)
    with pytest.raises(OutputError, match=r"^cannot write .*s\.jsonl: No space left on device$"):
        sink.write(LINES)
    sink.close()
    assert (tmp_path / "s.jsonl").read_bytes() == LINES


def test_on_a_full_disk_whole_lines_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def limited(fd: int, data: bytes) -> int:
        if len(data) < len(LINES):
            raise OSError(28, "No space left on device")
        return write(fd, data[:10])

    sink = open_sink(tmp_path / "s.jsonl")
    monkeypatch.setattr("mockrec.formats.files.outfile.os.write", limited)
    with pytest.raises(OutputError):
        sink.write(LINES)
    monkeypatch.undo()
    sink.close()
    assert (tmp_path / "s.jsonl").read_bytes() == b'{"a":1}\n'


def test_closing_a_sink_closes_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    close = os.close
    monkeypatch.setattr("mockrec.formats.files.outfile.os.close", lambda fd: (closed.append(fd), close(fd)))
    open_sink(tmp_path / "s.jsonl").close()
    assert len(closed) == 1


def test_which_sink_is_for_which_format(tmp_path: Path) -> None:
    sinks = [open_sink(tmp_path / name) for name in ("a.jsonl", "a.gz", "a.zst")]
    for sink in sinks:
        sink.close()
    assert [type(sink) for sink in sinks] == [JsonlSink, FrameSink, FrameSink]

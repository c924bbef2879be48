"""Opening the outputs of a run: all of them, or none."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mockrec.engine.recording.outputs import open_outputs
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.schema.errors import FormatError, OutputBusyError, OutputError, OutputExistsError
from mockrec.formats.sessions.session import open_session


def settings(*outputs: str | Path, **more: Any) -> Any:
    values = {"output_format": None, "force": False, "file_mode": 0o600, "rotate": None, **more}
    return SimpleNamespace(outputs=tuple(str(output) for output in outputs), **values)


def written(*outputs: str | Path, **more: Any) -> None:
    for sink in open_outputs(settings(*outputs, **more)):
        sink.write(b"{}\n")
        sink.close()


def test_no_output_is_no_sink() -> None:
    assert open_outputs(settings()) == []


def test_every_output_has_its_sink(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz", tmp_path / "c.jsonl.zst")
    assert (tmp_path / "a.jsonl").read_bytes() == b"{}\n"
    assert (tmp_path / "b.jsonl.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert (tmp_path / "c.jsonl.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"


def test_the_format_may_be_given(tmp_path: Path) -> None:
    written(tmp_path / "log", output_format="jsonl.gz")
    assert (tmp_path / "log").read_bytes()[:2] == b"\x1f\x8b"


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_files_have_the_mode_that_was_asked_for(tmp_path: Path, mode: int) -> None:
    written(tmp_path / "a.jsonl", file_mode=mode)
    assert stat.S_IMODE((tmp_path / "a.jsonl").stat().st_mode) == mode


def test_parquet_is_recorded_by_way_of_a_journal(tmp_path: Path) -> None:
    sinks = open_outputs(settings(tmp_path / "s.parquet", f"{tmp_path}/set/"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.parquet.journal", "set"]
    for sink in sinks:
        sink.write(b"{}\n")
        sink.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.parquet", "set"]


def test_journals_go_when_another_output_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        open_outputs(settings(tmp_path / "s.parquet", f"{tmp_path}/set/", "nowhere://bucket/s.parquet"))
    assert list(tmp_path.iterdir()) == []


def test_stdout_is_an_output_and_has_no_format(capfd: pytest.CaptureFixture[str]) -> None:
    (sink,) = open_outputs(settings("-", output_format="jsonl.gz"))
    sink.write(b"{}\n")
    sink.close()
    assert capfd.readouterr().out == "{}\n"


@pytest.mark.parametrize(
    ("second", "error"),
    [("there.jsonl", OutputExistsError), ("none/b.jsonl", OutputError), ("s3://bucket/b.jsonl", FormatError)],
)
def test_if_one_cannot_be_opened_none_is_left(tmp_path: Path, second: str, error: type[FormatError]) -> None:
    (tmp_path / "there.jsonl").write_bytes(b"mine")
    with pytest.raises(error):
        open_outputs(settings(tmp_path / "a.jsonl", tmp_path / second))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.jsonl"]
    assert (tmp_path / "there.jsonl").read_bytes() == b"mine"


def test_force_replaces_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"mine")
    written(tmp_path / "a.jsonl", force=True)
    assert (tmp_path / "a.jsonl").read_bytes() == b"{}\n"


@pytest.mark.parametrize(
    "name", ["x" * 249 + ".jsonl", "x" * 249 + ".parquet", "x" * 251 + ".har", "x" * 300 + ".jsonl"]
)
def test_a_name_that_is_too_long_for_its_folder_of_bodies(tmp_path: Path, name: str) -> None:
    """It is said before anything is recorded, and not with the first long body."""
    with pytest.raises(OutputError, match="File name too long"):
        open_outputs(settings(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [b"\xff.parquet", b"\xff/"])
def test_parquet_is_not_written_where_it_could_not_be_read(tmp_path: Path, name: bytes) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    if path.endswith("/"):
        os.mkdir(path)
    with pytest.raises(OutputError, match="needs a name in UTF-8"):
        open_outputs(settings(path))


def test_other_formats_take_any_name(tmp_path: Path) -> None:
    for ending in (b".jsonl", b".jsonl.gz", b".har"):
        path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff" + ending)
        (sink,) = open_outputs(settings(path))
        sink.write(encode_lines([{"seq": 0, "type": "gap", "timestamp": "2026-01-01T00:00:00.000000Z", "counts": {}}]))
        sink.close()
        with open_session(path) as session:
            assert [record["type"] for _, record in session] == ["gap"]


def test_outputs_that_are_being_written_are_refused_before_any_is_emptied(tmp_path: Path) -> None:
    taken, other = tmp_path / "taken.jsonl", tmp_path / "other.jsonl"
    other.write_text("precious")
    (sink,) = open_outputs(settings(taken))
    with pytest.raises(OutputBusyError, match=f"process {os.getpid()} is writing it") as caught:
        open_outputs(settings(other, taken, force=True))
    assert caught.value.exit_code == 2
    assert other.read_text() == "precious"
    with pytest.raises(OutputBusyError):
        open_outputs(settings(taken))  # and --force would not help
    sink.close()
    written(taken, force=True)

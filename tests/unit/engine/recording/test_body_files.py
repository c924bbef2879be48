"""The folder of bodies next to a log."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.recording.body_files import BodyFiles, has_folder
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import FormatError

DATA = b"a body" * 100
SHA = hashlib.sha256(DATA).hexdigest()
NAME = f"{SHA[:2]}/{SHA}"


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_body_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    files = BodyFiles([str(tmp_path / "s.jsonl")])
    folder = tmp_path / "s.jsonl.bodies"
    assert not folder.exists()
    file = files.open()
    assert file is not None
    file.write(DATA[:100])
    assert not any(name.startswith(SHA[:2]) for name in names(folder))
    file.write(DATA[100:])
    assert file.finish() == SHA
    assert file.size == len(DATA)
    assert names(folder) == {NAME}
    assert Body(size=len(DATA), file=NAME, folder=folder).bytes == DATA
    assert Body(size=len(DATA), file=NAME, folder=folder).check_file() == len(DATA)
    assert file.finish() is None
    file.write(b"more")
    assert (folder / NAME).read_bytes() == DATA


def test_equal_bodies_share_a_file(tmp_path: Path) -> None:
    files = BodyFiles([str(tmp_path / "s")])
    assert files.put(DATA) == files.put(DATA) == SHA
    assert names(tmp_path / "s.bodies") == {NAME}


def test_unfinished_files_are_removed(tmp_path: Path) -> None:
    files = BodyFiles([str(tmp_path / "s")])
    for _ in range(2):
        file = files.open()
        assert file is not None
        file.write(DATA)
        file.abandon()
        file.abandon()
    file = files.open()
    del file
    assert names(tmp_path / "s.bodies") == set()


@pytest.mark.parametrize("links", [True, False])
def test_every_output_has_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EXDEV, "no")))
    files = BodyFiles([str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "c")], 0o640)
    files.put(DATA)
    files.put(DATA)
    for name in "abc":
        path = tmp_path / f"{name}.bodies" / NAME
        assert path.read_bytes() == DATA
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o750
        assert names(tmp_path / f"{name}.bodies") == {NAME}


def test_clear(tmp_path: Path) -> None:
    files = BodyFiles([str(tmp_path / "s")])
    files.clear()
    files.put(DATA)
    folder = tmp_path / "s.bodies"
    (folder / ".new-1-1").write_bytes(b"half")
    (folder / "mine").write_bytes(b"")
    (folder / SHA[:2] / "mine").write_bytes(b"")
    files.clear()
    assert names(folder) == {"mine", f"{SHA[:2]}/mine"}


def test_a_failure_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[FormatError] = []
    files = BodyFiles([str(tmp_path / "s")], failed=failures.append)
    file = files.open()
    assert file is not None

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        file.write(DATA)
    assert file.finish() is None
    assert files.put(DATA) is None
    assert ["No space left on device" in str(failure) for failure in failures] == [True]
    assert names(tmp_path / "s.bodies") == set()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    failures: list[FormatError] = []
    (tmp_path / "s.bodies").write_bytes(b"a file")
    files = BodyFiles([str(tmp_path / "s")], failed=failures.append)
    assert files.open() is None
    assert len(failures) == 1


def test_which_outputs_can_have_a_folder(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"")
    assert has_folder(str(tmp_path / "new"))
    assert has_folder(str(tmp_path / "there"))
    assert not has_folder("-")
    assert not has_folder("/dev/null")
    assert not has_folder("s3://bucket/s.parquet?region=us-east-1")

"""The lease of a store: renewed while its writer works, disregarded soon after it was killed, and checked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from waiting import until

from mockrec.formats.fleet import lease as module
from mockrec.formats.fleet import output_lock
from mockrec.formats.fleet.lease import Lease
from mockrec.formats.fleet.output_lock import only_writer
from mockrec.formats.schema.errors import OutputBusyError, OutputError

STORE = "s3://bucket/"


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a bucket, which `only_writer` takes for a store."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    store = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    monkeypatch.setattr(output_lock, "file_system", lambda _: (store, "bucket"))
    return folder


def age(mark: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(mark, (then, then))


def test_another_writer_is_refused_while_the_first_works(bucket: Path) -> None:
    with only_writer(STORE) as check:
        with pytest.raises(OutputBusyError, match=r"another compact \(\.compact-.*last seen at 20"), only_writer(STORE):
            pass
        assert len(list(bucket.iterdir())) == 1
        check()
    assert list(bucket.iterdir()) == []


def test_a_lease_is_renewed(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEWED", 0.01)
    with only_writer(STORE):
        (mark,) = bucket.iterdir()
        age(mark, 1_000_000)
        until(lambda: time.time() - mark.stat().st_mtime < 100_000)
        with pytest.raises(OutputBusyError), only_writer(STORE):
            pass


@pytest.mark.parametrize(("minutes", "is_busy"), [(4, True), (6, False)])
def test_that_of_a_killed_writer_counts_for_minutes(bucket: Path, minutes: int, is_busy: bool) -> None:
    mark = bucket / ".compact-elsewhere-7-00000000.lock"
    mark.touch()
    age(mark, 60 * minutes)
    if is_busy:
        with pytest.raises(OutputBusyError), only_writer(STORE):
            pass
    else:
        with only_writer(STORE):
            assert not mark.exists()
    assert mark.exists() == is_busy


def test_the_age_of_a_lease_is_that_of_the_clock_of_the_store(bucket: Path) -> None:
    class Early:
        """A store whose clock is a day late."""

        def __init__(self) -> None:
            self._store = pafs.SubTreeFileSystem(str(bucket.parent), pafs.LocalFileSystem())

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        def get_file_info(self, what: Any) -> Any:
            for path in bucket.iterdir():
                age(path, 24 * 3600)
            return self._store.get_file_info(what)

    first = Lease(STORE, Early(), "bucket")
    with pytest.raises(OutputBusyError):
        Lease(STORE, Early(), "bucket")
    first.end()
    assert list(bucket.iterdir()) == []


def test_a_writer_that_slept_too_long_may_not_go_on(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with only_writer(STORE) as check:
        now = time.time()
        monkeypatch.setattr(module, "_now", lambda: now + 299)
        check()
        monkeypatch.setattr(module, "_now", lambda: now + 400)
        with pytest.raises(OutputError, match="could not be renewed"):
            check()


def test_a_writer_whose_lease_was_removed_may_not_go_on(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEWED", 0.01)

    def ends(check: Callable[[], None]) -> bool:
        try:
            check()
        except OutputError:
            return True
        return False

    with only_writer(STORE) as check:
        # As another writer does that has taken it for one of a killed writer.
        next(bucket.iterdir()).unlink()
        until(lambda: ends(check) or any(path.unlink() or False for path in bucket.iterdir()))
    assert list(bucket.iterdir()) == []

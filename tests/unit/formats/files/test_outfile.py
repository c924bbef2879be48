"""One output file: made once, written in whole units, and what a full disk or a gone reader leaves of it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from waiting import until

from mockrec.formats.files import locks
from mockrec.formats.files.outfile import CHECK_MS, STDOUT, OutFile, open_output
from mockrec.formats.schema.errors import (
    OutputBusyError,
    OutputClosedError,
    OutputError,
    OutputExistsError,
    OutputLostError,
)

Write = Callable[[int, bytes], int]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def disk_with_room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets so many more bytes reach any file, then the disk is full."""
    write = os.write

    def leave(room: int) -> None:
        def limited(fd: int, data: memoryview) -> int:
            nonlocal room
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            count = write(fd, data[:room])
            room -= count
            return count

        monkeypatch.setattr("mockrec.formats.files.outfile.os.write", limited)

    return leave


def opened(path: Path, *, force: bool = False, file_mode: int = 0o600) -> OutFile:
    return open_output(path, force=force, file_mode=file_mode)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ── opening ────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_file_is_private(path: Path, umask: Callable[[int], int]) -> None:
    umask(0)
    opened(path).close()
    assert mode(path) == 0o600


@pytest.mark.parametrize("asked", [0o600, 0o640, 0o666])
def test_the_umask_has_no_say(path: Path, umask: Callable[[int], int], asked: int) -> None:
    umask(0o077)
    opened(path, file_mode=asked).close()
    assert mode(path) == asked


def test_a_file_is_never_there_with_more_rights_than_asked_for(
    path: Path, umask: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    umask(0)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    opened(path).close()
    assert mode(path) == 0o600


def test_an_existing_file_is_left_alone(path: Path) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match=rf"^cannot write {path}: it exists already \(--force") as caught:
        opened(path)
    assert caught.value.exit_code == 2
    assert path.read_bytes() == b"precious"


def test_a_link_to_nowhere_exists_too(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputExistsError):
        opened(path)
    assert not (tmp_path / "elsewhere").exists()


def test_force_empties_a_file_and_takes_rights_away(path: Path) -> None:
    path.write_bytes(b"x" * 100)
    path.chmod(0o666)
    file = opened(path, force=True)
    assert mode(path) == 0o600
    file.write(b"a\n", lines=True)
    file.close()
    assert path.read_bytes() == b"a\n"


def test_force_makes_a_file_that_is_not_there(path: Path) -> None:
    opened(path, force=True).close()
    assert path.read_bytes() == b""


def test_force_takes_a_file_whose_mode_is_not_ours_to_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "chmod", refuse)
    file = opened(path, force=True)
    file.write(b"a\n", lines=True)
    file.close()
    assert path.read_bytes() == b"a\n"


def test_another_failure_while_opening_leaves_nothing_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    closed: list[int] = []
    close = os.close
    monkeypatch.setattr(Path, "chmod", refuse)
    monkeypatch.setattr("mockrec.formats.files.outfile.os.close", lambda fd: (closed.append(fd), close(fd)))
    with pytest.raises(OutputError, match="Read-only file system"):
        opened(path)
    assert len(closed) == 1


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"nowhere/log: No such file or directory$") as caught:
        opened(tmp_path / "nowhere" / "log")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_is_no_file(tmp_path: Path, force: bool) -> None:
    with pytest.raises(OutputError, match=r": Is a directory$") as caught:
        opened(tmp_path, force=force)
    assert caught.value.exit_code == 3


def opened_when_read(path: Path) -> OutFile:
    """A named pipe, once its reader is there: without one it is not opened, and nobody waits."""
    found: list[OutFile] = []

    def is_open() -> bool:
        with contextlib.suppress(OutputError):
            found.append(opened(path))
        return bool(found)

    until(is_open, "it has no reader")
    return found[0]


def test_a_named_pipe_needs_no_force(path: Path) -> None:
    os.mkfifo(path)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    file = opened_when_read(path)
    file.write(b"a\n", lines=True)
    file.close()
    reader.join()
    assert received == [b"a\n"]


def test_a_descriptor_that_is_not_open() -> None:
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    with pytest.raises(OutputError, match=r"^cannot write stdout: Bad file descriptor$"):
        OutFile(write, "stdout")


# ── writing ────────────────────────────────────────────────────────────────────────────────────────


def test_writes_follow_one_another(path: Path) -> None:
    file = opened(path)
    file.write(b"a\n", lines=True)
    file.write(b"b\nc\n", lines=True)
    file.write(b"", lines=True)
    file.close()
    assert path.read_bytes() == b"a\nb\nc\n"


def test_a_write_that_takes_only_a_part_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("mockrec.formats.files.outfile.os.write", lambda fd, data: write(fd, data[:3]))
    file = opened(path)
    file.write(b"0123456789\n", lines=True)
    file.close()
    assert path.read_bytes() == b"0123456789\n"


@pytest.mark.parametrize(
    ("room", "left"),
    [
        (0, b"before\n"),
        (1, b"before\n"),
        (3, b"before\n"),
        (4, b"before\none\n"),
        (7, b"before\none\n"),
        (8, b"before\none\ntwo\n"),
        (11, b"before\none\ntwo\n"),
    ],
)
def test_on_a_full_disk_whole_lines_stay(
    path: Path, disk_with_room: Callable[[int], None], room: int, left: bytes
) -> None:
    file = opened(path)
    file.write(b"before\n", lines=True)
    disk_with_room(room)
    with pytest.raises(OutputError, match=r": No space left on device$") as caught:
        file.write(b"one\ntwo\nthree\n", lines=True)
    assert caught.value.exit_code == 3
    file.close()
    assert path.read_bytes() == left


@pytest.mark.parametrize("room", [0, 1, 4, 13])
def test_on_a_full_disk_no_part_of_a_frame_stays(path: Path, disk_with_room: Callable[[int], None], room: int) -> None:
    file = opened(path)
    file.write(b"before\n", lines=False)
    disk_with_room(room)
    with pytest.raises(OutputError):
        file.write(b"one\ntwo\nthree\n", lines=False)
    file.close()
    assert path.read_bytes() == b"before\n"


@pytest.mark.parametrize("room", [0, 2, 6])
@pytest.mark.parametrize("flags", [0, os.O_APPEND])
def test_what_a_redirected_stdout_held_before_stays(
    path: Path, disk_with_room: Callable[[int], None], flags: int, room: int
) -> None:
    path.write_bytes(b"of another program\n")
    fd = os.open(path, os.O_WRONLY | flags)
    if not flags:
        os.lseek(fd, 0, os.SEEK_END)
    file = OutFile(fd, "stdout")
    disk_with_room(room)
    with pytest.raises(OutputError):
        file.write(b"one\ntwo\n", lines=True)
    file.close()
    assert path.read_bytes() == b"of another program\n" + (b"one\n" if room >= 4 else b"")


def test_after_a_failure_nothing_more_is_written(path: Path, disk_with_room: Callable[[int], None]) -> None:
    file = opened(path)
    disk_with_room(0)
    with pytest.raises(OutputError) as first:
        file.write(b"a\n", lines=True)
    disk_with_room(1000)
    with pytest.raises(OutputError) as second:
        file.write(b"b\n", lines=True)
    assert second.value is first.value
    file.close()
    assert path.read_bytes() == b""


def test_an_end_that_cannot_be_cut_off_hides_no_error(
    path: Path, disk_with_room: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    file = opened(path)
    disk_with_room(2)
    monkeypatch.setattr("mockrec.formats.files.outfile.os.ftruncate", refuse)
    with pytest.raises(OutputError, match="No space left on device"):
        file.write(b"one\n", lines=True)
    file.close()
    assert path.read_bytes() == b"on"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_without_room() -> None:
    file = opened(Path("/dev/full"))
    with pytest.raises(OutputError, match=r"^cannot write /dev/full: No space left on device$") as caught:
        file.write(b"a\n", lines=True)
    assert caught.value.exit_code == 3
    file.close()


LIMITED = """
import resource, sys
from pathlib import Path
from mockrec.formats.schema.errors import OutputError
from mockrec.formats.files.outfile import open_output

resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
file = open_output(Path(sys.argv[1]), force=False, file_mode=0o600)
try:
    for number in range(100):
        file.write(b"%06d\\n%06d\\n" % (number, number), lines=True)
except OutputError as error:
    print(error.exit_code, error.message)
file.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_file_that_may_not_grow_ends_with_a_whole_line(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "3 File too large\n"
    # 100 bytes hold 14 lines of 7.
    assert path.read_bytes() == b"".join(b"%06d\n%06d\n" % (number, number) for number in range(7))


# ── pipes ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_reader_that_went_away() -> None:
    read, write = os.pipe()
    os.close(read)
    file = OutFile(write, "stdout")
    with pytest.raises(OutputClosedError, match="the reader went away") as caught:
        file.write(b"a\n", lines=True)
    assert caught.value.exit_code == 141
    with pytest.raises(OutputClosedError):
        file.write(b"b\n", lines=True)
    file.close()


def test_a_pipe_that_is_not_waited_for_by_itself_is_waited_for() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    data = b"x" * 999_999 + b"\n"
    received: list[bytes] = []

    def receive() -> None:
        with open(read, "rb") as end:
            received.append(end.read())

    reader = threading.Thread(target=receive)
    reader.start()
    file = OutFile(write, "stdout")
    file.write(data, lines=True)
    file.close()
    reader.join()
    assert received == [data]


# ── closing ────────────────────────────────────────────────────────────────────────────────────────


def test_closing_twice_closes_nobody_elses_file(path: Path, tmp_path: Path) -> None:
    file = opened(path)
    file.close()
    other = opened(tmp_path / "other")  # gets the same descriptor
    file.close()
    other.write(b"a\n", lines=True)
    other.close()
    assert (tmp_path / "other").read_bytes() == b"a\n"


def test_stdout_stays_open(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    OutFile(STDOUT, "stdout").close()
    os.write(STDOUT, b"still here\n")
    assert capfdbinary.readouterr().out == b"still here\n"


def test_a_failure_of_the_last_moment_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = os.close

    def late(fd: int) -> None:
        close(fd)
        raise OSError(errno.ENOSPC, "No space left on device")

    file = opened(path)
    with monkeypatch.context() as patch:
        patch.setattr("mockrec.formats.files.outfile.os.close", late)
        with pytest.raises(OutputError, match="No space left on device"):
            file.close()
    file.close()


# ── what others do to it ───────────────────────────────────────────────────────────────────────────


def test_a_file_that_is_as_it_was_written_is_no_loss(path: Path) -> None:
    file = opened(path)
    file.check(0.0)
    file.write(b"a\n", lines=True)
    path.rename(path.with_name("moved"))
    file.check(CHECK_MS)
    assert not file.is_named(path)
    assert file.is_named(path.with_name("moved"))
    assert file.size == 2
    file.close()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda path: path.unlink(), "was removed"),
        (lambda path: (path.with_name("b").write_bytes(b"a\n"), path.with_name("b").replace(path)), "was replaced"),
        (lambda path: os.truncate(path, 1), "was cut by another program"),
        (lambda path: os.truncate(path, 3), "was written to by another program"),
    ],
)
def test_a_file_that_others_have_touched(path: Path, act: Callable[[Path], object], words: str) -> None:
    file = opened(path)
    file.write(b"a\n", lines=True)
    file.check(0.0)
    act(path)
    file.check(CHECK_MS - 1)  # it is not looked at more often
    with pytest.raises(
        OutputLostError, match=f"it {words}.* while it was being recorded; recording has stopped"
    ) as first:
        file.check(CHECK_MS)
    assert first.value.exit_code == 3
    with pytest.raises(OutputLostError):
        file.write(b"b\n", lines=True)
    file.close()


def test_what_happens_after_the_last_look_is_told_at_the_end(path: Path) -> None:
    file = opened(path)
    path.unlink()
    with pytest.raises(OutputLostError, match="was removed"):
        file.close()
    file.close()


def test_a_cut_file_is_short_whatever_is_written_after_that(path: Path) -> None:
    """Written at the old place, it would have a hole of zeros and its old size."""
    file = opened(path)
    file.write(b"a\n" * 100, lines=True)
    os.truncate(path, 0)
    file.write(b"b\n", lines=True)
    assert path.read_bytes() == b"b\n"
    with pytest.raises(OutputLostError, match="was cut"):
        file.check(0.0)


def test_a_file_without_a_name_as_stdout_is_none_that_was_removed() -> None:
    with tempfile.TemporaryFile() as stdout:
        file = OutFile(os.dup(stdout.fileno()), "stdout")
        file.write(b"a\n", lines=True)
        file.check(0.0)
        file.close()


def test_a_file_has_one_writer(path: Path) -> None:
    file = opened(path)
    file.write(b"precious\n", lines=True)
    with pytest.raises(OutputBusyError, match=f"process {os.getpid()} is writing it") as caught:
        opened(path, force=True)
    assert caught.value.exit_code == 2
    assert path.read_bytes() == b"precious\n", "readers are not kept out, and nothing was emptied"
    with pytest.raises(OutputBusyError):
        opened(path)
    assert locks.is_held(path)
    file.close()
    assert not locks.is_held(path)
    opened(path, force=True).close()


def test_where_there_are_no_locks_everybody_may_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    file = opened(path)
    assert not file.locked
    assert not locks.is_held(path)
    file.close()


def test_a_reader_that_looks_for_a_moment_keeps_no_writer_out(path: Path) -> None:
    path.write_bytes(b"")
    with path.open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        threading.Timer(0.02, fcntl.flock, (reader, fcntl.LOCK_UN)).start()
        opened(path, force=True).close()


def test_who_has_a_lock_is_not_always_known(path: Path) -> None:
    path.write_bytes(b"")
    assert locks.holder(path) is None
    assert locks.holder(path.with_name("none")) is None
    assert locks.held_by(path) == "another program"
    assert not locks.is_held(path.with_name("none"))
    assert not locks.is_held("a\0b")

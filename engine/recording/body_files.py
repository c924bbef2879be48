"""The folder of bodies beside a log: each body in a file that is named by its hash, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from mockrec.formats.parquet.paths import is_uri
from mockrec.formats.schema.body import FILE_NAME
from mockrec.formats.schema.errors import FormatError, OutputError, OutputLostError

INLINE_BYTES: Final = 256 * 1024
"""Bodies of more bytes are kept beside the log."""
_TEMPORARY = ".new-"


def has_folder(output: str) -> bool:
    """Whether bodies have a place beside an output: not beside stdout, devices, pipes and objects of a store."""
    return output != "-" and not is_uri(output) and (not os.path.exists(output) or os.path.isfile(output))


class BodyFiles:
    """The folders of a run's outputs. They are made with their first body."""

    def __init__(
        self, outputs: Iterable[str], file_mode: int = 0o600, failed: Callable[[FormatError], None] | None = None
    ) -> None:
        """`outputs` are the paths of logs; `failed` hears of a body that cannot be kept, which ends the run."""
        # Absolute: a function of the user's may change the folder of the process.
        self.folders = [Path(f"{path}.bodies").absolute() for path in outputs]
        self._mode = file_mode
        self._failed = failed
        self._numbers = count()
        self._broken = False
        self._made: dict[Path, os.stat_result] = {}
        """The folders that are there, as they were when their first body came."""

    def check(self) -> None:
        """Raises `OutputLostError` when a folder with bodies is gone. May be called in another thread."""
        for folder, made in list(self._made.items()):
            try:
                there = os.path.samestat(os.stat(folder), made)
            except OSError:
                there = False
            if not there:
                raise OutputLostError(str(folder), "was removed or renamed")

    def clear(self) -> None:
        """Remove what an earlier session of the same name has left. Raises OutputError."""
        for folder in self.folders:
            try:
                for path in list(folder.glob("*")):
                    if path.name.startswith(_TEMPORARY):
                        path.unlink()
                    elif path.is_dir() and not path.is_symlink() and len(path.name) == 2:
                        _clear(path)
            except OSError as error:
                raise OutputError(str(folder), error.strerror or str(error)) from None

    def sweep(self, pid: int) -> None:
        """Remove the unfinished files of a process that has ended."""
        for folder in self.folders:
            for path in folder.glob(f"{_TEMPORARY}{pid}-*"):
                with suppress(OSError):  # it is in nobody's way: no log names it
                    path.unlink()

    def sweep_dead(self) -> None:
        """Remove the unfinished files of all processes that are no more."""
        pids = {path.name.split("-")[1] for folder in self.folders for path in folder.glob(f"{_TEMPORARY}*-*")}
        for pid in pids:
            if pid.isdecimal() and not _lives(int(pid)):
                self.sweep(int(pid))

    def open(self) -> BodyFile | None:
        """A new file; None where bodies cannot be kept (any more)."""
        if self._broken:
            return None
        folder = self.folders[0]
        path = folder / f"{_TEMPORARY}{os.getpid()}-{next(self._numbers)}"
        try:
            self._make(folder)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), self._mode)
        except OSError as error:
            self.fail(path, error)
            return None
        return BodyFile(self, path, fd)

    def put(self, data: bytes) -> str | None:
        """Keep a whole body: its hash, or None."""
        file = self.open()
        if file is None:
            return None
        file.write(data)
        return file.finish()

    def name(self, path: Path, sha256: str) -> None:
        """Give a finished file its name, in every folder. Raises OSError."""
        name = f"{sha256[:2]}/{sha256}"
        for folder in self.folders[1:]:
            self._make(folder)
            target = folder / name
            if not target.exists():
                self._make(target.parent)
                new = folder / path.name
                try:
                    os.link(path, new)
                except OSError:  # another file system, or one without links
                    shutil.copyfile(path, new)
                    new.chmod(self._mode)
                new.replace(target)
        target = self.folders[0] / name
        if target.exists():
            path.unlink()
            return
        self._make(target.parent)
        path.replace(target)

    def fail(self, path: Path, error: OSError) -> None:
        """A body cannot be kept: told once."""
        if not self._broken:
            self._broken = True
            if self._failed is not None:
                self._failed(OutputError(str(path), error.strerror or str(error)))

    def _make(self, folder: Path) -> None:
        """For those who may read the files: who may read them may enter. A folder that is gone is not made again."""
        if folder in self._made:
            return
        mode = self._mode | (self._mode & 0o444) >> 2
        try:
            folder.mkdir(mode=mode)
        except FileExistsError:
            pass
        else:
            folder.chmod(mode)
        if folder in self.folders:
            self._made[folder] = os.stat(folder)


class BodyFile:
    """A body on its way into the folder."""

    __slots__ = ("_fd", "_hash", "_path", "_spool", "size")

    def __init__(self, spool: BodyFiles, path: Path, fd: int) -> None:
        self._spool = spool
        self._path = path
        self._fd = fd
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """The next bytes."""
        if self._fd < 0:
            return
        self._hash.update(data)
        self.size += len(data)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self.abandon()
            self._spool.fail(self._path, error)

    def finish(self) -> str | None:
        """All is written: the hash, under which it can be found now; None if it could not be kept."""
        if self._fd < 0:
            return None
        fd, self._fd = self._fd, -1
        sha256 = self._hash.hexdigest()
        try:
            os.close(fd)
            self._spool.name(self._path, sha256)
        except OSError as error:
            self._spool.fail(self._path, error)
            return None
        return sha256

    def abandon(self) -> None:
        """Nobody wants it."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.close(fd)
                self._path.unlink()
            except OSError:
                pass  # it is in nobody's way: no log names it

    def __del__(self) -> None:
        self.abandon()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # somebody else's, or no number of a process
    return True


def _clear(folder: Path) -> None:
    """Only what is named as bodies are."""
    for path in list(folder.iterdir()):
        if FILE_NAME.fullmatch(f"{folder.name}/{path.name}"):
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()

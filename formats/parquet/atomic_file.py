"""A file that is there whole or not at all, in any file system.

On disk it is written under another name, synced and renamed. An object of an object store appears when it is
complete, so it is written as it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs


class AtomicFile:
    """Write to `stream`, then `publish` or `discard`. Raises `OSError`."""

    def __init__(self, filesystem: Any, path: str, file_mode: int, hidden: Path | None = None) -> None:
        """`hidden` is where it is written on disk, in the same file system; otherwise beside its place."""
        self.path = path
        self._filesystem = filesystem
        self._hidden: Path | None = None
        self.stream: Any
        if isinstance(filesystem, pafs.LocalFileSystem):
            self._hidden = hidden or Path(path).with_name(f".{Path(path).name}.{os.getpid()}.tmp")
            self._hidden.unlink(missing_ok=True)
            fd = os.open(self._hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), file_mode)
            self.stream = os.fdopen(fd, "wb", buffering=1024 * 1024)
            self._hidden.chmod(file_mode)
        else:
            self.stream = filesystem.open_output_stream(path)

    def publish(self) -> None:
        """Close it and give it its name. After a crash the whole file has that name, or nothing has."""
        if self._hidden is None:
            self.stream.close()
            return
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()
        self._hidden.replace(self.path)
        sync_folder(Path(self.path).parent)

    def discard(self) -> None:
        """Leave nothing behind, as far as that is possible."""
        try:
            self.stream.close()
            if self._hidden is not None:
                self._hidden.unlink(missing_ok=True)
            else:
                self._filesystem.delete_file(self.path)
        except OSError:
            pass  # what made us give up is the error to tell


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut, where that can be asked for."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError:
        pass  # some file systems have no such thing
    finally:
        os.close(fd)

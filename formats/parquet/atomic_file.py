"""A file that exists complete or not at all, in any file system.

On disk it is written under another name, synced and renamed. An object of an object store exists only when it is
complete, so it is written under its own name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs


class AtomicFile:
    """Write to `stream`, then `publish` or `discard`. Raises `OSError`."""

    def __init__(self, filesystem: Any, path: str, file_mode: int, hidden: Path | None = None) -> None:
        """`hidden` is the path under which it is written on disk, in the same file system; default: in its folder."""
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
        """Close the file and give it its name. After a crash the complete file has that name, or there is none."""
        if self._hidden is None:
            self.stream.close()
            return
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()
        self._hidden.replace(self.path)
        sync_folder(Path(self.path).parent)

    def discard(self) -> None:
        """Close and remove the file, as far as possible."""
        try:
            self.stream.close()
            if self._hidden is not None:
                self._hidden.unlink(missing_ok=True)
            else:
                self._filesystem.delete_file(self.path)
        except OSError:
            pass  # the error because of which the file is discarded is the one to report


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that names in it survive a power cut."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError:
        pass  # some file systems cannot sync folders
    finally:
        os.close(fd)

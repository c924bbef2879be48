"""Read the HAR in a zip, as Playwright writes it, or as people attach HARs to bug reports.

Only the HAR and the files that it names are unpacked, in chunks. A limit in proportion to the size of the zip stops
zip bombs.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from io import BufferedReader
from typing import IO, Final

from mockrec.formats.har.attached import Attached, Zip
from mockrec.formats.schema.errors import SessionError

MAGIC: Final = b"PK\x03\x04"
"""The beginning of a zip that is not empty."""
MAX_PLAIN: Final = 256 * 1024 * 1024
"""Bytes of a HAR in a zip, plus `MORE_PER_BYTE` for each byte of the zip."""
MORE_PER_BYTE: Final = 200

_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OSError,
)


class ZippedHar:
    """The HAR in the zip as a binary file."""

    def __init__(self, name: str, file: BufferedReader) -> None:
        """Raises `SessionError`."""
        self._name = name
        self._file = file
        try:
            self._archive = zipfile.ZipFile(file)
            inside = self._choose()
            stored = os.fstat(file.fileno()).st_size
            self._har: IO[bytes] = self._archive.open(inside)
        except _ERRORS as error:
            raise SessionError(name, f"this zip cannot be read: {error or 'it is damaged'}") from None
        self._left = MAX_PLAIN + MORE_PER_BYTE * stored
        folder, slash, _ = inside.rpartition("/")
        self.attached: Attached = Zip(self._archive, folder + slash, stored)
        """Reads the files that the HAR names."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes of the HAR. Raises `SessionError`."""
        try:
            data = self._har.read(size)
        except _ERRORS as error:
            raise SessionError(self._name, f"the HAR in this zip is damaged: {error or 'it ends too early'}") from None
        self._left -= len(data)
        if self._left < 0:
            raise SessionError(
                self._name, "the HAR in this zip is far larger than the zip: unpack it and give its own name"
            )
        return data

    def close(self) -> None:
        """Close the file."""
        self._har.close()
        self._archive.close()
        self._file.close()

    def _choose(self) -> str:
        names = [name for name in self._archive.namelist() if not name.startswith("__MACOSX/")]
        hars = [name for name in names if name.lower().endswith((".har", ".har.json"))]
        if len(hars) == 1 or "har.har" in hars:
            return "har.har" if "har.har" in hars else hars[0]
        if hars:
            raise SessionError(
                self._name, f"this zip has {len(hars)} HARs in it ({', '.join(hars[:3])}, …): unpack it and give one"
            )
        if any(name.startswith("raw/") for name in names):
            raise SessionError(self._name, "this is an archive of Fiddler (SAZ): export the sessions as HTTPArchive")
        raise SessionError(self._name, "this zip has no HAR in it")

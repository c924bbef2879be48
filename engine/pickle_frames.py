"""Messages between the processes of a run: pickled objects, each preceded by its length.

Only for private sockets between a process and its children: unpickling executes what the other side sends.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from types import MappingProxyType
from typing import Any, Final

LENGTH_BYTES: Final = 8


def to_frame(message: object) -> bytes:
    """Encode `message` with its length in front."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, pickle.HIGHEST_PROTOCOL)
    # Rules contain read-only views of dicts, which pickle does not support.
    pickler.dispatch_table = copyreg.dispatch_table | {MappingProxyType: _reduce_view}
    file.write(bytes(LENGTH_BYTES))
    pickler.dump(message)
    file.seek(0)
    file.write((file.getbuffer().nbytes - LENGTH_BYTES).to_bytes(LENGTH_BYTES))
    return file.getvalue()


def _reduce_view(view: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return _view, (dict(view),)


def _view(plain: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(plain)

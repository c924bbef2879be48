"""What goes between a recorder and its helpers: pickled, with its length before it, over a private pair of sockets."""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

LENGTH_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Job:
    """A function to be called in a helper, found there by its name.

    It gets `subject` first where `subject_id` is not None; `subject` is None where the helper still has it.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    subject_id: str | None = None
    subject: Any = None


@dataclass(frozen=True, slots=True)
class Done:
    """What the function has returned, or `error`, which it has raised."""

    result: Any = None
    error: Exception | None = None


def packed(message: Job | Done) -> bytes:
    """A message with its length before it."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, pickle.HIGHEST_PROTOCOL)
    # Rules hold read-only views, which pickle does not know.
    pickler.dispatch_table = copyreg.dispatch_table | {MappingProxyType: _plain}
    file.write(bytes(LENGTH_BYTES))
    pickler.dump(message)
    file.seek(0)
    file.write((file.getbuffer().nbytes - LENGTH_BYTES).to_bytes(LENGTH_BYTES))
    return file.getvalue()


def _plain(view: MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    return _view, (dict(view),)


def _view(plain: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(plain)

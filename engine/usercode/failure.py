"""Describes an exception of a user's function: the function, its file and line, and the user's own frames."""

from __future__ import annotations

import functools
import inspect
import os
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final

import msgspec

MOST_TEXT: Final = 8 * 1024
"""Characters of a message that are shown or recorded: the message of an exception may have any length."""
_MOST_FRAMES: Final = 8
_ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_OURS: Final = tuple(os.path.join(_ROOT, package, "") for package in ("cli", "engine", "formats"))
_LIBRARIES: Final = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


class Failure(msgspec.Struct, frozen=True):
    """A function that has failed, as it is shown to the user. Plain strings: workers send it to their parent."""

    function: str
    """`handlers.py:12: answer()`."""
    error: str
    """`ValueError: expected a number`."""
    frames: Sequence[str] = ()
    """The user's frames of the traceback, outermost first: `handlers.py:14 in answer: return int(text)`."""

    def __str__(self) -> str:
        return f"{self.function} raised {self.error}"


class UserError(Exception):
    """A user's function has raised `error`, which may be any BaseException, or returned a wrong value."""

    def __init__(self, function: Callable[..., Any], error: BaseException) -> None:
        self.error = error
        self.failure = Failure(name_of(function), text_of(error), frames_of(error))
        super().__init__(str(self.failure))


def name_of(function: Callable[..., Any]) -> str:
    """`handlers.py:12: answer()`: where a function begins, and its name."""
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    try:
        inner = inspect.unwrap(inner)
    except ValueError:
        pass  # wrapped in a circle
    name = getattr(function, "__name__", None) or getattr(inner, "__name__", None) or type(inner).__name__
    code = getattr(getattr(inner, "__func__", inner), "__code__", None)
    if code is None:
        code = getattr(getattr(type(inner), "__call__", None), "__code__", None)  # noqa: B004 - its code is wanted
    place = f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}: " if code is not None else ""
    return f"{place}{name}()"


def text_of(error: BaseException) -> str:
    """`Type: message`; an exception whose own methods fail is described, too."""
    name = type(error).__name__
    try:
        message = str(error)
    except BaseException as failed:
        message = f"<its text cannot be shown: {type(failed).__name__}>"
    return f"{name}: {shortened(message)}" if message else name


def shortened(text: str) -> str:
    """`text`, shortened to `MOST_TEXT` characters."""
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text)} characters)"


def described(error: BaseException) -> dict[str, str]:
    """An exception as records have it, with a traceback that begins in the user's code."""
    text = text_of(error)
    name, _, message = text.partition(": ")
    return {"name": name, "message": message, "stack": shortened(_stack(error))}


def _stack(error: BaseException) -> str:
    try:
        trace = traceback.TracebackException(type(error), error, error.__traceback__)
    except BaseException as failed:  # a hostile __str__, __cause__ or __notes__
        return f"{text_of(error)} (its traceback cannot be shown: {type(failed).__name__})"
    while trace.stack and _is_ours(trace.stack[0].filename) and len(trace.stack) > 1:
        trace.stack.pop(0)
    return "".join(trace.format())


def frames_of(error: BaseException) -> tuple[str, ...]:
    """The user's frames of a traceback, outermost first, without ours and those of libraries."""
    try:
        own = _own_frames(error) or (_own_frames(error.__cause__) if error.__cause__ is not None else [])
    except BaseException:
        return ()
    shown = own if len(own) <= _MOST_FRAMES else [*own[: _MOST_FRAMES // 2], *own[-_MOST_FRAMES // 2 :]]
    return tuple(
        f"{os.path.basename(frame.filename)}:{frame.lineno} in {frame.name}" + (f": {frame.line}" if frame.line else "")
        for frame in shown
    )


def _own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(error.__traceback__)
    return [one for one in frames if not (_is_ours(one.filename) or one.filename.startswith(_LIBRARIES))]


def place_in(frame: FrameType | None) -> str | None:
    """The innermost line of the user's that a thread executes: `handlers.py:14 in answer()`; None outside of any."""
    while frame is not None:
        name = frame.f_code.co_filename
        if not (_is_ours(name) or name.startswith(("<frozen", *_LIBRARIES))):
            return f"{os.path.basename(name)}:{frame.f_lineno} in {frame.f_code.co_name}()"
        frame = frame.f_back
    return None


def _is_ours(file: str) -> bool:
    return file.startswith(_OURS)

"""The only module that prints: data to stdout, everything else to stderr, in plain text.

Text from the wire goes through `escape` first: a recorded header must not control a terminal.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import IO, NoReturn, TextIO

from mockrec.cli import cells
from mockrec.cli.fitting import Fit
from mockrec.formats.schema.errors import OutputError
from mockrec.formats.text import quantities

duration = quantities.show_duration
size = quantities.show_size

DEFAULT_COLUMNS = 80
_SAMPLE = 500
"""Rows from which a table takes its column widths; later rows are printed as they come."""

_COLOURS = {"red": "31", "green": "32", "blue": "34", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}

# C0 and C1 controls, line and paragraph separators, direction marks and overrides, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_BUT_LINES = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}


class _Level:
    """The verbosity of stderr: set by --quiet and --verbose, once for each command."""

    quiet = False
    verbose = False
    color = "auto"


class _Redirected:
    """Where data goes instead of stdout, and the messages that wait until the pager has ended."""

    stream: IO[str] | None = None
    held: list[str] | None = None


def set_quiet(value: bool) -> None:
    """Print only errors."""
    _Level.quiet = value


def set_verbose(value: bool) -> None:
    """Print details too."""
    _Level.verbose = value


def set_color(mode: str) -> None:
    """Use colour `always`, `never`, or `auto`: by the environment and where the output goes."""
    _Level.color = mode


def data(text: str) -> None:
    """Print the command's output: one or several lines on stdout. Raises `OutputError` if stdout fails."""
    if _Redirected.stream is not None:
        _Redirected.stream.write(f"{text}\n")  # a pager that has ended raises BrokenPipeError
        return
    try:
        sys.stdout.write(f"{text}\n")
    except OSError as error:
        _give_up_stdout(error)


def redirect(stream: IO[str] | None, *, hold: bool = False) -> None:
    """Send data to a pager, and hold what is for stderr. With None and `hold`, only hold it."""
    _Redirected.stream = stream
    if stream is not None or hold:
        _Redirected.held = _Redirected.held or []


def release() -> None:
    """Print what was held for stderr while a pager ran."""
    held, _Redirected.held = _Redirected.held or [], None
    for text in held:
        _to_stderr(text)


def flush() -> None:
    """Flush what `data` has buffered. Raises `OutputError` if stdout fails."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _give_up_stdout(error)
    except (ValueError, AttributeError):
        pass  # a user function has closed it, which flushed it


def _give_up_stdout(error: OSError) -> NoReturn:
    """Handle a failed stdout: its reader has gone, which `main` handles, or its disk is full."""
    forget_stdout()
    if isinstance(error, BrokenPipeError):
        raise error
    raise OutputError("stdout", error.strerror or str(error)) from None


def forget_stdout() -> None:
    """Discard what is buffered for stdout, so that the interpreter does not fail to flush it at exit."""
    try:
        stdout = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stdout)
        os.close(null)
    except (OSError, ValueError):
        pass


def note(text: str) -> None:
    """Print information on stderr; muted by --quiet."""
    if not _Level.quiet:
        _to_stderr(text)


def detail(text: str) -> None:
    """Print a detail on stderr, with --verbose only."""
    if _Level.verbose and not _Level.quiet:
        _to_stderr(text)


def warn(text: str) -> None:
    """Print a warning on stderr; muted by --quiet."""
    if not _Level.quiet:
        _to_stderr(f"{style('mockrec: warning:', 'yellow', sys.stderr)} {text}")


def fail(text: str) -> None:
    """Print an error on stderr; never muted."""
    _to_stderr(f"{style('mockrec:', 'red', sys.stderr)} {text}")


def problems(text: str) -> None:
    """Print lines that begin with `file:line:column:` on stderr; never muted."""
    _to_stderr(text)


def progress_wanted() -> bool:
    """Whether stderr is a terminal."""
    if _Level.quiet or _Redirected.held is not None:
        return False
    return is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"


def progress(text: str) -> None:
    """Print a line on stderr that replaces the last such line; empty removes it. Only on a terminal."""
    if not progress_wanted():
        return
    try:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
    except OSError:
        pass


def _to_stderr(text: str) -> None:
    if _Redirected.held is not None:
        _Redirected.held.append(text)
        return
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        # Its reader has gone or its disk is full, which must not change what the command does.
        pass
    except (ValueError, AttributeError):
        # A user function has closed or replaced the stream; the descriptor still works.
        with contextlib.suppress(OSError):
            os.write(2, f"{text}\n".encode(errors="backslashreplace"))


def escape(text: str, *, keep_lines: bool = False) -> str:
    """Return text from the wire with control characters as `\\n`, `\\x1b`, `\\u202e`.

    With `keep_lines`, line feeds and tabs stay.
    """
    return (_UNSAFE_BUT_LINES if keep_lines else _UNSAFE).sub(_escape_one, text)


def escape_json(text: str) -> str:
    """Return equal JSON in one line, without characters that could control a terminal."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape_one(match: re.Match[str]) -> str:
    character = match[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal; also if a user function has closed or replaced it."""
    try:
        return stream.isatty()
    except (ValueError, AttributeError):
        return False


def colour_wanted(stream: TextIO) -> bool:
    """Whether to use colour: on a terminal. `--color` decides first, then NO_COLOR (https://no-color.org), then
    FORCE_COLOR (https://force-color.org)."""
    if _Level.color != "auto":
        return _Level.color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR")
    if forced:
        return forced not in ("0", "false")
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int | None:
    """Return the width of the terminal that a stream goes to, 80 if it is not known; None without a terminal."""
    if not is_terminal(stream):
        return None
    try:
        wide = int(os.environ.get("COLUMNS", "")) or os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        try:
            wide = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError, AttributeError):
            wide = 0
    return wide if wide > 0 else DEFAULT_COLUMNS


def style(text: str, colour: str, stream: TextIO) -> str:
    """`text` in a colour (or `bold`, `dim`) if it is going to a terminal."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if text and colour_wanted(stream) else text


def escape_start(text: str) -> str:
    """Return the escaped beginning of a text: what a cell may show, and a little more if the text is longer."""
    return escape(text[: cells.MOST + 1])


def escape_url(url: str) -> str:
    """Return an escaped URL for a column that is cut in the middle, with its encoded UTF-8 as characters."""
    if len(url) > 2 * cells.MOST:
        url = f"{url[: cells.MOST]}…{url[-cells.MOST :]}"
    return escape(cells.readable_url(url))


def cell(text: str) -> str:
    """Return a text as a cell of a table shows it."""
    return cells.cut(escape_start(text))


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
    whole: str = "",
    fit: Fit | None = None,
    colour: Callable[[int, str], str] | None = None,
) -> None:
    """Print columns on stdout, two spaces apart; those in `right` are right-aligned.

    The texts must be escaped already. Widths come from the first rows, so that a long table needs no memory; a longer
    text further down pushes its line to the right. No cell is wider than `cells.MOST`; if one was cut, the last line
    names the option (`whole`) that prints it whole.
    """
    for line in table_lines(header, rows, right=right, whole=whole, fit=fit, colour=colour):
        data(line)


def table_lines(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
    whole: str = "",
    least: Sequence[int] | None = None,
    fit: Fit | None = None,
    colour: Callable[[int, str], str] | None = None,
) -> Iterator[str]:
    """Yield the lines of `table`. With `least` (column widths) the first line needs only the first row.

    `fit`: cut cells so that lines fit a terminal. `colour`: column and text → name of a colour, or an empty text.
    """
    count = 0

    def cut(row: Sequence[str]) -> list[str]:
        nonlocal count
        short = [
            text if fit is not None and column in fit.middle else cells.cut(text) for column, text in enumerate(row)
        ]
        count += sum(one != text for one, text in zip(short, row, strict=True))
        return short

    remaining = map(cut, rows)
    sample = [list(header), *islice(remaining, _SAMPLE if least is None else 1)]
    known = least or [0] * len(header)
    widths = [max(known[column], *(cells.width(row[column]) for row in sample)) for column in range(len(header))]
    shown = dict(enumerate(widths)) if fit is None else fit.columns(widths)
    for number, row in enumerate(chain(sample, remaining)):
        line = []
        for column, room in shown.items():
            text = row[column]
            if fit is not None and cells.width(text) > room:
                text = fit.cut(column, text, room)
                count += text != row[column]
            padded = cells.pad(text, room, right=column in right)
            name = colour(column, row[column]) if colour is not None and number else ""
            line.append(padded.replace(text, style(text, name, sys.stdout), 1) if name and text else padded)
        yield "  ".join(line).rstrip()
    if count and fit is None:
        hint = f"; {whole} shows them whole" if whole else ""
        note(f"{plural(count, 'cell')} of more than {cells.MOST} characters cut{hint}")
    elif count and whole:
        note(f"{plural(count, 'cell')} cut to fit {fit.width if fit else 0} columns; {whole} shows them whole")


def plural(count: int, noun: str) -> str:
    """`1 exchange`, `2 exchanges`."""
    ending = "" if count == 1 else "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{count} {noun}{ending}"

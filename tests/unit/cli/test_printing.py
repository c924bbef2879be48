"""What is printed where: escaped, muted, coloured, in columns; and outputs that take no more."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Callable, Iterator

import pytest

from mockrec.cli import printing
from mockrec.formats.schema.errors import OutputError


class Stream(io.StringIO):
    """A text stream that may be a terminal and may fail."""

    def __init__(self, *, terminal: bool = False, failure: OSError | None = None) -> None:
        super().__init__()
        self.terminal = terminal
        self.failure = failure

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str, /) -> int:
        if self.failure is not None:
            raise self.failure
        return super().write(text)

    def flush(self) -> None:
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


# ── escaping ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 😀 ~", "plain é 😀 ~"),
        ("a\tb\nc\rd", r"a\tb\nc\rd"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x00\x1f\x7f\x80\x9f\xa0", "\\x00\\x1f\\x7f\\x80\\x9f\xa0"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\u2028\u2029\u200e\u061c", r"\u2028\u2029\u200e\u061c"),
        ("\ud800", r"\ud800"),
        ("", ""),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printing.escape(text) == shown


def test_lines_and_tabs_may_stay() -> None:
    assert printing.escape("a\tb\nc\rd\x1b\x0b\x00\u202e", keep_lines=True) == "a\tb\nc\\rd\\x1b\\x0b\\x00\\u202e"


def test_json_says_the_same_without_what_could_steer_a_terminal() -> None:
    text = 'a\x7f\x9b\u202e"'
    shown = printing.escape_json(json.dumps(text, ensure_ascii=False))
    assert shown == '"a\\u007f\\u009b\\u202e\\""'
    assert json.loads(shown) == text


# ── where things go ────────────────────────────────────────────────────────────────────────────────


def test_data_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    printing.data("one\ntwo")
    assert capsys.readouterr() == ("one\ntwo\n", "")


@pytest.mark.parametrize(
    ("say", "text"),
    [
        (printing.note, "hello\n"),
        (printing.warn, "mockrec: warning: hello\n"),
        (printing.fail, "mockrec: hello\n"),
        (printing.problems, "hello\n"),
    ],
)
def test_all_else_goes_to_stderr(capsys: pytest.CaptureFixture[str], say: Callable[[str], None], text: str) -> None:
    say("hello")
    assert capsys.readouterr() == ("", text)


@pytest.mark.parametrize(
    ("quiet", "verbose", "said"),
    [
        (False, False, "dnwfp"),
        (True, False, "dfp"),
        (False, True, "dnvwfp"),
        (True, True, "dfp"),
    ],
)
def test_how_much_is_said(capsys: pytest.CaptureFixture[str], quiet: bool, verbose: bool, said: str) -> None:
    printing.set_quiet(quiet)
    printing.set_verbose(verbose)
    printing.data("d")
    printing.note("n")
    printing.detail("v")
    printing.warn("w")
    printing.fail("f")
    printing.problems("p")
    out, err = capsys.readouterr()
    assert "".join(line[-1] for line in (out + err).splitlines()) == said


# ── outputs that take no more ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("use", [lambda: printing.data("x"), printing.flush])
def test_a_stdout_without_room_is_a_failed_output(monkeypatch: pytest.MonkeyPatch, use: Callable[[], None]) -> None:
    monkeypatch.setattr("sys.stdout", Stream(failure=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OutputError, match=r"^cannot write stdout: No space left on device$") as caught:
        use()
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("use", [lambda: printing.data("x"), printing.flush])
def test_a_reader_who_went_away_is_told_from_it(monkeypatch: pytest.MonkeyPatch, use: Callable[[], None]) -> None:
    monkeypatch.setattr("sys.stdout", Stream(failure=BrokenPipeError(errno.EPIPE, "Broken pipe")))
    with pytest.raises(BrokenPipeError):
        use()


@pytest.mark.parametrize("failure", [BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError(errno.ENOSPC, "Full")])
def test_a_stderr_that_nobody_reads_changes_nothing(monkeypatch: pytest.MonkeyPatch, failure: OSError) -> None:
    stream = Stream(failure=failure)
    monkeypatch.setattr("sys.stderr", stream)
    printing.note("a")
    printing.warn("b")
    printing.fail("c")
    assert stream.getvalue() == ""


# ── colour ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("plain_environment")
def test_colour_is_for_terminals() -> None:
    assert printing.style("x", "red", Stream(terminal=True)) == "\x1b[31mx\x1b[0m"
    assert printing.style("x", "red", Stream()) == "x"


@pytest.mark.usefixtures("plain_environment")
def test_nothing_has_no_colour() -> None:
    assert printing.style("", "red", Stream(terminal=True)) == ""


@pytest.mark.usefixtures("plain_environment")
@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [("NO_COLOR", "1", False), ("NO_COLOR", "", True), ("TERM", "dumb", False), ("TERM", "xterm", True)],
)
def test_the_environment_may_ask_for_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: bool) -> None:
    monkeypatch.setenv(name, value)
    assert printing.colour_wanted(Stream(terminal=True)) is wanted


# ── tables ─────────────────────────────────────────────────────────────────────────────────────────


def test_columns_are_as_wide_as_their_widest_text() -> None:
    lines = printing.table_lines(("A", "LONG"), [("aaa", "b"), ("", "ccccc")])
    assert list(lines) == ["A    LONG", "aaa  b", "     ccccc"]


def test_columns_may_be_aligned_to_the_right() -> None:
    lines = printing.table_lines(("N", "X"), [("1", "a"), ("100", "b")], right=frozenset({0}))
    assert list(lines) == ["  N  X", "  1  a", "100  b"]


def test_a_table_without_rows_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    printing.table(("A", "B"), [])
    assert capsys.readouterr().out == "A  B\n"


def test_a_long_table_is_printed_as_it_comes() -> None:
    taken = 0

    def rows() -> Iterator[tuple[str]]:
        nonlocal taken
        for number in range(100_000):
            taken += 1
            yield (str(number),)

    lines = printing.table_lines(("N",), rows())
    assert [next(lines), next(lines)] == ["N", "0"]
    assert taken < 1000
    assert list(lines)[-1] == "99999"


# ── numbers ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, ""),
        (0, "0.00ms"),
        (0.424, "0.42ms"),
        (1, "1.0ms"),
        (3.14, "3.1ms"),
        (99.94, "99.9ms"),
        (99.95, "100ms"),
        (182.4, "182ms"),
        (999.4, "999ms"),
        (999.5, "1.00s"),
        (1250, "1.25s"),
        (59_994, "59.99s"),
        (59_995, "1m00s"),
        (125_000, "2m05s"),
        (3_599_499, "59m59s"),
        (3_599_500, "1h00m00s"),
        (90_061_000, "25h01m01s"),
        (float("inf"), "?"),
        (1e308, "?"),
        (-1e308, "?"),
        (9e13, "25000000h00m00s"),
        (float("nan"), "?"),
    ],
)
def test_durations(milliseconds: float | None, text: str) -> None:
    assert printing.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (3 * 1024**2, "3.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (2 * 1024**4, "2.0 TiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert printing.size(count) == text


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "exchange", "0 exchanges"),
        (1, "exchange", "1 exchange"),
        (2, "exchange", "2 exchanges"),
        (2, "match", "2 matches"),
        (2, "miss", "2 misses"),
        (1, "match", "1 match"),
    ],
)
def test_plurals(count: int, noun: str, text: str) -> None:
    assert printing.plural(count, noun) == text

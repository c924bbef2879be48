"""What the terminal shows: widths, cuts, colours, the pager, live lines."""

from __future__ import annotations

import math
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mockrec.cli import cells, output_pauses, paging, printing
from mockrec.cli.__main__ import main
from mockrec.cli.fitting import Fit
from mockrec.cli.live_lines import LiveLines, line
from mockrec.cli.sparkline import sparkline
from mockrec.engine.message.summary import ExchangeSummary

Mockrec = Callable[..., Any]
A = "01a22a91-22e4-7ae3-87ac-3facbdf4d3fd"
B = "01a22a91-22e4-7ae4-94c0-8445fac4e7d1"
C = "01a22a91-22f1-7a8f-94c0-8445fac4e7d1"
JAPANESE = "https://shop.test/%E5%95%86%E5%93%81/%E4%B8%80%E8%A6%A7?q=a%20b"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """stdout and stderr are terminals of that width, without colour unless a test asks for it."""

    def be(width: int) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr(printing, "is_terminal", lambda stream: True)

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("MOCKREC_PAGER", "")
    yield be
    printing.set_color("auto")


# ── cells ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefgh", 5, "ab…gh"),
        ("abcdefgh", 6, "abc…gh"),
        ("商品一覧商品一覧", 7, "商品…覧"),
        ("商品一覧商品一覧", 9, "商品…一覧"),
        ("😀😀😀😀", 6, "😀…😀"),
        ("abcdef", 2, "a…"),
        ("abcdef", 1, "…"),
    ],
)
def test_texts_are_cut_in_the_middle(text: str, most: int, cut: str) -> None:
    assert cells.cut_middle(text, most) == cut
    assert cells.width(cut) <= most


def test_urls_are_shown_as_they_are_read() -> None:
    assert cells.readable_url(JAPANESE) == "https://shop.test/商品/一覧?q=a%20b"
    assert cells.readable_url("/%C3%A9%2F%0a%FF%E2%80%AE") == "/é%2F%0a%FF%E2%80%AE"


def test_a_url_that_is_too_long_loses_its_scheme_first() -> None:
    assert cells.cut_url("https://shop.test/a", 19) == "https://shop.test/a"
    assert cells.cut_url("https://shop.test/a", 18) == "shop.test/a"
    assert cells.cut_url("wss://shop.test/abc", 9) == "shop…/abc"
    assert cells.cut_url("shop.test:443/abcdef", 11) == "shop.…bcdef"


def test_wide_texts_are_wrapped_by_their_width() -> None:
    assert cells.wrapped("商品一覧", 5) == ["商品", "一覧"]
    assert cells.wrapped("", 5) == []


def test_columns_that_may_shrink_do() -> None:
    fit = Fit(40, {1: 10, 2: 4}, frozenset({1}))
    assert fit.columns([6, 60, 20]) == {0: 6, 1: 15, 2: 15}
    assert sum(fit.columns([6, 60, 20]).values()) + 4 == 40
    assert fit.columns([6, 10, 4]) == {0: 6, 1: 10, 2: 4}


def test_columns_that_do_not_fit_are_left_out() -> None:
    fit = Fit(20, {2: 8}, optional=(1, 0))
    assert fit.columns([6, 7, 30]) == {0: 6, 2: 12}
    assert fit.columns([14, 7, 30]) == {2: 20}


# ── tables ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def session(recording: Any, tmp_path: Path) -> Path:
    recording.start().exchange(A, url=JAPANESE * 3).exchange(B, statusCode=503, matchedRuleId="a-long-name " * 4)
    recording.exchange(C, statusCode=404, url="https://shop.test/" + "x" * 300 + "/end")
    return recording.end().write(tmp_path / "s.jsonl")


@pytest.mark.parametrize("width", [80, 100, 132])
@pytest.mark.parametrize("command", ["show", "stats", "filter"])
def test_tables_fit_the_terminal(
    capfd: pytest.CaptureFixture[str], terminal: Any, session: Path, command: str, width: int
) -> None:
    terminal(width)
    fields = ["--fields", "time,method,status,url,path,rule"] if command == "filter" else []
    assert main([command, str(session), *fields]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert any("…" in one for one in lines) or (command, width > 80) == ("filter", True)
    assert max(map(cells.width, lines)) <= width


def test_columns_without_a_text_leave_their_room_to_urls(
    mockrec: Mockrec, terminal: Any, recording: Any, tmp_path: Path
) -> None:
    path = recording.start().exchange(A, matchedRuleId=None).end().write(tmp_path / "plain.jsonl")
    assert mockrec("show", path).out.splitlines()[0].split() == [
        "STATUS", "METHOD", "URL", "DURATION", "RULE", "ID", "NOTE",
    ]  # fmt: skip
    terminal(80)
    assert mockrec("show", path).out.splitlines()[0].split() == ["STATUS", "METHOD", "URL", "DURATION", "ID"]


def test_ids_are_as_long_as_they_need_to_be(mockrec: Mockrec, terminal: Any, session: Path) -> None:
    assert A in mockrec("show", session).out
    terminal(80)
    shown = mockrec("show", session).out
    for one in (A, B, C):
        assert f"  {one[:18]}" in shown
        assert one not in shown
        assert mockrec("show", session, one[:18]).code == 0
    assert A in mockrec("show", session, "--wide").out


def test_paths_in_other_scripts_are_readable(mockrec: Mockrec, terminal: Any, session: Path) -> None:
    terminal(200)
    assert "https://shop.test/商品/一覧?q=" in mockrec("show", session).out
    assert JAPANESE in mockrec("show", session, "--wide").out


def test_a_limit_lists_the_first(mockrec: Mockrec, session: Path) -> None:
    done = mockrec("show", session, "--limit", 2)
    assert len(done.lines) == 3
    assert done.err == "3 exchanges; the first 2 are listed (--limit)\n"
    assert len(mockrec("show", session, "--limit", 1, "--as", "json").lines) == 1


def test_a_session_that_is_being_recorded(
    mockrec: Mockrec, recording: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.start().add("request-initiated", A)
    path = recording.write(tmp_path / "live.jsonl")
    assert mockrec("show", path).lines[1].endswith("has no end")
    monkeypatch.setattr("mockrec.formats.sessions.live.recorder_of", lambda path: "process 7")
    done = mockrec("show", path)
    assert done.lines[1].endswith("being recorded")
    assert "cut off" not in done.err


# ── colour ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("mode", "environment", "wanted"),
    [
        ("auto", {}, False),
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "0"}, False),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_who_decides_on_colour(
    monkeypatch: pytest.MonkeyPatch, mode: str, environment: dict[str, str], wanted: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    printing.set_color(mode)
    try:
        with open(os.devnull) as stream:
            assert printing.colour_wanted(stream) is wanted
    finally:
        printing.set_color("auto")


def test_the_status_has_a_colour(mockrec: Mockrec, session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = mockrec("show", session).out
    coloured = mockrec("show", session, "--color", "always").out
    assert "\x1b[32m201\x1b[0m" in coloured
    assert "\x1b[31m503\x1b[0m" in coloured
    for code in (31, 32, 33):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured.replace("\x1b[0m", "") == plain
    assert mockrec("show", session, "--color", "sometimes").code == 2
    assert "\x1b" not in mockrec("show", session).out, "an option is for one command line"


# ── pager ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_pager_gets_the_data_and_messages_come_after_it(
    terminal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(80)
    monkeypatch.setenv("TERM", "xterm")
    program = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    monkeypatch.setenv("MOCKREC_PAGER", f"'{sys.executable}' -c \"{program}\" '{tmp_path / 'paged'}'")
    with paging.paged():
        printing.data("one")
        printing.note("held")
        assert capsys.readouterr() == ("", "")
        printing.data("two")
    assert (tmp_path / "paged").read_text() == "one\ntwo\n"
    assert capsys.readouterr() == ("", "held\n")


def test_a_reader_who_has_seen_enough(terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(80)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("MOCKREC_PAGER", f"'{sys.executable}' -c pass")
    written = 0
    with paging.paged():
        while written < 10_000_000:
            printing.data("x" * 100_000)
            written += 100_000
    assert written < 10_000_000


@pytest.mark.parametrize("pager", ["", "cat", "no-such-pager --x"])
def test_without_a_pager_all_is_printed(
    terminal: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pager: str
) -> None:
    terminal(80)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("MOCKREC_PAGER", pager)
    with paging.paged():
        printing.data("one")
    assert capsys.readouterr().out == "one\n"


# ── statistics ─────────────────────────────────────────────────────────────────────────────────────


def test_a_histogram_in_a_line() -> None:
    assert sparkline([]) == ""
    assert sparkline([0.5, float("nan")]).rstrip() == "▆"
    assert len(sparkline([0.1, 50, 1e9])) == 10
    assert sparkline([5.0] * 100 + [20_000.0]) == " █       ▁"


def test_the_bins_of_a_histogram_are_equal_on_a_logarithmic_scale() -> None:
    dice = random.Random(1)
    for value in [*(10 ** dice.uniform(0, 4) for _ in range(2_000)), *(10 ** (step / 2.5) for step in range(11))]:
        expected = min(9, int(math.log(value) / math.log(10_000) * 10))
        bars = sparkline([value])
        assert [number for number, bar in enumerate(bars) if bar != " "] == [expected], value


def test_statistics_as_csv_and_markdown(mockrec: Mockrec, session: Path) -> None:
    header, *rows = mockrec("stats", session, "--as", "csv").lines
    assert header.startswith("method,host,path,count,failed,latency_p50,")
    assert len(rows) == 3
    text = mockrec("stats", session, "--as", "markdown").out
    assert text.startswith("**3 exchanges**")
    assert "| `POST shop.test/%E5%95%86" in text
    found = mockrec("stats", session, "--as", "json").out
    assert '"rate":' in found


def test_markup_of_others_is_none(mockrec: Mockrec, recording: Any, tmp_path: Path) -> None:
    recording.start().exchange(A, url="https://x.test/`a|b``<img src=x>")
    text = mockrec("stats", recording.end().write(tmp_path / "m.jsonl"), "--as", "markdown").out
    row = next(one for one in text.splitlines() if "img" in one)
    assert row.startswith("| ``` POST x.test/")
    assert row.replace("\\|", "").count("|") == 10


# ── while recording ────────────────────────────────────────────────────────────────────────────────


def ended(what: str = "GET /x", status: int = 502, cause: str = "dns: no such host", **more: Any) -> ExchangeSummary:
    return ExchangeSummary(what, status, more.pop("aborted", False), 12.5, more.pop("rule", ""), False, **{
        "host": "api.test", "cause": cause, "ended_at": 0.0, **more
    })  # fmt: skip


def test_a_line_says_what_and_why(terminal: Any) -> None:
    assert line(ended())[8:] == "  502  GET  api.test/x  12.5ms  dns: no such host"
    assert line(ended(status=200, cause="", rule="greet", host=""))[8:] == "  200  GET  /x  12.5ms  greet"
    terminal(80)
    for path in ("/" + "x" * 300, "/" + "商" * 100):
        assert cells.width(line(ended(what=f"GET {path}"))) <= 80


def test_repeated_failures_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    lines = LiveLines()
    for _ in range(123):
        lines.add(ended())
    lines.add(ended(what="GET /y"))
    lines.flush()
    shown = capsys.readouterr().err.splitlines()
    assert [one[8:].partition("host")[2] for one in shown] == ["", "  (10×)", "  (100×)", ""]
    assert lines.failures[("GET api.test/x", "dns: no such host")] == 123


def test_a_flood_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    lines = LiveLines()
    for number in range(2000):
        lines.add(ended(status=200, cause="", what=f"GET /{number}"))
    lines.flush()
    shown = capsys.readouterr().err.splitlines()
    assert (len(shown), shown[-1]) == (501, "… and 1500 exchanges more")


class Watch:
    paused = False

    def is_paused(self) -> bool:
        return self.paused


def test_lines_wait_for_the_command(terminal: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    terminal(40)
    monkeypatch.setenv("TERM", "xterm")
    lines, watch = LiveLines(), Watch()
    lines.watch = watch  # type: ignore[assignment]
    lines.add(ended())
    lines.flush()
    assert capsys.readouterr().err == ""
    watch.paused = True
    lines.flush()
    assert capsys.readouterr().err.startswith(" " * 40 + "\r\x1b[K")
    watch.paused = False
    lines.add(ended(what="GET /y"))
    lines.flush(last=True)
    assert "/y" in capsys.readouterr().err


def test_a_pause_is_some_time_without_output(monkeypatch: pytest.MonkeyPatch) -> None:
    now, written = [0.0], [{1: 10}]
    monkeypatch.setattr(output_pauses.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(output_pauses, "_written_by", lambda pid: written[0])
    watch = output_pauses.OutputWatch(1)
    assert not watch.is_paused()
    now[0] = 1.0
    assert watch.is_paused()
    written[0] = {1: 11}
    assert not watch.is_paused()
    now[0] = 2.0
    written[0] = None  # type: ignore[call-overload]
    assert not watch.is_paused(), "where the system does not say, COMMAND may be writing"
    now[0] = 3.0
    assert not watch.is_paused()

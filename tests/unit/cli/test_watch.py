"""`mockrec watch`: what it keeps of a session, and what its screen shows."""

from __future__ import annotations

import asyncio
import html
import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from textual.css.query import NoMatches

from mockrec.cli import cells, watch_model
from mockrec.cli.watch_app import WatchApp, row_line
from mockrec.cli.watch_model import WatchModel
from mockrec.formats.query.errors import FilterError

Mockrec = Callable[..., Any]
IDS = [f"{digit * 8}-1111-7000-8000-000000000000" for digit in "abcdef"]


def fill(model: WatchModel, recording: Any) -> None:
    for line in recording.data.splitlines():
        model.add(line, orjson.loads(line))


@pytest.fixture
def session(recording: Any, tmp_path: Path) -> Path:
    recording.start().exchange(IDS[0], url="https://shop.test/first", statusCode=200)
    recording.exchange(IDS[1], url="https://shop.test/broken", statusCode=503)
    recording.exchange(IDS[2], url="https://shop.test/%E5%95%86%E5%93%81", statusCode=404)
    recording.add("websocket-request", IDS[3])
    for _ in range(3):
        recording.add("websocket-message-received", IDS[3])
    return recording.write(tmp_path / "s.jsonl")


# ── the model ──────────────────────────────────────────────────────────────────────────────────────


def test_failures_come_first(recording: Any, session: Path) -> None:
    model = WatchModel()
    fill(model, recording)
    assert [one.row.id for one in model.shown()] == [IDS[1], IDS[0], IDS[2], IDS[3]]
    model.errors_first = False
    assert [one.row.id for one in model.shown()] == IDS[:4]
    assert (model.count, model.failed, model.ended) == (3, 1, "")


def test_messages_are_counted_as_they_come(recording: Any, session: Path) -> None:
    model = WatchModel()
    fill(model, recording)
    one = model.shown()[-1]
    assert (one.is_open, one.messages, one.row.note) == (True, 3, "3 messages")
    recording.add("websocket-close", IDS[3])
    model.add(b"{}", recording.records[-1])
    assert (one.is_open, one.row.note) == (False, "closed 1000 bye")


def test_a_filter_looks_at_all_records_of_an_exchange(recording: Any, session: Path) -> None:
    model = WatchModel("status >= 400")
    fill(model, recording)
    assert [one.row.id for one in model.shown()] == [IDS[1], IDS[2]]
    model.filter("status == 200 and method == POST")
    assert [one.row.id for one in model.shown()] == [IDS[0]]
    with pytest.raises(FilterError):
        model.filter("statsu == 1")
    assert len(model.shown()) == 1
    model.filter("")
    assert len(model.shown()) == 4


def test_memory_is_bounded(recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_model, "MOST_EXCHANGES", 2)
    recording.start()
    for identity in IDS:
        recording.exchange(identity)
    model = WatchModel()
    fill(model, recording)
    assert [one.row.id for one in model.shown()] == IDS[-2:]
    assert (model.count, model.dropped) == (6, 4)
    monkeypatch.setattr(watch_model, "MOST_OF_ONE", 1)
    fill(model, recording)
    assert [len(one.lines) for one in model.shown()] == [1, 1]


def test_an_ended_session_says_why(recording: Any, session: Path) -> None:
    model = WatchModel()
    recording.end(reason="stopped")
    fill(model, recording)
    assert model.ended == "stopped"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_rows_are_as_wide_as_the_screen(recording: Any, session: Path, width: int) -> None:
    model = WatchModel()
    fill(model, recording)
    for one in model.shown():
        one.row.url += "/商" * 200
        one.row.note = "note\n" * 50
        text = "".join(text for text, _ in row_line(one, width))
        assert "\n" not in text
        assert cells.width(text) <= max(width + 1, 77)


# ── the screen ─────────────────────────────────────────────────────────────────────────────────────


def shown(app: WatchApp) -> list[str]:
    """The lines of the screen."""
    lines: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(r'<text[^>]*? x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', app.export_screenshot()):
        lines.setdefault(float(y), []).append((float(x), html.unescape(text).replace("\xa0", " ")))
    found = ["".join(text for _, text in sorted(parts)) for _, parts in sorted(lines.items())]
    return [" ".join(line.split()) for line in found if line.strip() not in ("", "WatchApp")]


async def until(app: WatchApp, pilot: Any, wanted: Callable[[], bool]) -> None:
    """Let the screen work until something is so."""
    for _ in range(600):
        with suppress(NoMatches):  # on a busy machine, the table is not there yet
            app.look()
            await pilot.pause(0.05)
            if wanted():
                return
    raise AssertionError("\n".join(shown(app)))


def test_the_screen(session: Path) -> None:
    async def see() -> None:
        app = WatchApp(str(session))
        async with app.run_test(size=(110, 30)) as pilot:
            await until(app, pilot, lambda: len(app.table.rows) == 4)
            assert shown(app)[:5] == [
                "STATUS METHOD URL DURATION RULE NOTE",
                "503 POST https://shop.test/broken 3.2ms greet",
                "200 POST https://shop.test/first 3.2ms greet",
                "404 POST https://shop.test/商品 3.2ms greet",
                "… POST https://example.test/hello?a=b greet 3 messages",
            ]
            assert "recording · 3 exchanges · 1 failed" in shown(app)[-1]

            await pilot.press("g", "enter")
            await until(app, pilot, lambda: any(IDS[1] in line for line in shown(app)))
            assert not app.table.follows
            await pilot.press("escape", "e")
            await until(app, pilot, lambda: app.table.rows[0].row.id == IDS[0])

            await pilot.press("slash", *"status==404")
            await pilot.press("enter")
            await until(app, pilot, lambda: [one.row.id for one in app.table.rows] == [IDS[2]])
            assert "filter: status==404" in shown(app)[-1]

            await pilot.press("slash", "x", "x", "enter")
            await until(app, pilot, lambda: "filter: column" in shown(app)[-1] or "filter:" in shown(app)[-1])
            await pilot.press("escape", "q")
        assert app.return_value == ""

    asyncio.run(see())


def test_new_exchanges_appear(recording: Any, session: Path) -> None:
    async def see() -> None:
        app = WatchApp(str(session), errors_first=False)
        async with app.run_test(size=(100, 12)) as pilot:
            await until(app, pilot, lambda: len(app.table.rows) == 4)
            written = len(recording.data)
            for identity in IDS[4:]:
                recording.exchange(identity)
            with session.open("ab") as file:
                file.write(recording.data[written:])
            await until(app, pilot, lambda: len(app.table.rows) == 6)
            assert app.table.chosen is app.table.rows[-1], "the newest is followed"

    asyncio.run(see())


@pytest.mark.parametrize("name", ["s.har", "s.parquet", "s.jsonl.gz"])
def test_every_format_can_be_watched(
    mockrec: Mockrec, recording: Any, session: Path, tmp_path: Path, name: str
) -> None:
    assert mockrec("filter", session, "-o", tmp_path / name).code == 0

    async def see() -> None:
        app = WatchApp(str(tmp_path / name))
        async with app.run_test(size=(100, 12)) as pilot:
            await until(app, pilot, lambda: len(app.table.rows) == 4)

    asyncio.run(see())


def test_a_file_that_is_no_session(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("{}\n", encoding="utf-8")

    async def see() -> None:
        app = WatchApp(str(path))
        async with app.run_test(size=(100, 12)) as pilot:
            await until(app, pilot, lambda: app.return_value is not None)
        assert "expected an object with a type" in (app.return_value or "")

    asyncio.run(see())


# ── the command ────────────────────────────────────────────────────────────────────────────────────


def test_without_textual_a_line_says_what_to_install(
    mockrec: Mockrec, session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "mockrec.cli.watch_app", raising=False)
    for name in [one for one in sys.modules if one.partition(".")[0] == "textual"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "textual", None)
    done = mockrec("watch", session)
    assert done.code == 2
    assert done.err == "mockrec: watch needs Textual, which is not installed: pip install 'mockrec[tui]'\n"


def test_attach_finds_the_session(mockrec: Mockrec, session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = session.with_name("ready.json")
    seen: list[str] = []
    monkeypatch.setattr("mockrec.cli.watch_app.WatchApp.run", lambda self: seen.append(self.path) or "")
    ready.write_text(json.dumps({"url": "", "outputs": ["-", "x.har", str(session)]}), encoding="utf-8")
    assert mockrec("watch", "--attach", ready).code == 0
    assert seen == [str(session)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "is no ready file"),
        ("[", "is no ready file"),
        ('{"outputs": ["-"]}', "records to no file"),
        ('{"outputs": ["gone.jsonl"]}', "no such session"),
        (None, "No such file"),
    ],
)
def test_a_ready_file_that_cannot_be_used(mockrec: Mockrec, tmp_path: Path, content: str | None, words: str) -> None:
    ready = tmp_path / "ready.json"
    if content is not None:
        ready.write_text(content, encoding="utf-8")
    done = mockrec("watch", "--attach", ready)
    assert (done.code, words in done.err) == (2, True), done.err


def test_wrong_use(mockrec: Mockrec, session: Path) -> None:
    assert mockrec("watch").code == 2
    assert mockrec("watch", session, "--attach", session).code == 2
    assert mockrec("watch", "-").code == 2
    done = mockrec("watch", session, "-w", "statsu == 1")
    assert done.code == 2 and "did you mean status" in done.err

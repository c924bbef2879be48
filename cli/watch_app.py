"""The screen of `mockrec watch`: a table that follows, a filter line, and one exchange in full."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input, Static

from mockrec.cli import cells, printing
from mockrec.cli.exchange_report import story
from mockrec.cli.watch_model import Watched, WatchModel
from mockrec.cli.watch_reader import WatchReader
from mockrec.formats.query.errors import FilterError

REFRESH_SECONDS = 0.2
_MOST_LINES = 500
"""Lines of one exchange that are shown."""
_COLOURS = {1: "blue", 2: "green", 3: "cyan", 4: "yellow", 5: "red"}
_NAMES = ("STATUS", "METHOD", "URL", "DURATION", "RULE", "NOTE")
_LEAST_URL = 10
_WIDE = 120
"""Columns from which on the keys are named in full."""


def column_widths(width: int) -> tuple[int, ...]:
    """Return the widths of status, method, URL, duration, rule and note on a screen of `width` columns: most is the
    URL's, and on a narrow screen the rule and the note get little."""
    rule, note = min(20, width // 10), min(40, width // 5)
    others = (6, 7, 9, rule, note)
    status, method, duration, rule, note = others
    url = max(_LEAST_URL, width - sum(others) - len(others))
    return status, method, url, duration, rule, note


def row_line(one: Watched, width: int) -> list[tuple[str, str]]:
    """Return the texts of a row with their styles, `width` columns in total."""
    row = one.row
    status = "…" if row.status is None and one.is_open else str(row.status or row.kind.partition("-")[0])
    colour = "red" if one.has_failed else _COLOURS.get((row.status or 0) // 100, "dim")
    widths = column_widths(width)
    method = "WS" if row.method == "CONNECT" and row.url.startswith(("ws://", "wss://")) else row.method
    texts = (
        (status, colour), (printing.escape(method), ""), (printing.escape_url(row.url), ""),
        (printing.duration(row.duration), ""), (printing.escape(row.rule), "dim"), (printing.escape(row.note), "dim"),
    )  # fmt: skip
    line = []
    for name, (text, style), most in zip(_NAMES, texts, widths, strict=True):
        cut = cells.cut_url(text, most) if name == "URL" else cells.cut(text, most)
        line.append((cells.pad(cut, most) + " ", style))
    return line


class ExchangeTable(ScrollView, can_focus=True):
    """The rows, of which only the visible ones are drawn."""

    BINDINGS: ClassVar = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown", "move(20)", show=False),
        Binding("pageup", "move(-20)", show=False),
        Binding("home,g", "move(-1000000)", show=False),
        Binding("end,G", "move(1000000)", show=False),
        Binding("enter", "open", show=False),
    ]

    class Opened(Message):
        """A row is to be shown in full."""

    class Moved(Message):
        """Another row is selected."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Watched] = []
        self.chosen: Watched | None = None
        self.follows = True

    def show(self, rows: list[Watched]) -> None:
        """Show these rows; the selected one stays, unless the newest is followed."""
        self.rows = rows
        if not rows:
            self.chosen = None
        elif self.follows or self.chosen is None or self.chosen not in rows:
            self.chosen = rows[-1]
        self.virtual_size = Size(self.size.width, len(rows))
        if self.follows:
            self.scroll_to(y=max(0, len(rows) - self.size.height), animate=False)
        self.refresh()

    def action_move(self, count: int) -> None:
        if not self.rows:
            return
        at = self.rows.index(self.chosen) if self.chosen in self.rows else len(self.rows) - 1
        at = min(max(0, at + count), len(self.rows) - 1)
        self.chosen = self.rows[at]
        self.follows = at == len(self.rows) - 1
        self.scroll_to_region(Region(0, at, 1, 1), animate=False)
        self.refresh()
        self.post_message(self.Moved())

    def action_open(self) -> None:
        self.post_message(self.Opened())

    def render_line(self, y: int) -> Strip:
        at = y + int(self.scroll_offset.y)
        width = self.size.width
        if at >= len(self.rows):
            return Strip.blank(width)
        one = self.rows[at]
        back = Style(reverse=one is self.chosen)
        segments = [Segment(text, Style.parse(style or "none") + back) for text, style in row_line(one, width)]
        return Strip(segments).adjust_cell_length(width, back)


class WatchApp(App[str]):
    """Returns why it ended, if the session cannot be read."""

    CSS = """
    #head { height: 1; background: $panel; }
    #detail { height: 50%; border-top: solid $panel; display: none; }
    #filter { height: 1; border: none; padding: 0; display: none; }
    #status { height: 1; background: $panel; }
    """
    BINDINGS: ClassVar = [
        Binding("q", "end", "quit"),
        Binding("slash", "filter", "filter"),
        Binding("e", "errors", "errors first"),
        Binding("f", "follow", "follow"),
        Binding("escape", "close", show=False),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, path: str, expression: str = "", *, errors_first: bool = True) -> None:
        super().__init__()
        self.path = path
        self.expression = expression
        self.model = WatchModel(expression, errors_first=errors_first, folder=Path(f"{path}.bodies"))
        self.reader = WatchReader(path, self.model)
        self._shown_changes = -1
        self._problem = ""
        self._rate = (time.monotonic(), 0, 0.0)

    def compose(self) -> ComposeResult:
        yield Static("", id="head", markup=False)
        yield ExchangeTable()
        yield VerticalScroll(Static("", id="text", markup=False), id="detail")
        yield Input(value=self.expression, placeholder="status >= 500 and path startswith /api", id="filter")
        yield Static("", id="status", markup=False)

    @property
    def table(self) -> ExchangeTable:
        return self.query_one(ExchangeTable)

    def on_mount(self) -> None:
        self.table.focus()
        self.reader.start()
        self.set_interval(REFRESH_SECONDS, self.look)

    def on_resize(self) -> None:
        self._shown_changes = -1
        parts = [cells.pad(name, one) for name, one in zip(_NAMES, column_widths(self.size.width), strict=True)]
        self.query_one("#head", Static).update(Text(" ".join(parts)))

    def look(self) -> None:
        """Show what has changed since the last time."""
        if self.reader.failure:
            self.exit(self.reader.failure)
            return
        model = self.model
        changes = model.changes
        if changes != self._shown_changes:
            self._shown_changes = changes
            self.table.show(model.shown())
            self._show_detail()
        self._show_status()

    def _show_status(self) -> None:
        now, model = time.monotonic(), self.model
        since, before, rate = self._rate
        if now - since >= 1:
            rate = (model.count - before) / (now - since)
            self._rate = (now, model.count, rate)
        state = f"ended ({model.ended})" if model.ended else "recording"
        words = [state, printing.plural(model.count, "exchange"), f"{model.failed} failed", f"{rate:.0f}/s"]
        if model.dropped:
            words.append(f"the newest {len(self.table.rows)} shown")
        if self.expression:
            words.append(f"filter: {self.expression}")
        words.append("follows" if self.table.follows else "paused")
        keys = "/ filter  ⏎ show  e errors first  f follow  q quit"
        if self.size.width < _WIDE:
            keys = "/ ⏎ e f q"
        text = self._problem or f"{printing.escape(' · '.join(words))}  │  {keys}"
        self.query_one("#status", Static).update(Text(cells.cut(text, max(1, self.size.width))))

    def _show_detail(self) -> None:
        detail = self.query_one("#detail")
        if not detail.display:
            return
        one = self.table.chosen
        lines: list[str] = []
        if one is not None:
            for line in story(self.model.records(one), Path(f"{self.path}.bodies")):
                lines.append(line)
                if len(lines) >= _MOST_LINES:
                    lines.append("… `mockrec show` prints all of it")
                    break
            if one.left_out:
                lines.append(f"… and {one.left_out} more records")
        self.query_one("#text", Static).update(Text("\n".join(lines)))

    def on_exchange_table_opened(self) -> None:
        detail = self.query_one("#detail")
        detail.display = not detail.display
        self._show_detail()

    def on_exchange_table_moved(self) -> None:
        self._show_detail()

    def action_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.display = True
        self.set_focus(line)  # at once: the next keys are already waiting

    def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            self.model.filter(event.value)
        except FilterError as error:
            self._problem = printing.escape(str(error).splitlines()[0])
            self._show_status()
            return
        self.expression = event.value.strip()
        self.action_close()
        self.look()

    def action_close(self) -> None:
        self._problem = ""
        line = self.query_one("#filter", Input)
        if line.display:
            line.display = False
        else:
            self.query_one("#detail").display = False
        self.set_focus(self.table)

    def action_errors(self) -> None:
        self.model.errors_first = not self.model.errors_first
        self._shown_changes = -1
        self.look()

    def action_follow(self) -> None:
        self.table.follows = not self.table.follows
        self._shown_changes = -1
        self.look()

    def action_end(self) -> None:
        self.exit("")

    def on_unmount(self) -> None:
        self.reader.stop()

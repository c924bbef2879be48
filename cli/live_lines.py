"""The lines of exchanges while a run records: clock time, status, method, host and path, duration, rule, and why it
failed.

Lines are collected and written together, a few times a second. While COMMAND writes to the same terminal they are held
until it pauses, and they begin in a line of their own.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter

import anyio

from mockrec.cli import cells, printing
from mockrec.cli.output_pauses import OutputWatch
from mockrec.engine.message.summary import ExchangeSummary

FLUSH_SECONDS = 0.05
_MOST_HELD = 500
"""Lines that are held; of more, only their number is printed."""
_MOST_FAILURES = 1000
"""Different failures that are counted."""
_LEAST_URL = 16
_COLOURS = {1: "blue", 2: "green", 3: "cyan", 4: "yellow", 5: "red"}


class LiveLines:
    """Prints a line for each exchange that has ended. Failures that are repeated are counted: the first line of one is
    printed, and its 10th, 100th, …"""

    def __init__(self) -> None:
        self.watch: OutputWatch | None = None
        """Set while COMMAND runs on the same terminal."""
        self.failures: Counter[tuple[str, str]] = Counter()
        """Request and cause → how often."""
        self._held: list[str] = []
        self._left_out = 0

    def add(self, ended: ExchangeSummary) -> None:
        """Add an exchange. The line is printed by `flush`."""
        times = 1
        if ended.cause:
            method, _, path = ended.what.partition(" ")
            key = (f"{method} {ended.host}{path}", ended.cause)
            if key in self.failures or len(self.failures) < _MOST_FAILURES:
                self.failures[key] += 1
            times = self.failures[key]
            if not _is_power_of_ten(times):
                return
        if len(self._held) >= _MOST_HELD:
            self._left_out += 1
        else:
            self._held.append(line(ended, times))

    def flush(self, *, last: bool = False) -> None:
        """Print what is held; nothing while COMMAND writes, unless it is the `last` time."""
        if not self._held or (not last and self.watch is not None and not self.watch.is_paused()):
            return
        text = "\n".join(self._held)
        if self._left_out:
            text += f"\n… and {printing.plural(self._left_out, 'exchange')} more"
        self._held, self._left_out = [], 0
        printing.note(f"{self._line_start()}{text}")

    def _line_start(self) -> str:
        """Return what moves the cursor to the start of a line: nothing if it is there, else to the next line.

        As many blanks as the terminal has columns wrap, unless the cursor was in the first column; then they fill that
        line, and the wrap is still pending when the carriage return comes (DEC STD 070, as in zsh's PROMPT_SP).
        """
        width = printing.columns(sys.stderr) if self.watch is not None else None
        return "" if width is None or os.environ.get("TERM") == "dumb" else f"{' ' * width}\r\x1b[K"

    async def run(self) -> None:
        """Print held lines until cancelled."""
        while True:
            await anyio.sleep(FLUSH_SECONDS)
            self.flush()


def line(ended: ExchangeSummary, times: int = 1) -> str:
    """Return the line of an exchange, as wide as the terminal at most."""
    word, colour = f"{ended.status}", _COLOURS.get(ended.status // 100, "dim")
    if ended.aborted:
        word, colour = "abort", "red"
    method, _, path = ended.what.partition(" ")
    clock = time.strftime("%H:%M:%S", time.localtime(ended.ended_at / 1000))
    rule = "no rule" if ended.unmatched else ended.rule
    cause, counted = printing.escape(ended.cause), f"({times}×)" if times > 1 else ""
    parts = (
        clock,
        word,
        printing.cell(method),
        "",
        printing.duration(ended.took),
        printing.escape(rule),
        cause,
        counted,
    )
    styles = ("dim", colour, "", "", "", "", "red", "")
    url = printing.escape_url(f"{ended.host}{path}")
    width = printing.columns(sys.stderr)
    if width is not None:
        url = cells.cut_middle(url, max(_LEAST_URL, width - sum(cells.width(one) + 2 for one in parts if one)))
    shown = [
        printing.style(text, style, sys.stderr) if style else text for text, style in zip(parts, styles, strict=True)
    ]
    shown[3] = url
    return "  ".join(one for one in shown if one)


def _is_power_of_ten(number: int) -> bool:
    while number >= 10 and number % 10 == 0:
        number //= 10
    return number == 1

"""The terminal output of a recording: a line for each exchange, and a summary at the end."""

from __future__ import annotations

import heapq
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mockrec.cli import cells, printing
from mockrec.cli.defects import report_defect
from mockrec.cli.live_lines import LiveLines
from mockrec.engine.message.summary import ExchangeSummary, Shown, summary_of
from mockrec.engine.server.refusal import TLS_WARNING

if TYPE_CHECKING:
    from mockrec.engine.recording.logged_exchange import LoggedExchange
    from mockrec.engine.rules.matching.select import RuleSet
    from mockrec.engine.usercode.failure import Failure

_SLOWEST = 5
_UNMATCHED = 10
_NAMED_COLUMNS = 60
_MOST_FAILURES = 100
"""Most different failures of user functions that are printed."""
_MOST_WORDS = 1000


class LiveView:
    """Counts exchanges that end, and prints them if stderr is a terminal."""

    def __init__(self, shown: Shown[LoggedExchange] = lambda text, _: text, lines: str = "auto") -> None:
        """`shown` removes secrets from a text, including those found in an exchange. `lines`: a line for each exchange
        always (`on`), never (`off`), or on a terminal (`auto`)."""
        self._shown = shown
        self.count = 0
        self.unmatched = 0
        self.defects = 0
        self.workers_lost = 0
        self._told: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._handshakes: Counter[str] = Counter()
        """Warnings about failed TLS handshakes; their number is limited by `Refusals`."""
        self.terminal = printing.is_terminal(sys.stderr) or lines == "on"
        self.lines = LiveLines() if lines == "on" or (lines == "auto" and self.terminal) else None
        self._classes: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()
        self._slowest: list[tuple[float, int, str]] = []

    def ended(self, exchange: LoggedExchange) -> None:
        """Count and print an exchange that has ended."""
        self.count += 1
        if exchange.unmatched:
            self.unmatched += 1
        if self.terminal:
            self.print_ended(summary_of(exchange, self._shown))

    def add(self, exchanges: int, unmatched: int, ended: Sequence[ExchangeSummary]) -> None:
        """Count exchanges that ended in workers, and print the given ones."""
        self.count += exchanges
        self.unmatched += unmatched
        for one in ended:
            self.print_ended(one)

    def lost(self, words: str, left_open: int) -> None:
        """Print that a worker has died."""
        self.workers_lost += 1
        printing.fail(
            f"{words}; {printing.plural(left_open, 'exchange')} ended with it, and up to 50 ms of records may be lost"
        )

    def print_ended(self, ended: ExchangeSummary) -> None:
        """Print a line for it, and add it to the summary."""
        took, what = ended.took, ended.what
        self._classes["aborted" if ended.aborted else f"{ended.status // 100}xx"] += 1
        if ended.unmatched and (what in self._missed or len(self._missed) < 1000):
            self._missed[what] += 1
        entry = (took, self._classes.total(), what)
        if len(self._slowest) < _SLOWEST:
            heapq.heappush(self._slowest, entry)
        elif entry > self._slowest[0]:
            heapq.heapreplace(self._slowest, entry)
        if self.lines is not None:
            self.lines.add(ended)

    def defect(self, error: BaseException) -> None:
        """Print a defect of mockrec; each kind once, because a busy recorder could repeat it without end."""
        self.defects += 1
        name = f"{type(error).__name__}: {error}"
        if name not in self._told:
            self._told.add(name)
            report_defect(error, lambda text: self._shown(text, None))

    def warn(self, sentence: str) -> None:
        """Print a warning that the user can act on, once however many workers report it."""
        if sentence.startswith(TLS_WARNING):
            self._handshakes[sentence] += 1
        if sentence not in self._told:
            self._told.add(sentence)
            printing.warn(printing.escape(self._shown(sentence, None)))

    def failure(self, failure: Failure) -> None:
        """Print a failure of a user function: each kind once, and its number at the end."""
        words = str(failure)
        if words not in self._failures and len(self._failures) >= 1000:
            return  # messages that differ each time
        self._failures[words] += 1
        if self._failures[words] == 1 and len(self._failures) <= _MOST_FAILURES:
            lines = (words.split("\n")[0][:_MOST_WORDS], *(f"  {frame}" for frame in failure.frames))
            printing.fail("\n".join(printing.escape(self._shown(line, None)) for line in lines))

    @property
    def has_tls_failures(self) -> bool:
        """Whether a TLS handshake with a client has failed."""
        return bool(self._handshakes)

    def print_repeated(self) -> None:
        """Print the failures of handshakes and of user functions that were repeated, each with its number."""
        for words, count in self._handshakes.most_common():
            if count > 1:
                printing.note(f"{printing.escape(self._shown(words, None))} ({count}×)")
        for words, count in self._failures.most_common(_MOST_FAILURES):
            if count > 1:
                line = printing.escape(self._shown(words.split("\n")[0][:_MOST_WORDS], None))
                printing.note(f"{line} ({count}×)")

    def summary(self, outputs: Sequence[str], rules: RuleSet) -> None:
        """Print the summary of the run; without a terminal, only repeated failures."""
        if self.lines is not None:
            self.lines.flush(last=True)
        self.print_repeated()
        if not self.terminal:
            return
        classes = ", ".join(f"{count} {name}" for name, count in sorted(self._classes.items()))
        printing.note(f"\n{printing.plural(self.count, 'exchange')}{f': {classes}' if classes else ''}")
        if self._slowest:
            slow = [
                f"{printing.duration(took)} {_short(what)}" for took, _, what in sorted(self._slowest, reverse=True)
            ]
            printing.note(f"slowest: {', '.join(slow)}")
        repeated = (
            [] if self.lines is None else [one for one in self.lines.failures.most_common(_UNMATCHED) if one[1] > 1]
        )
        for (what, cause), count in repeated:
            printing.note(f"failed {count}×: {_short(what)}  {printing.escape(cause)}")
        if self._missed:
            common = self._missed.most_common(_UNMATCHED)
            named = [_short(what) + (f" ({count}×)" if count > 1 else "") for what, count in common]
            printing.note(f"matched no rule: {', '.join(named)}")
        unused = [rule.rule.id for rule in rules.rules if not rule.used]
        if unused:
            printing.note(f"rules never used: {printing.escape(', '.join(unused))}")
        for path in outputs:
            if path != "-":
                folder = f"{path}.bodies"
                beside = f" and {printing.escape(folder)}" if os.path.isdir(folder) else ""
                printing.note(f"recorded to {printing.escape(path)}{beside}")


def _short(what: str) -> str:
    """Return method and path, escaped, as they are named in the summary."""
    return cells.cut_middle(printing.escape_url(what), _NAMED_COLUMNS)

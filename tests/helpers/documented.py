"""Parse the fenced blocks of documentation pages, and compare shown output with real output.

<!-- not run: REASON -->        the next block is not run; with a second comment, `<!-- instead: COMMAND -->`,
                                that command is run instead
<!-- given: THING, THING -->    files and servers that the reader already has here, see `newcomer.py`
```sh                           commands that are run; their output is not compared
```console                      commands after `$ `, and their output; `…` stands for any text in a line, and alone in a
                                line for any number of lines
```yaml, python, ini, js        a file, where the first line is a comment with its name
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "samples" / "README.md"]

_PIECE = re.compile(
    r"^<!-- (?P<note>not run|instead|given): (?P<words>.*?) -->$|^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
_FILE = re.compile(r"(?:#|//) ([\w./-]+\.(?:ya?ml|py|json|mjs|java|ini|toml))\n")
_DURATION = re.compile(r"\b\d+(?:\.\d+)?(?:µs|ms|s)\b")
_CLOCK = re.compile(r"\b\d\d:\d\d:\d\d\b")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UUID = re.compile(
    r"\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|01[0-9a-f]{6}(?:-[0-9a-f]{1,4}){1,3})\b"
)
"""An id, or the beginning of one that a table on a terminal shows."""


@dataclass
class Block:
    """A fenced block, and the comments before it."""

    line: int
    language: str
    text: str
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str | None:
        """The name of the file that the block shows, if it shows one."""
        found = _FILE.match(self.text)
        return found[1] if found and self.language not in ("sh", "console") else None

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each command with its shown output. Output before the first command is of a program that already runs."""
        lines = self.text.replace("\\\n", "\\\0").splitlines()
        if self.language == "sh":
            yield from ((line.replace("\\\0", "\\\n"), []) for line in lines if line and not line.startswith("#"))
            return
        command = ""
        shown: list[str] = []
        for line in [*lines, "$ "]:
            if line.startswith("$ "):
                if command or shown:
                    yield command, shown
                command, shown = line[2:].replace("\\\0", "\\\n"), []
            else:
                shown.append(line)


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    found: list[Block] = []
    notes: dict[str, str] = {}
    for piece in _PIECE.finditer(text):
        if piece["note"]:
            notes[piece["note"]] = " ".join(piece["words"].split())
            continue
        found.append(Block(text.count("\n", 0, piece.start()) + 1, piece["language"], piece["text"], notes))
        notes = {}
    assert not notes, f"there is no block after {notes}"
    return found


def differences(shown: list[str], real: str) -> str:
    """Compare shown with real output; return both if they differ, else an empty text."""
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else rf"{_line(line)}\n" for line in shown)
    said = "\n".join(_plain(line) for line in real.replace("\r\n", "\n").rstrip("\n").split("\n"))
    if re.fullmatch(pattern, f"{said}\n" if said else ""):
        return ""
    return "\n".join(["the page shows", *shown, "", "the program says", *real.splitlines()])


def _line(shown: str) -> str:
    return ".*".join(re.escape(part) for part in _plain(shown).split("…"))


def _plain(line: str) -> str:
    """Return a line without the parts that differ from run to run, and with single blanks between columns."""
    line = _CLOCK.sub("CLOCK", _UUID.sub("ID", _DURATION.sub("TIME", _COLOUR.sub("", line))))
    return re.sub(r"(?<=\S) +", " ", line).rstrip()

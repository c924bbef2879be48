"""Host names in ASCII, by Unicode's own table and the web platform's."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from mockrec.formats.text.hostnames import to_ascii

DATA = Path(__file__).parents[3] / "data" / "idna"
ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x\{([0-9A-Fa-f]+)\}")
NOT_OURS = {"A4_1", "A4_2", "U1", "V2", "V3", "X3", "X4_2"}
"""Lengths, hyphens and ASCII that is no letter, digit or hyphen: for DNS and for callers to judge, as in browsers."""
OF_ANOTHER_VERSION = {"P1", "V6"}
"""A code point that the table's version of Unicode did not have; newer ones allow some of them."""


def answer(name: str) -> str | None:
    try:
        return to_ascii(name)
    except UnicodeError:
        return None


def unicode_rows() -> list[tuple[str, str | None]]:
    """Name, and its form in ASCII; None where Unicode refuses it for a reason that is ours to see."""

    def plain(column: str) -> str:
        return ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), column.strip())

    rows: list[tuple[str, str | None]] = []
    for line in gzip.decompress((DATA / "IdnaTestV2.txt.gz").read_bytes()).decode().splitlines():
        columns = [plain(column) for column in line.partition("#")[0].split(";")]
        if len(columns) < 5 or columns[0].isascii():
            continue
        source, decoded, status, encoded, ascii_status = columns[:5]
        faults = set(re.findall(r"[A-Z]\d(?:_\d)?", ascii_status or status)) - NOT_OURS
        if not faults:
            rows.append((source, encoded or decoded or source))
        elif not faults & OF_ANOTHER_VERSION and not any(fault.startswith("B") for fault in faults):
            rows.append((source, None))
    return rows


def test_unicode_s_table() -> None:
    rows = unicode_rows()
    assert len(rows) > 600
    label_too_long = re.compile(r"(?:^|\.)xn--[^.]{60,}(?:\.|$)")
    wrong = [
        (name, wanted, answer(name))
        for name, wanted in rows
        if answer(name) != wanted and not (wanted and label_too_long.search(wanted))
    ]
    assert not wrong


def web_rows() -> list[tuple[str, str | None]]:
    rows = json.loads((DATA / "toascii.json").read_text())
    return [(row["input"], row["output"]) for row in rows if isinstance(row, dict)]


@pytest.mark.parametrize(("name", "wanted"), [row for row in web_rows() if not row[0].isascii()])
def test_what_browsers_do(name: str, wanted: str | None) -> None:
    # Browsers leave lengths to DNS; here a label that is converted has at most 63 characters.
    too_long = wanted is not None and any(len(label) > 63 for label in wanted.split(".") if label.startswith("xn--"))
    assert answer(name) == (None if too_long else wanted)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("straße.de", "xn--strae-oqa.de"),
        ("STRASSE.de", "strasse.de"),
        ("Bücher.Example.", "xn--bcher-kva.example."),
        ("☕.example", "xn--53h.example"),
        ("a。b", "a.b"),
        ("*.straße.de", "*.xn--strae-oqa.de"),
        ("XN--A.Example", "xn--a.example"),
        ("", ""),
    ],
)
def test_names(name: str, wanted: str) -> None:
    assert to_ascii(name) == wanted


@pytest.mark.parametrize("name", ["ü" * 80, "a\u200db", "\u0300a", "\ufffd.com", "ü" * 2000])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UnicodeError):
        to_ascii(name)

"""Entries are found in any layout of the file, and however it is cut into chunks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockrec.formats.har.split import Splitter
from mockrec.formats.schema.errors import SessionError

ENTRIES = [{"startedDateTime": "2026-01-01", "time": number, "request": {"url": "a\nb"}} for number in range(3)]
LAYOUTS = {
    "ours": '{"log":{"entries":[\n' + ",\n".join(json.dumps(each, separators=(",", ":")) for each in ENTRIES) + "\n]}}",
    "one line": json.dumps({"log": {"entries": ENTRIES}}),
    "indented": json.dumps({"log": {"entries": ENTRIES}}, indent=2),
    "an entry that goes on in the next line": '{"log":{"entries":[\n'
    + ",\n".join(json.dumps(each, separators=(",", ":")).replace(',"request"', ',\n"request"') for each in ENTRIES)
    + "\n]}}",
}


def entries(text: str, step: int) -> list[Any]:
    raw = text.encode()
    found = list(Splitter("a.har", [raw[at : at + step] for at in range(0, len(raw), step)]))
    assert [member.problem for member in found] == [""] * len(found)
    return [member.value for member in found if member.key == "entries"]


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_layouts(layout: str, step: int) -> None:
    assert entries(LAYOUTS[layout], step) == ENTRIES


@pytest.mark.parametrize("wrong", ['{"a":1}', "5", "null"])
def test_entries_that_are_no_list_are_an_error(wrong: str) -> None:
    with pytest.raises(SessionError, match="expected a list of entries, found"):
        entries(f'{{"log":{{"entries":{wrong}}}}}', 100)


def test_a_damaged_entry_in_a_line_of_its_own_is_left_out() -> None:
    text = LAYOUTS["ours"].replace('"time":1', '"time":')
    found = list(Splitter("a.har", [text.encode()]))
    assert [bool(member.problem) for member in found] == [False, True, False]

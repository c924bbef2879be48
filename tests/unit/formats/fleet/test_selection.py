"""Many sessions: how often their files are read, and what is selected of them."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.fleet.selection import ManySelection
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.query.parser import parse
from mockrec.formats.select.selection import Selection
from mockrec.formats.sessions import blocks


def _session(number: int, *, text: str = "a") -> bytes:
    head = {"id": f"e{number}", "method": "GET", "url": "http://x.test/"}
    stamp = f"2026-11-18T11:00:{number:02}.000000Z"
    records: list[dict[str, Any]] = [
        {"type": "session-started", "timestamp": stamp, "schemaVersion": 1, "sessionId": f"s{number}"},
        {"type": "request", "timestamp": stamp, **head},
        {"type": "response", "timestamp": stamp, **head, "statusCode": 200 + number, "body": {"size": 1, "text": text}},
        {"type": "session-ended", "timestamp": stamp},
    ]
    return encode_lines([{"seq": seq, **record} for seq, record in enumerate(records)])


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened for its lines."""
    counted: Counter[str] = Counter()
    plain = blocks.open_source

    def counting(path: str) -> Any:
        counted[Path(path).name] += 1
        return plain(path)

    monkeypatch.setattr(blocks, "open_source", counting)
    return counted


def _selected(paths: list[str], limit: int | None = None) -> list[bytes]:
    many = ManySelection(paths, parse("status >= 201"), Skipped(), limit=limit)
    return [line.raw for line in many]


def test_small_files_are_read_once(tmp_path: Path, readings: Counter[str]) -> None:
    paths = [str(tmp_path / f"{number}.jsonl") for number in range(3)]
    for number, path in enumerate(paths):
        Path(path).write_bytes(_session(number))
    lines = _selected(paths)
    assert dict(readings) == {"0.jsonl": 1, "1.jsonl": 1, "2.jsonl": 1}
    assert lines == [line.raw for line in Selection(paths, parse("status >= 201"))]
    # With a limit, it is not known in the first reading which lines are selected.
    assert len(_selected(paths, limit=1)) == len(lines) - 2


def test_what_is_large_or_becomes_large_is_not_kept(tmp_path: Path, readings: Counter[str]) -> None:
    large = tmp_path / "large.jsonl"
    large.write_bytes(_session(1, text="a" * 2_000_000))
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(_session(2, text="a" * 8_000_000)))
    paths = [str(large), str(packed)]
    assert _selected(paths) == [line.raw for line in Selection(paths, parse("status >= 201"))]
    assert readings["large.jsonl"] > 2
    for path in paths:
        kept = blocks.Blocks(path)
        with kept.kept():
            assert not kept.is_kept

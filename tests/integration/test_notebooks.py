"""docs/notebooks.md runs as it stands: all its cells in one notebook, from top to bottom."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from documented import ROOT, blocks
from newcomer import Newcomer

_PAGE = ROOT / "docs" / "notebooks.md"
_NOTEBOOK = """\
import json, sys

names = {"__name__": "__main__"}
for page, line, text in json.load(open(sys.argv[1], encoding="utf-8")):
    exec(compile("\\n" * line + text, page, "exec"), names)
assert {"pandas", "polars", "duckdb"} <= set(sys.modules)
"""


@pytest.mark.timeout(300)
def test_all_cells_run_in_their_order(tmp_path: Path) -> None:
    for name in ("pandas", "polars", "duckdb"):
        pytest.importorskip(name)
    cells = []
    newcomer = Newcomer(tmp_path)
    try:
        for block in blocks(_PAGE.read_text(encoding="utf-8")):
            if block.language == "sh":
                newcomer.read(block)
            elif block.language == "python":
                cells.append((str(_PAGE), block.line, block.text))
    finally:
        newcomer.leave()
    (tmp_path / "cells.json").write_text(json.dumps(cells), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", _NOTEBOOK, str(tmp_path / "cells.json")],
        cwd=newcomer.folder, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(cells) >= 7

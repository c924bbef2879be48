"""The files that the architecture, CONTRIBUTING and the decision records name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [DOCS / "architecture.md", DOCS / "CONTRIBUTING.md", *sorted((DOCS / "adr").glob("*.md"))]
TOPS = ("cli", "engine", "formats", "docs", "tests")
FOLDERS = [ROOT, *(folder for top in TOPS for folder in (ROOT / top, *(ROOT / top).rglob("*/")))]
QUOTED = re.compile(r"`([^`\n]+)`|^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"(?<![\w./-])((?:\w+/)+(?:\w+\.py)?|\w+\.py)(?![\w/])")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = "\n".join(one or block for one, block in QUOTED.findall(page.read_text(encoding="utf-8")))
    missing = [name for name in set(NAME.findall(text)) if not any((folder / name).exists() for folder in FOLDERS)]
    assert sorted(missing) == []

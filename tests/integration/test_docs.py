"""Everything that the documentation tells a newcomer to type works, in an empty folder, and prints what is shown; links lead
somewhere."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from documented import PAGES, ROOT, Block, blocks
from newcomer import Newcomer

PROGRAMS = {"curl", "jq", "git", "wget", "node", "java"}
LINK = re.compile(r"(?<!!)\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def runnable(page: Path) -> bool:
    return any(
        block.language in ("sh", "console") and "not run" not in block.notes
        for block in blocks(page.read_text("utf-8"))
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", names([page for page in PAGES if runnable(page)]))
def test_what_a_page_says_can_be_typed(tmp_path: Path, name: str) -> None:
    newcomer = Newcomer(tmp_path)
    missing: set[str] = set()
    try:
        for block in blocks((ROOT / name).read_text(encoding="utf-8")):
            if wanting := modules_of(block):
                missing |= wanting  # the rest of the page needs the file
                break
            if wanting := {program for program in PROGRAMS & programs_of(block) if shutil.which(program) is None}:
                missing |= wanting
                continue
            try:
                newcomer.read(block)
            except AssertionError as error:
                raise AssertionError(f"{name}:{block.line}: {error}") from None
    finally:
        newcomer.leave()
    if missing:
        pytest.skip(f"the rest of the page works; not installed: {', '.join(sorted(missing))}")


def modules_of(block: Block) -> set[str]:
    """The optional modules that a file of a page imports and that are not installed."""
    found = set(re.findall(r"^import (openai)$", block.text, re.MULTILINE)) if block.file is not None else set()
    return {name for name in found if find_spec(name) is None}


def programs_of(block: Block) -> set[str]:
    """The programs that a block starts."""
    if block.language not in ("sh", "console") or "not run" in block.notes:
        return set()
    return set(re.findall(r"(?:^|^\$ |\| |&& |-- |\$\()(?:\w+=\S+ )*(\w+)", block.text, re.MULTILINE))


def test_what_is_not_run_has_a_reason() -> None:
    reasons = [
        (name, block.line, block.notes["not run"])
        for name, page in zip(names(PAGES), PAGES, strict=True)
        for block in blocks(page.read_text("utf-8"))
        if "not run" in block.notes
    ]
    assert [reason for reason in reasons if len(reason[2]) < 10] == []


# ── links ──────────────────────────────────────────────────────────────────────────────────────────


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    made = set()
    for heading in HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        made.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return made


@pytest.mark.parametrize("name", names(PAGES))
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_entry_page() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
        waiting += [
            (page.parent / link.partition("#")[0]).resolve() for link in links if not re.match(r"[a-z]+:", link)
        ]
    assert [name for name, page in zip(names(PAGES), PAGES, strict=True) if page not in seen] == ["README.md"]

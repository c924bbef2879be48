"""The page of a report: its size, its policy, and that nothing recorded is markup in it."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from mockrec.formats.report import bundle as bundle_module
from mockrec.formats.report.blocks import blocks_of, packed_json
from mockrec.formats.report.bundle import bundle, page

PAGE = Path(bundle_module.__file__).parent / "page"
MOST = 150 * 1024
"""Bytes of script and styles together."""


def made(index: bytes = b"eJw=", blocks: tuple[bytes, ...] = (b"eJw=", b"eJw=")) -> str:
    return b"".join(page(index, blocks)).decode()


def test_script_and_styles_are_small() -> None:
    script, styles = bundle()
    assert len(script.encode()) + len(styles.encode()) <= MOST


def test_every_module_is_in_the_script() -> None:
    script, _ = bundle()
    for file in PAGE.rglob("*.js"):
        name = "$" + re.sub(r"\W", "_", file.relative_to(PAGE).as_posix().removesuffix(".js"))
        assert script.count(f"const {name} = (() => {{") == 1, file


def test_the_policy_allows_this_script_and_these_styles_only() -> None:
    text = made()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    directives = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    assert directives == {
        "default-src": "'none'",
        "script-src": f"'{hash_of(text, 'script')}'",
        "style-src": f"'{hash_of(text, 'style')}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def hash_of(text: str, name: str) -> str:
    (content,) = re.findall(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def test_nothing_is_loaded() -> None:
    text = made()
    assert not re.search(r"\b(src|href)\s*=|@import|url\(", re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))
    assert not re.search(
        r"\bfetch\(|XMLHttpRequest|WebSocket\(|importScripts|import\(|\beval\(|new Function", bundle()[0]
    )


def test_no_text_becomes_markup() -> None:
    ours = "".join(file.read_text(encoding="utf-8") for file in PAGE.rglob("*.js") if file.parent.name != "vendor")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|dangerously|document\.write|href=|srcdoc|<a\b", ours)


def test_data_cannot_end_their_element() -> None:
    packed = packed_json({"</script>": "<script>alert(1)</script>" * 10})
    assert re.fullmatch(rb"[A-Za-z0-9+/=]+", packed)


def test_blocks_have_the_numbers_of_their_first_items() -> None:
    items = [b'"%b"' % (b"x" * 100_000)] * 7
    starts, blocks = blocks_of(items)
    assert starts == [0, 3, 6]
    assert len(blocks) == 3
    assert blocks_of([]) == ([], [])


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        (
            {"app.js": 'import { a } from "./b.js";\n', "b.js": 'import { b } from "./app.js";\nexport const a = 1;\n'},
            "each other",
        ),
        ({"app.js": 'import { a } from "lodash";\n'}, "not vendored"),
        ({"app.js": "export default 1;\n"}, "unknown form"),
        ({"app.js": "const a = `</script>`;\n"}, "would end it"),
    ],
)
def test_a_module_in_an_unknown_form_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modules: dict[str, str], words: str
) -> None:
    for name, text in {"style.css": "", **modules}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(bundle_module, "_FOLDER", tmp_path)
    with pytest.raises(ValueError, match=words):
        bundle.__wrapped__()


def contrast(a: str, b: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2, 1.4.3)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_have_enough_contrast() -> None:
    styles = (PAGE / "style.css").read_text(encoding="utf-8")
    light, dark, dark_again, _ = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root[^{]*\{([^}]*)\}", styles)
    )
    assert dark == dark_again
    for theme in (light, dark):
        grounds = [theme[name] for name in ("back", "raised", "selected")]
        for name in ("text", "muted", "accent", "good", "warn", "bad"):
            for ground in grounds:
                assert contrast(theme[name], ground) >= 4.5, (name, ground)
        assert contrast(theme["on-accent"], theme["accent"]) >= 4.5
        for ground in ("mark", "removed", "added"):
            assert contrast(theme["text"], theme[ground]) >= 4.5
            assert contrast(theme["muted"], theme[ground]) >= 4.5 or ground == "mark"
        for number in range(6):
            assert contrast(theme[f"phase-{number}"], theme["back"]) >= 3, number

"""The page's ES modules and styles → one HTML file, without a build step: modules are joined when a report is made.

Each module becomes a function that returns what it exports; `import` lines become constants. This works for the forms
that the modules use, which `bundle` checks: named imports and exports at the beginning of a line, no cycles.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePosixPath

_FOLDER = Path(__file__).parent / "page"
_IMPORT = re.compile(r"""^import\s*(?:\{([^}]*)\}|(\w+))\s*from\s*["']([^"']+)["'];?[ \t]*""", re.MULTILINE)
_EXPORT = re.compile(r"^export (async function|function|const|class) (\w+)", re.MULTILINE)
_EXPORT_LIST = re.compile(r"export\{([^}]*)\};?\s*$")
_EXPORT_DEFAULT = re.compile(r"export default (function)\b")
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*//.*\n|^[ \t]*/\*\*?(?:[^*]|\*(?!/))*\*/[ \t]*\n", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_VENDORED = {"preact": "vendor/preact.js", "preact/hooks": "vendor/hooks.js", "htm": "vendor/htm.js"}


@cache
def bundle() -> tuple[str, str]:
    """Return script and styles. Raises `ValueError` for a module in an unknown form."""
    made: dict[str, str] = {}
    _add("app.js", made, ())
    script = '"use strict";\n' + "".join(made.values())
    styles = _INDENT.sub("", _COMMENT.sub("", (_FOLDER / "style.css").read_text(encoding="utf-8")))
    for name, text in (("script", script), ("style", styles)):
        if "\r" in text or f"</{name}" in text.lower() or "<!--" in text:
            raise ValueError(f"the {name} contains what would end it, or a carriage return")
    return script, styles


def page(index: bytes, blocks: Iterable[bytes]) -> Iterable[bytes]:
    """Yield the parts of the HTML file. Nothing in it but the packed data is recorded."""
    script, styles = bundle()
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(styles)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>mockrec report</title>\n<style>{styles}</style>\n</head>\n<body>\n"
        '<div id="app"><noscript>This report is a program: it needs JavaScript, and loads nothing.</noscript></div>\n'
        '<script type="application/mockrec" id="index">'
    ).encode()
    yield index
    yield f"</script>\n<script>{script}</script>\n".encode()
    for number, block in enumerate(blocks):
        yield b'<script type="application/mockrec" id="block-%d">%b</script>\n' % (number, block)
    yield b"</body>\n</html>\n"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _add(path: str, made: dict[str, str], parents: tuple[str, ...]) -> None:
    """Add a module after those that it imports."""
    if path in made:
        return
    if path in parents:
        raise ValueError(f"{' → '.join((*parents, path))}: modules import each other")
    source = _SOURCE_MAP.sub("", (_FOLDER / path).read_text(encoding="utf-8"))
    if not path.startswith("vendor/"):
        source = _INDENT.sub("", _COMMENT.sub("", source))
    names: list[str] = []

    def imported(match: re.Match[str]) -> str:
        target = _VENDORED.get(match[3]) or _resolved(path, match[3])
        _add(target, made, (*parents, path))
        if match[2]:
            return f"const {match[2]} = {_variable(target)}.default;"
        names_here = re.sub(r"\bas\b", ":", match[1])
        return f"const {{{names_here}}} = {_variable(target)};"

    def exported(match: re.Match[str]) -> str:
        names.append(match[2])
        return f"{match[1]} {match[2]}"

    def listed(match: re.Match[str]) -> str:
        for pair in match[1].split(","):
            local, _, name = pair.strip().partition(" as ")
            names.append(f"{name or local}: {local}")
        return ""

    source = _IMPORT.sub(imported, source)
    source = _EXPORT.sub(exported, source)
    source = _EXPORT_LIST.sub(listed, source.rstrip())
    default = _EXPORT_DEFAULT.search(source)
    if default:
        source = source[: default.start()] + "const __default = function" + source[default.end() :]
        names.append("default: __default")
    if re.search(r"^\s*(import|export)\b", source, re.MULTILINE):
        raise ValueError(f"{path}: an import or export in an unknown form")
    made[path] = f"const {_variable(path)} = (() => {{\n{source.strip()}\nreturn {{{', '.join(names)}}};\n}})();\n"


def _resolved(path: str, target: str) -> str:
    if not target.startswith("."):
        raise ValueError(f"{path}: {target} is not vendored")
    parts: list[str] = []
    for part in PurePosixPath(path).parent.joinpath(target).parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _variable(path: str) -> str:
    return "$" + re.sub(r"\W", "_", path.removesuffix(".js"))

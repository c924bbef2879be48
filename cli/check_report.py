"""Problems of rule files as JSON, as annotations of GitHub Actions, and as SARIF 2.1.0 (OASIS)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from mockrec.cli import printing

if TYPE_CHECKING:
    from mockrec.engine.errors import Problem

_MOST_ANNOTATIONS = 9
"""GitHub shows ten annotations of each level for a step; the tenth has the number of the missing ones."""
_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_PAGE = "https://github.com/mockrec/mockrec/blob/main/docs/rules.md"


@dataclass(frozen=True, slots=True)
class FoundProblem:
    """One problem, with the names of the JSON report."""

    file: str
    line: int
    """From 1, as `column`."""
    column: int
    where: str
    """The place in the document, for example `rules[2].then.reply.status`; may be empty."""
    level: Literal["error", "warning"]
    message: str

    @classmethod
    def of(cls, problem: Problem, level: Literal["error", "warning"]) -> FoundProblem:
        return cls(problem.file, problem.line, problem.column, problem.where, level, problem.message)

    @property
    def sentence(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def report(shape: str, found: Sequence[FoundProblem], rules: Mapping[str, int]) -> str:
    """Return the report in that shape (`json`, `github`, `sarif`). `rules`: file → its number of rules."""
    if shape == "json":
        files = [{"file": file, "rules": count} for file, count in rules.items()]
        return _json({"ok": not any(one.level == "error" for one in found), "files": files} | _problems(found))
    return _github(found) if shape == "github" else _sarif(found)


def _problems(found: Sequence[FoundProblem]) -> dict[str, Any]:
    return {"problems": [asdict(one) for one in found]}


def _json(value: Any) -> str:
    return printing.escape_json(json.dumps(value, ensure_ascii=False))


def _github(found: Sequence[FoundProblem]) -> str:
    lines = []
    for level in ("error", "warning"):
        of_level = [one for one in found if one.level == level]
        for one in of_level[:_MOST_ANNOTATIONS]:
            place = f"file={_property(one.file)},line={one.line},col={one.column}"
            lines.append(f"::{level} {place},title=mockrec check::{_text(one.sentence)}")
        if len(of_level) > _MOST_ANNOTATIONS:
            lines.append(f"::{level} title=mockrec check::and {len(of_level) - _MOST_ANNOTATIONS} more")
    return "\n".join(lines)


def _text(text: str) -> str:
    return printing.escape(text, keep_lines=True).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _text(text).replace(":", "%3A").replace(",", "%2C")


def _sarif(found: Sequence[FoundProblem]) -> str:
    from mockrec.formats.schema.version import mockrec_version

    driver = {
        "name": "mockrec",
        "version": mockrec_version(),
        "informationUri": "https://github.com/mockrec/mockrec",
        "rules": [
            {
                "id": f"mockrec/rule-file-{level}",
                "shortDescription": {"text": f"{level} in a rule file of mockrec"},
                "helpUri": _PAGE,
                "defaultConfiguration": {"level": level},
            }
            for level in ("error", "warning")
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one) for one in found],
    }
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(one: FoundProblem) -> dict[str, Any]:
    path = Path(one.file)
    location: dict[str, Any] = {"uri": path.as_uri() if path.is_absolute() else quote(path.as_posix())}
    region = {"startLine": max(1, one.line), "startColumn": max(1, one.column)}
    return {
        "ruleId": f"mockrec/rule-file-{one.level}",
        "ruleIndex": 0 if one.level == "error" else 1,
        "level": one.level,
        "message": {"text": one.sentence},
        "locations": [{"physicalLocation": {"artifactLocation": location, "region": region}}],
    }

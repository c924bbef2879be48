"""`python tools/token_rules GITLEAKS.TOML VERSION`: makes the table of tokens that are recognised without a name.

Reads the configuration of gitleaks (https://github.com/gitleaks/gitleaks, `config/gitleaks.toml`, MIT licence) and
writes two files: `engine/redaction/token_rules.py`, which the recorder uses, and `tests/data/tokens/gitleaks.json`,
the rules as gitleaks has them, each taken or left out with the reason, from which tests make samples. `VERSION` names
what was read: a tag or commit. How a rule is chosen and changed is in `selection.py`.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from selection import Known, Taken, judged

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "engine" / "redaction" / "token_rules.py"
SHAPES = ROOT / "tests" / "data" / "tokens" / "gitleaks.json"

HEAD = '''"""Tokens that are recognised without a name, from gitleaks {version}. Made by tools/token_rules; do not edit.

Derived from config/gitleaks.toml of https://github.com/gitleaks/gitleaks, Copyright (c) 2019 Zachary Rice, used
under the MIT licence: see LICENSES/gitleaks.txt.
"""

from __future__ import annotations

from typing import Final

# fmt: off
'''
RULES = """RULES: Final = (
{})
\"\"\"Name of the kind, pattern of the beginning, pattern of the token; for RE2 and bytes. `\\\\b` begins a word.\"\"\"
"""
INNER_RULES = """INNER_RULES: Final = (
{})
\"\"\"Kinds that are recognised by a sequence inside the token: name, pattern of that, pattern of the token.\"\"\"
"""


def main(source: Path, version: str) -> None:
    """Write both files."""
    rules = tomllib.loads(source.read_text(encoding="utf-8"))["rules"]
    results = {rule["id"]: judged(rule) for rule in rules}
    taken = [(name, one) for name in sorted(results) for one in results[name] if isinstance(one, Taken)]
    outer = "".join(_row(name, one) for name, one in taken if not one.is_inner)
    inner = "".join(_row(name, one) for name, one in taken if one.is_inner)
    TABLE.write_text(HEAD.format(version=version) + RULES.format(outer) + INNER_RULES.format(inner), encoding="utf-8")
    shapes = [_told(rule["id"], rule.get("regex", ""), results[rule["id"]]) for rule in rules]
    SHAPES.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "source": "https://github.com/gitleaks/gitleaks config/gitleaks.toml",
        "version": version,
        "licence": "MIT, Copyright (c) 2019 Zachary Rice: see LICENSES/gitleaks.txt",
        "rules": shapes,
    }
    SHAPES.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    count = sum(bool(one["shapes"]) for one in shapes)
    sys.stdout.write(f"{count} of {len(rules)} rules are found, {len(taken)} rows\n")


def _told(name: str, regex: str, found: list[Taken | Known | str]) -> dict[str, Any]:
    left_out = [one for one in found if isinstance(one, str)]
    shapes = [one.shape for one in found if not isinstance(one, str)]
    return {"id": name, "regex": regex, "shapes": shapes, "leftOut": left_out[0] if left_out else None}


def _row(name: str, one: Taken) -> str:
    return f'    ("{name}", {_literal(one.beginning)}, {_literal(one.pattern)}),\n'


def _literal(pattern: str) -> str:
    quote = "'" if '"' in pattern else '"'
    return f"r{quote}{pattern}{quote}"


main(Path(sys.argv[1]), sys.argv[2])

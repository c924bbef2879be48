"""`mockrec check RULES`: reports every problem of a rule file, without starting anything. And `--schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mockrec.cli import printing
from mockrec.cli.options import Quiet, Verbose


def check(
    rules: Annotated[Path | None, typer.Argument(metavar="RULES", help="The rule file to check.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of rule files, for editors.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check a rule file and say every problem with its place.

    Exit code 0 if there is none, else 2. Starts nothing and imports no handlers.
    """
    if schema:
        from mockrec.engine.rules.language.load import json_schema

        printing.data(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        if rules is None:
            return
    if rules is None:
        raise typer.BadParameter("give the rule file to check, or --schema")
    from mockrec.engine.run.rulefile import load_file

    loaded = load_file(rules)
    for warning in loaded.warnings:
        printing.warn(printing.escape(str(warning)))
    printing.note(f"{printing.escape(str(rules))}: {_summary(len(loaded.rule_file.rules), len(loaded.warnings))}")


def _summary(rules: int, warnings: int) -> str:
    found = _count(warnings, "warning") if warnings else "no problems"
    return f"{_count(rules, 'rule')}, {found}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

"""`mockrec check RULES`: reports every problem of a rule file, without starting anything. And `--schema`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mockrec.cli import printing
from mockrec.cli.codes import USAGE
from mockrec.cli.options import Quiet, Verbose

if TYPE_CHECKING:
    from mockrec.engine.errors import Problem


class CheckShape(StrEnum):
    """`--as` of a check."""

    text = "text"
    json = "json"
    github = "github"
    sarif = "sarif"


def check(
    rules: Annotated[
        list[Path] | None, typer.Argument(metavar="RULES...", help="The rule files to check.", show_default=False)
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of rule files, for editors.")] = False,
    shape: Annotated[
        CheckShape,
        typer.Option(
            "--as",
            metavar="text|json|github|sarif",
            help="How problems are printed: for people on stderr; or on stdout as one JSON object, as annotations of"
            " GitHub Actions, or as SARIF for code scanning.",
        ),
    ] = CheckShape.text,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check rule files and say every problem with its place.

    Exit code 0 if there is none, else 2. Starts nothing and imports no handlers.
    """
    if schema:
        from mockrec.engine.rules.language.load import json_schema

        printing.data(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        if not rules:
            return
    if not rules:
        raise typer.BadParameter("give the rule file to check, or --schema")
    if shape is CheckShape.text:
        raise typer.Exit(max(_check_text(path, last=path == rules[-1]) for path in rules))
    from mockrec.cli.check_report import FoundProblem, report

    found: list[FoundProblem] = []
    counts: dict[str, int] = {}
    for path in rules:
        count, problems, warnings = _load(path)
        counts[str(path)] = count
        found += [FoundProblem.of(one, "error") for one in problems]
        found += [FoundProblem.of(one, "warning") for one in warnings]
    text = report(shape.value, found, counts)
    if text:
        printing.data(text)
    raise typer.Exit(USAGE if any(one.level == "error" for one in found) else 0)


def _load(path: Path) -> tuple[int, list[Problem], list[Problem]]:
    """Return the number of rules, the problems and the warnings of a file."""
    from mockrec.engine.errors import ConfigError, Problem, RuleFileError
    from mockrec.engine.run.rulefile import load_file

    try:
        loaded = load_file(path)
    except RuleFileError as error:
        return 0, list(error.problems), []
    except ConfigError as error:
        return 0, [Problem(str(path), 1, 1, "", str(error))], []
    return len(loaded.rule_file.rules), [], list(loaded.warnings)


def _check_text(path: Path, *, last: bool) -> int:
    """Print the problems of one file, and return the exit code. The errors of the last file are printed by `main`."""
    from mockrec.engine.errors import ConfigError, RuleFileError
    from mockrec.engine.run.rulefile import load_file

    try:
        loaded = load_file(path)
    except (RuleFileError, ConfigError) as error:
        if last:
            raise
        printing.problems(printing.escape(str(error), keep_lines=True))
        return USAGE
    for warning in loaded.warnings:
        printing.warn(printing.escape(str(warning)))
    printing.note(f"{printing.escape(str(path))}: {_summary(len(loaded.rule_file.rules), len(loaded.warnings))}")
    return 0


def _summary(rules: int, warnings: int) -> str:
    found = printing.plural(warnings, "warning") if warnings else "no problems"
    return f"{printing.plural(rules, 'rule')}, {found}"

"""`mockrec diff A B`: reports the differences of two sessions; the exit code says whether there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mockrec.cli import arguments, printing
from mockrec.cli.descriptors import Protobuf, descriptors_text, given_descriptors
from mockrec.cli.options import Engine, FileMode, Force, NoPager, Quiet, Verbose, refuse_inputs
from mockrec.cli.paging import paged
from mockrec.cli.pipes import await_readers
from mockrec.cli.reading import warn_of
from mockrec.cli.report import DEFAULT_BODIES, BodiesSize, write_diff

if TYPE_CHECKING:
    from mockrec.formats.diff.ignore import IgnoreRule
    from mockrec.formats.diff.model.finding import Severity
    from mockrec.formats.diff.model.options import AnyOrder
    from mockrec.formats.diff.result import Result


class Report(StrEnum):
    """`--as`: the formats of a report."""

    text = "text"
    json = "json"
    markdown = "markdown"
    junit = "junit"
    github = "github"
    html = "html"


class FailOn(StrEnum):
    """`--fail-on`: the least severity that makes the exit code 1."""

    any = "any"
    breaking = "breaking"


_EXTENSIONS = {
    ".txt": Report.text,
    ".json": Report.json,
    ".md": Report.markdown,
    ".xml": Report.junit,
    ".html": Report.html,
}


def _host_pair(value: str) -> tuple[str, str]:
    """Parse `a=b` into a pair. For `typer.Option(parser=…)`."""
    a, equals, b = value.partition("=")
    if not (a and equals and b):
        raise typer.BadParameter(f"expected HOST-OF-A=HOST-OF-B, got {value!r}")
    return a.strip().lower(), b.strip().lower()


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="The session to compare with, for example main's.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The session that may differ; - reads one from stdin.")],
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore",
            metavar="RULE",
            help="Leave out what a selector names (json:$.meta.ts, header:x-request-id, query:cb, status, …), "
            "optionally after an endpoint: 'GET /users/* json:$.age'. May be given several times.",
        ),
    ] = None,
    ignore_file: Annotated[
        list[str] | None,
        typer.Option("--ignore-file", metavar="FILE", help="YAML with rules to ignore, each with its reason."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="EXPR", help="Compare only the exchanges that a filter expression selects."),
    ] = None,
    array_order: Annotated[
        list[str] | None,
        typer.Option(
            "--array-order",
            metavar="ignore[ PATH]",
            help="The order of JSON arrays does not count: of all ('ignore'), or of those at a path "
            "('ignore $.tags'). May be given several times.",
        ),
    ] = None,
    map_host: Annotated[
        list[str] | None,
        typer.Option(
            "--map-host", metavar="A=B", help="A host of A that is another one in B. May be given several times."
        ),
    ] = None,
    shape: Annotated[
        Report, typer.Option("--as", metavar="text|json|markdown|junit|github|html", help="What is printed.")
    ] = Report.text,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Write a report to a file too; .txt, .json, .md, .xml (JUnit) or .html decides its shape. "
            "May be given several times.",
        ),
    ] = None,
    requests: Annotated[
        bool, typer.Option("--requests", help="Compare requests too; otherwise they only decide what is paired.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Compare ids, times and digests by value, not by type.")
    ] = False,
    timing: Annotated[
        bool, typer.Option("--timing", help="Say which endpoints became slower by more than 20 % and 20 ms.")
    ] = False,
    noise: Annotated[
        str | None,
        typer.Option("--noise", metavar="A2", help="Another recording of what A is: what differs there is noise."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="FILE", help="A JSON report with differences that are known and accepted."),
    ] = None,
    pair_header: Annotated[
        str,
        typer.Option("--pair-header", metavar="NAME", help="A request header whose value says what belongs together."),
    ] = "",
    protobuf: Protobuf = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", metavar="any|breaking", help="From which severity on the exit code is 1.")
    ] = FailOn.any,
    bodies: BodiesSize = DEFAULT_BODIES,
    no_pager: NoPager = False,
    engine: Engine = None,
    force: Force = False,
    file_mode: FileMode = 0o600,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compare two sessions or sets of them, and say what changed.

    A folder, a prefix of a store, a pattern or a list (@FILE) is a set; its sessions are paired by the keys job, shard
    and scope of their folders, otherwise by their paths.

    Exit code 0 if nothing did, 1 if something did, 2 if they cannot be compared.
    """
    if [a, b, noise].count("-") > 1:
        raise typer.BadParameter("only one session can be read from stdin")
    outputs = [(path, _shape_of(path)) for path in output or ()]
    refuse_inputs(output or (), [path for path in (a, b, noise) if path is not None])
    wish = DiffWish(
        ignore=tuple(ignore or ()),
        ignore_files=tuple(ignore_file or ()),
        only=only,
        array_order=tuple(array_order or ()),
        map_host=tuple(map_host or ()),
        requests=requests,
        strict=strict,
        timing=timing,
        baseline=baseline,
        pair_header=pair_header,
        fail_on=fail_on,
        verbose=verbose,
        protobuf=descriptors_text(given_descriptors(protobuf)),
    )
    given, sets = (a, b), ([a], [b])
    if arguments.has_many(given):
        sets = (arguments.expanded([a]), arguments.expanded([b]))
        a, b = sets[0][0], sets[1][0]
    if engine is not None or any(map(arguments.is_set, given, sets)):
        if noise is not None:
            raise typer.BadParameter("it is for two sessions, not for two sets", param_hint="--noise")
        if Report.html in (shape, *(chosen for _, chosen in outputs)):
            raise typer.BadParameter("a report in HTML is of two sessions, not of two sets", param_hint="--as")
        from mockrec.cli.diff_sets import diff_sets

        raise typer.Exit(diff_sets(*sets, wish, shape, outputs, force=force, file_mode=file_mode, engine=engine))
    result, severity = compare(a, b, wish, noise)
    for path, chosen in outputs:
        if chosen is Report.html:
            write_diff(result, (a, b), path, limit=bodies, force=force, file_mode=file_mode)
        else:
            write_report(path, rendered(result, chosen, severity, verbose), force, file_mode)
    if shape is Report.html:
        write_diff(result, (a, b), "-", limit=bodies, force=force, file_mode=file_mode)
    else:
        with paged(wanted=shape is Report.text and not no_pager):
            printing.data(rendered(result, shape, severity, verbose).rstrip("\n"))
    _warn(result)
    raise typer.Exit(1 if result.failed(severity) else 0)


@dataclass(frozen=True, slots=True)
class DiffWish:
    """The options of a comparison, as they were given: plain values, so that other processes can have them."""

    ignore: tuple[str, ...]
    ignore_files: tuple[str, ...]
    only: str | None
    array_order: tuple[str, ...]
    map_host: tuple[str, ...]
    requests: bool
    strict: bool
    timing: bool
    baseline: str | None
    pair_header: str
    fail_on: FailOn
    verbose: bool
    protobuf: str | None = None
    """The descriptors of `--protobuf`, as a session carries them."""


def compare(a: str, b: str, wish: DiffWish, noise: str | None = None) -> tuple[Result, Severity]:
    """Compare two sessions. Return the result, and the severity from which on it fails. Raises `SessionError`."""
    from mockrec.formats.diff.baseline import read_baseline
    from mockrec.formats.diff.collect import Filters
    from mockrec.formats.diff.comparison import compare_sessions
    from mockrec.formats.diff.model.finding import Severity
    from mockrec.formats.diff.model.options import DiffOptions
    from mockrec.formats.operations.grpc.descriptors import of_header

    filters = Filters(
        rules=_rules(wish.ignore, wish.ignore_files),
        baseline=read_baseline(wish.baseline) if wish.baseline is not None else frozenset(),
    )
    options = DiffOptions(
        strict=wish.strict,
        requests=wish.requests,
        timing=wish.timing,
        map_host=dict(_host_pair(pair) for pair in wish.map_host),
        pair_header=wish.pair_header.lower(),
        any_order=tuple(_any_order(value) for value in wish.array_order),
        only=arguments.parse(wish.only),
        descriptors=of_header({"protobuf": wish.protobuf}),
    )
    severity = Severity.breaking if wish.fail_on is FailOn.breaking else Severity.changed
    return compare_sessions(a, b, options, filters, noise), severity


def _any_order(value: str) -> AnyOrder:
    """Parse `ignore`, alone or with a JSONPath."""
    from mockrec.formats.diff.selectors import parse_place

    word, _, path = value.strip().replace(":", " ", 1).partition(" ")
    if word != "ignore":
        raise typer.BadParameter(
            f"expected 'ignore', or 'ignore PATH' such as 'ignore $.tags', got {value!r}", param_hint="--array-order"
        )
    path = path.strip().removeprefix("json:")
    return parse_place(path) if path else lambda location: True


def _rules(texts: Sequence[str], files: Sequence[str]) -> list[IgnoreRule]:
    from datetime import UTC, datetime

    from mockrec.formats.diff.ignore import parse_rule, read_rules

    rules = [parse_rule(text) for text in texts]
    for path in files:
        rules += read_rules(path, datetime.now(UTC).date())
    return rules


def _shape_of(path: str) -> Report:
    chosen = _EXTENSIONS.get(Path(path).suffix.lower())
    if chosen is None:
        raise typer.BadParameter(f"{path}: expected one of {', '.join(_EXTENSIONS)}", param_hint="--output")
    return chosen


def rendered(result: Result, shape: Report, fail_on: Severity, verbose: bool) -> str:
    """Return a report, whose module is imported only now."""
    if shape is Report.text:
        from mockrec.cli.diff_text import report as text

        return "".join(f"{line}\n" for line in text(result, fail_on=fail_on, verbose=verbose))
    if shape is Report.json:
        from mockrec.formats.diff.report.json import report
    elif shape is Report.markdown:
        from mockrec.formats.diff.report.markdown import report
    elif shape is Report.junit:
        from mockrec.formats.diff.report.junit import report as junit

        return junit(result, fail_on)
    else:
        from mockrec.formats.diff.report.github import report
    return report(result)


def write_report(path: str, text: str, force: bool, file_mode: int) -> None:
    from mockrec.formats.files.outfile import open_output

    await_readers((str(path),))
    file = open_output(Path(path), force=force, file_mode=file_mode)
    try:
        file.write(text.encode("utf-8", "backslashreplace"), lines=False)
    finally:
        file.close()


def _warn(result: Result) -> None:
    for letter, side in (("A", result.a), ("B", result.b), ("A2", result.noise_side)):
        if side is not None:
            warn_of(side, letter)
    for rule in result.unused_rules:
        printing.warn(f"{printing.escape(rule.place)}: nothing was ignored by {printing.escape(str(rule))}")

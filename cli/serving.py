"""`replay --serve` on the command line: a run whose only rule responds from a session."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mockrec.cli import printing
from mockrec.cli.reading import warn_of
from mockrec.cli.recording import RunOptions, record, remove_stale
from mockrec.cli.report import LaterReport
from mockrec.engine.config import RecordSettings, ServerSettings
from mockrec.engine.rules.model import Replay, Rule, SourceLocation, When
from mockrec.engine.run.rulefile import no_file
from mockrec.engine.run.settings import RunSettings

_RULE_ID = "replay"


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What to respond from and how, where to listen, and where to record."""

    step: Replay
    server: ServerSettings
    record: RecordSettings
    outputs: tuple[str, ...]
    output_format: str | None
    force: bool
    file_mode: int
    ready_file: Path | None
    strict: bool
    report: LaterReport | None = None


def serve(settings: ServeSettings) -> int:
    """Serve until the run ends. Return the exit code. Raises ConfigError for a session that cannot be used."""
    if settings.ready_file is not None:
        remove_stale(settings.ready_file)
    place = SourceLocation("", 0, 0, "")
    # With `always` the rule is never pending: the recordings that were used count.
    rule = Rule(_RULE_ID, When(), (settings.step,), "always", 1, place, 0)
    loaded = no_file()
    loaded = replace(loaded, rule_file=replace(loaded.rule_file, rules=(rule,)))
    run = RunSettings(
        loaded=loaded,
        server=settings.server,
        record=settings.record,
        outputs=settings.outputs,
        output_format=settings.output_format,
        force=settings.force,
        file_mode=settings.file_mode,
    )
    answers = f"answering from {printing.escape(settings.step.session)}"
    return record(
        run,
        RunOptions(
            ready_file=settings.ready_file,
            stop_after=None,
            strict=settings.strict,
            answers=answers,
            report=settings.report,
        ),
    )


def step_of(
    session: str, match: tuple[str, ...], ignore: tuple[str, ...], latency: str, *, repeat: bool, strict_match: bool
) -> Replay:
    """Return the `replay` step for the options of the command. Raises ValueError."""
    from mockrec.engine.replay.serve.latency import parse_latency
    from mockrec.engine.replay.session.fingerprint import MATCH_WORD
    from mockrec.engine.replay.session.selectors import parse_selector

    for word in match:
        if not MATCH_WORD.fullmatch(word):
            raise ValueError(
                f"--match: expected method, url, path, query, body, json, host or headers:NAME, got {word!r}"
            )
    try:
        for text in ignore:
            parse_selector(text)
    except ValueError as error:
        raise ValueError(f"--ignore: {error}") from None
    try:
        parse_latency(latency)
    except ValueError as error:
        raise ValueError(f"--latency: {error}") from None
    place = SourceLocation("", 0, 0, "")
    return Replay(
        place,
        session=session,
        match=match,
        ignore=ignore,
        strict_match=strict_match,
        latency=latency,
        repeat=repeat,
    )


def make_rules(session: str, path: Path, *, force: bool, file_mode: int) -> None:
    """Write the rule file and print what it holds. Raises SessionError, OutputError."""
    from mockrec.engine.replay.to_rules.to_rules import write_rules

    written = write_rules(session, path, force=force, file_mode=file_mode)
    files = f", {printing.plural(written.files, 'body')} beside it" if written.files == 1 else ""
    if written.files > 1:
        files = f", {written.files} bodies beside it"
    if written.reading is not None:
        warn_of(written.reading)
    printing.note(f"{printing.escape(str(path))}: {printing.plural(written.rules, 'rule')}{files}")
    if written.marked:
        printing.warn(f"{printing.plural(written.marked, 'rule')} answer with redacted values, which stand for secrets")
    if written.left_out:
        count = printing.plural(written.left_out.total(), "recording")
        printing.warn(f"{count} left out, because no rule can give them again:")
        for text, number in written.left_out.most_common(20):
            printing.note(f"  {printing.escape(text)}{f' ({number}×)' if number > 1 else ''}")

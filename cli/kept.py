"""`onMiss: record`: what servers answer is kept while a run lasts, and added to the cassettes if it has succeeded."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from mockrec.cli import printing
from mockrec.cli.codes import COMMAND_NOT_RUN
from mockrec.cli.control import for_cassettes
from mockrec.engine.recording.ending import Ending
from mockrec.engine.replay.serve.additions import add_exchanges
from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.run.run import Run
from mockrec.engine.run.settings import RunSettings
from mockrec.formats.schema.errors import FormatError

_SHOWN = 20


@contextmanager
def keeping(settings: RunSettings) -> Iterator[RunSettings]:
    """Return the settings with a further output, in a folder that is removed afterwards.

    It has at least the records that a cassette needs, with the chunks of responses, and so have the other outputs.
    """
    record = for_cassettes(settings.record)
    folder = tempfile.mkdtemp(prefix="mockrec-")
    try:
        kept = str(Path(folder, "kept.jsonl"))
        yield replace(settings, outputs=(*settings.outputs, kept), record=record, kept_log=kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def add_to_cassettes(run: Run, settings: RunSettings, ending: Ending) -> Ending:
    """Add the exchanges without a recording to their cassettes, if the run has succeeded. Return the ending of the run,
    which a cassette that cannot be written makes a failure; what was recorded stays in its temporary folder then."""
    has_failed = ending.exit_code != 0
    wanted: dict[str, set[str]] = {}
    for cassette in run.recorded:
        wanted.setdefault(cassette.path, set()).update(cassette.passed_on)
    for path, identities in wanted.items():
        if not identities:
            continue
        if has_failed:
            printing.warn(
                f"{printing.escape(path)}: stays as it was, because the run failed;"
                f" {printing.plural(len(identities), 'exchange')} not added"
            )
            continue
        assert settings.kept_log is not None
        try:
            _add(path, identities, settings.kept_log, settings.file_mode, run.recorded)
        except FormatError as error:
            printing.fail(printing.escape(str(error)))
            code = error.exit_code if settings.command is None else COMMAND_NOT_RUN
            ending = Ending("recording failed", code)
    if not has_failed and ending.exit_code != 0 and settings.kept_log is not None:
        kept = _save(Path(settings.kept_log))
        printing.warn(f"what was recorded is kept in {printing.escape(str(kept))}")
    return ending


def _save(log: Path) -> Path:
    """Keep the log: its folder gets another name, so that it is not removed at the end. Return the log's new path."""
    folder = log.parent
    return folder.rename(folder.with_name(f"mockrec-kept-{folder.name.removeprefix('mockrec-')}")) / log.name


def _add(path: str, identities: set[str], log: str, file_mode: int, cassettes: list[Cassette]) -> None:
    """Add exchanges to one cassette. Raises FormatError."""
    is_new = all(cassette.reading is None for cassette in cassettes if cassette.path == path)
    added = add_exchanges(path, log, identities, file_mode=file_mode, is_new=is_new)
    name = printing.escape(path)
    if added.count:
        for cassette in cassettes:
            if cassette.path == path:
                cassette.added = added.count
        printing.note(f"{name}: {printing.plural(added.count, 'exchange')} added")
        if added.lost:
            printing.warn(f"{name}: {printing.plural(added.lost, 'body')} could not be copied")
    _print_left_out(name, added.left_out)


def _print_left_out(name: str, left_out: list[str]) -> None:
    if left_out:
        printing.warn(f"{name}: {printing.plural(len(left_out), 'exchange')} not added:")
        for text in sorted(left_out)[:_SHOWN]:
            printing.note(f"  {printing.escape(text)}")
        if len(left_out) > _SHOWN:
            printing.note(f"  and {len(left_out) - _SHOWN} more")

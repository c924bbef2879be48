"""`onMiss: record`: what servers answer is kept while a run lasts, and added to the cassettes if it has succeeded."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mockrec.cli import printing
from mockrec.cli.codes import COMMAND_NOT_RUN
from mockrec.engine.recording.ending import Ending
from mockrec.engine.replay.serve.additions import Selected, select_exchanges
from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.run.run import Run
from mockrec.engine.run.settings import RunSettings
from mockrec.formats.schema.errors import FormatError
from mockrec.formats.schema.lifecycle import DEFAULT_EVENTS, EVENT_TYPES
from mockrec.formats.sessions.append import add_to_session
from mockrec.formats.sessions.session import open_session

_SHOWN = 20


@contextmanager
def keeping(settings: RunSettings) -> Iterator[RunSettings]:
    """Return the settings with a further output, in a folder that is removed afterwards.

    It has at least the records that a cassette needs, with the chunks of responses, and so have the other outputs.
    """
    record = settings.record
    chosen = DEFAULT_EVENTS if record.events == "default" else record.events
    if chosen != "all":
        wanted = {*DEFAULT_EVENTS, "response-body-data", *chosen}
        record = replace(record, events=tuple(name for name in EVENT_TYPES if name in wanted))
    folder = tempfile.mkdtemp(prefix="mockrec-")
    try:
        kept = str(Path(folder, "kept.jsonl"))
        yield replace(settings, outputs=(*settings.outputs, kept), record=record, kept_log=kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def add_to_cassettes(run: Run, settings: RunSettings, ending: Ending) -> Ending:
    """Add the exchanges without a recording to their cassettes, if the run has succeeded. Return the ending of the run,
    which a cassette that cannot be written makes a failure."""
    wanted: dict[str, set[str]] = {}
    for cassette in run.recorded:
        wanted.setdefault(cassette.path, set()).update(cassette.passed_on)
    for path, identities in wanted.items():
        if not identities:
            continue
        if ending.exit_code != 0:
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
    return ending


def _add(path: str, identities: set[str], log: str, file_mode: int, cassettes: list[Cassette]) -> None:
    """Add exchanges to one cassette. Raises FormatError."""
    own_events: list[str] = []
    if any(cassette.path == path and cassette.reading is not None for cassette in cassettes):
        with open_session(path) as session:
            events = (session.header or {}).get("events")
            own_events = [str(name) for name in events] if isinstance(events, list) else []
    selected = select_exchanges(log, identities, own_events)
    name = printing.escape(path)
    if selected.addition is not None:
        lost = add_to_session(path, selected.addition, file_mode=file_mode)
        for cassette in cassettes:
            if cassette.path == path:
                cassette.added = selected.count
        printing.note(f"{name}: {printing.plural(selected.count, 'exchange')} added")
        if lost:
            printing.warn(f"{name}: {printing.plural(lost, 'body')} could not be copied")
    _print_left_out(name, selected)


def _print_left_out(name: str, selected: Selected) -> None:
    if selected.left_out:
        printing.warn(f"{name}: {printing.plural(len(selected.left_out), 'exchange')} not added:")
        for text in sorted(selected.left_out)[:_SHOWN]:
            printing.note(f"  {printing.escape(text)}")
        if len(selected.left_out) > _SHOWN:
            printing.note(f"  and {len(selected.left_out) - _SHOWN} more")
